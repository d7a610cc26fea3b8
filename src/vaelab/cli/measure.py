"""vaelab evaluate, doctor, compare, codes: what runs are worth."""

from __future__ import annotations

import argparse
from typing import Any

import vaelab
from vaelab.cli.arguments import (
    CODE,
    FILES_KEY,
    LANG,
    OVERWRITE,
    QUIET,
    RUN,
    RUN_KEY,
    Command,
    Document,
    Option,
    whole,
)
from vaelab.cli.output import announce
from vaelab.workflows.console import say

IMAGES = Option("--images", "number of test images (default: all)", "N", whole(1), default=0)
SPOKEN = LANG._replace(about="language of the output", default="en")


def evaluate(arguments: argparse.Namespace) -> Document:
    """Measure a run and print the numbers."""
    latex = arguments.format == "latex"
    if not arguments.quiet:
        announce(f"evaluating {arguments.run}")
    from vaelab.evaluation import METRICS

    sections = arguments.only.split(",") if arguments.only else tuple(METRICS)
    try:
        found = vaelab.evaluate(
            arguments.run,
            samples=arguments.samples,
            images=arguments.images,
            sections=sections,
            out=arguments.out,
            quiet=arguments.quiet or latex,  # the output is the table alone
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "what was measured is kept; run the same command again to continue"
        ) from None
    lang, files = arguments.lang, [found.path] if found.path else []
    if latex and not arguments.quiet:
        print(found.latex(lang, arguments.all))
    elif not arguments.quiet:
        print(found.table(lang) if arguments.all else found.summary(lang))
        for path in files:
            print(path)
    return {"run": arguments.run, **found.facts(), "files": files}


def doctor(arguments: argparse.Namespace) -> Document:
    """Diagnose a run and print the findings."""
    announce(f"diagnosing {arguments.run}")
    from vaelab.evaluation.doctor import report, verdict

    run, lang = vaelab.load(arguments.run), arguments.lang
    findings = vaelab.diagnose(run)
    print(report(findings, arguments.run, lang))
    if run.data.note:
        print(run.data.note)
    return {
        "run": run.folder,
        "verdict": verdict(findings, lang),
        "findings": [
            {
                "rule": finding.rule,
                "verdict": finding.verdict,
                "says": finding.text(lang),
                "try": finding.tries(lang),
            }
            for finding in findings
        ],
        "notes": [run.data.note] if run.data.note else [],
    }


def compare(arguments: argparse.Namespace) -> Document:
    """Compare runs or recipes and print the verdicts."""
    if not arguments.quiet:
        say(f"comparing {', '.join(arguments.run)}")
    try:
        found = vaelab.compare(
            arguments.run,
            arguments.out,
            seeds=arguments.seeds,
            overrides=arguments.settings,
            samples=arguments.samples,
            images=arguments.images,
            overwrite=arguments.overwrite,
            lang=arguments.lang,
            quiet=arguments.quiet,
        )
    except KeyboardInterrupt as interruption:
        done = str(interruption) or "what was evaluated is kept"
        raise KeyboardInterrupt(f"{done}; run the same command again to continue") from None
    return compared(found)


def compared(comparison: Any) -> Document:
    """A comparison as a document: what comparison.json holds, and the files."""
    from vaelab.report.comparison import record

    return {"comparison": record(comparison), "files": comparison.files}


def codes(arguments: argparse.Namespace) -> Document:
    """Measure the codes of a run and print shift, scale and quality."""
    if not arguments.quiet:
        announce(f"measuring the codes of {arguments.run}")
    found = vaelab.codes(
        arguments.run, images=arguments.images, out=arguments.out, code=arguments.code
    )
    files = [arguments.out] if arguments.out else []
    if not arguments.quiet:
        print("\n".join([*(f"{name}: {one}" for name, one in found.items()), *files]))
    splits = {name: one.facts() for name, one in found.items()}
    return {"run": arguments.run, "splits": splits, "files": files}


COMMANDS = {
    "evaluate": Command(
        "measure likelihood, latent space and samples of a run",
        [
            RUN,
            Option(
                "--samples", "importance weights per image", "K", whole(1), default=1000,
            ),
            IMAGES,
            Option("--only", "some of likelihood,latent,samples,rows,disentangling", "SECTIONS"),
            Option("--all", "print every number, not a summary"),
            Option("--format", "what is printed", "FORMAT", default="text",
                choices={"text": "lines", "latex": "a LaTeX table (booktabs), and nothing else"}),
            Option("--out", "keep the results in FOLDER (default: the run folder)", "FOLDER"),
            SPOKEN,
            CODE,
            QUIET,
        ],
        evaluate,
        ["vaelab evaluate RUN [options]"],
        {
            "run": RUN_KEY,
            "protocol": "what the numbers depend on",
            "sections": "section -> name -> a number, or its value and standard error",
            "files": FILES_KEY,
        },
        memory="lower --images or --samples",
    ),
    "doctor": Command(
        "diagnose a run and suggest remedies",
        [RUN, SPOKEN, CODE],
        doctor,
        ["vaelab doctor RUN [options]"],
        {
            "run": RUN_KEY,
            "verdict": "the number of faults as a sentence",
            "findings": "for each rule its name, its verdict (fault, remark, fine or follows), "
                "what it says and what to try",
            "notes": "what is to be said of the data",
        },
        memory="close other programs; vaelab evaluate RUN --images 1000 measures fewer images",
    ),
    "compare": Command(
        "compare runs or recipes; the first is the reference",
        [
            Option("RUN", "a run folder, a study, or a recipe (trained first)", number="+"),
            Option("--seeds", "train each recipe N times, seeds 0 to N-1", "N", whole(2),
                default=0),
            Option("--out", "folder of the comparison (default: runs/A-vs-B)", "FOLDER"),
            Option("--samples", "importance weights per image (default: at least 100)", "K",
                whole(1), default=0),
            IMAGES,
            OVERWRITE._replace(about="replace runs of other recipes in the folder"),
            LANG._replace(about="language of all files (default: the page as the figures)"),
            CODE,
            QUIET,
        ],
        compare,
        ["vaelab compare RUN RUN ... [options] [--SECTION.NAME VALUE ...]"],
        {"comparison": "what comparison.json holds", "files": FILES_KEY},
        settings=True,
        memory="lower --images or --samples",
    ),
    "codes": Command(
        "shift, scale and decoded quality of the codes, as latent diffusion needs them",
        [
            RUN,
            IMAGES._replace(about="number of images of each split (default: all)"),
            Option("--out", "keep every number in FILE, as JSON", "FILE"),
            CODE,
            QUIET,
        ],
        codes,
        ["vaelab codes RUN [options]"],
        {
            "run": RUN_KEY,
            "splits": "split -> name -> a number, or its value and standard error",
            "files": FILES_KEY,
        },
        memory="lower --images",
    ),
}  # fmt: skip
