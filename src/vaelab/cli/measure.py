"""vaelab evaluate, doctor, compare, codes: what runs are worth."""

from __future__ import annotations

import argparse

import vaelab
from vaelab.cli.arguments import CODE, LANG, OVERWRITE, QUIET, RUN, Command, Option, whole
from vaelab.cli.output import announce
from vaelab.workflows.console import say

IMAGES = Option("--images", "number of test images (default: all)", "N", whole(1), default=0)
SPOKEN = LANG._replace(about="language of the output", default="en")


def evaluate(arguments: argparse.Namespace) -> None:
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
    lang = arguments.lang
    if arguments.quiet:
        return
    if latex:
        print(found.latex(lang, arguments.all))
        return
    print(found.table(lang) if arguments.all else found.summary(lang))
    if found.path:
        print(found.path)


def doctor(arguments: argparse.Namespace) -> None:
    """Diagnose a run and print the findings."""
    announce(f"diagnosing {arguments.run}")
    from vaelab.evaluation.doctor import report

    run = vaelab.load(arguments.run)
    print(report(vaelab.diagnose(run), arguments.run, arguments.lang))
    if run.data.note:
        print(run.data.note)


def compare(arguments: argparse.Namespace) -> None:
    """Compare runs or recipes and print the verdicts."""
    if not arguments.quiet:
        say(f"comparing {', '.join(arguments.run)}")
    try:
        vaelab.compare(
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


def codes(arguments: argparse.Namespace) -> None:
    """Measure the codes of a run and print shift, scale and quality."""
    if not arguments.quiet:
        announce(f"measuring the codes of {arguments.run}")
    from vaelab.workflows.codes import as_json

    found = vaelab.codes(
        arguments.run, images=arguments.images, out=arguments.out, code=arguments.code
    )
    if arguments.quiet:
        return
    if arguments.format == "json":
        print(as_json(found), end="")
        return
    print("\n".join(f"{name}: {one}" for name, one in found.items()))
    if arguments.out:
        print(arguments.out)


COMMANDS = {
    "evaluate": Command(
        "measure likelihood, latent space and samples of a run",
        [
            RUN,
            Option(
                "--samples", "importance weights per image", "K", whole(1), default=1000,
            ),
            IMAGES,
            Option("--only", "some of likelihood,latent,samples,disentangling", "SECTIONS"),
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
        memory="lower --images or --samples",
    ),
    "doctor": Command(
        "diagnose a run and suggest remedies",
        [RUN, SPOKEN, CODE],
        doctor,
        ["vaelab doctor RUN [options]"],
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
        settings=True,
        memory="lower --images or --samples",
    ),
    "codes": Command(
        "shift, scale and decoded quality of the codes, as latent diffusion needs them",
        [
            RUN,
            IMAGES._replace(about="number of images of each split (default: all)"),
            Option("--format", "what is printed", "FORMAT", default="text",
                choices={"text": "lines", "json": "every number, and nothing else"}),
            Option("--out", "keep every number in FILE, as JSON", "FILE"),
            CODE,
            QUIET,
        ],
        codes,
        ["vaelab codes RUN [options]"],
        memory="lower --images",
    ),
}  # fmt: skip
