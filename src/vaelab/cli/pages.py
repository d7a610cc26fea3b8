"""vaelab report, explore, card: the pages of runs, and the folders to share them."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

import vaelab
from vaelab.cli.arguments import (
    CODE,
    FILES_KEY,
    LANG,
    OVERWRITE,
    QUIET,
    RUN,
    Command,
    Document,
    Option,
    whole,
)
from vaelab.cli.output import announce, complain
from vaelab.errors import UserError

PAGE_LANG = LANG._replace(about="language of the page (default: that of the figures)")


def report(arguments: argparse.Namespace) -> Document:
    """Write the report of a run, of several side by side, or of all below a folder."""
    if not arguments.quiet:
        announce(f"reporting on {', '.join(arguments.run)}")
    given = {"lang": arguments.lang, "code": arguments.code, "quiet": arguments.quiet}
    path = vaelab.write_report(arguments.run, arguments.out, **given)
    if not arguments.quiet:
        print(path)
    return {"files": [path]}


def explore(arguments: argparse.Namespace) -> Document:
    """Write the latent explorer of a run, or of two side by side, and open it in the browser."""
    from vaelab import devices
    from vaelab.evaluation import damage
    from vaelab.report import explorer
    from vaelab.report.run import page as run_page

    if len(arguments.run) > 2:
        raise UserError("RUN: an explorer shows one run, or two side by side; give fewer")
    if not arguments.quiet:
        announce(f"exploring {', '.join(arguments.run)}")
    runs = [vaelab.load(folder) for folder in arguments.run]
    if not arguments.quiet:
        for line in (line for run in runs for line in damage(run)):
            print(f"note: {line}")
    with devices.using(devices.threads(0)[0]):
        path = explorer.write(runs, arguments.out, points=arguments.points, lang=arguments.lang)
    if not arguments.out:
        run_page.link_explorer(runs[0])
    if not arguments.quiet:
        print(path)
    if not (arguments.no_open or _shown(path)):
        complain(f"no browser could be opened; open {path} yourself")
    return {"files": [path]}


def card(arguments: argparse.Namespace) -> Document:
    """Write the model card of a run."""
    if not arguments.quiet:
        announce(f"writing the model card of {arguments.run}")
    asked = {name: getattr(arguments, name) for name in ("lang", "overwrite", "code", "quiet")}
    vaelab.write_card(arguments.run, arguments.out, license=arguments.license, **asked)
    if not arguments.quiet:
        print(arguments.out)
    return {"files": [arguments.out]}


def _shown(path: Path) -> bool:
    """Open a page in the user's browser; return whether there was one."""
    try:
        return webbrowser.open(path.absolute().as_uri())
    except (webbrowser.Error, OSError):
        return False


COMMANDS = {
    "report": Command(
        "write the report of a run, of several side by side, or of a folder of runs",
        [
            Option("RUN", "run folders, or one folder with runs below it", number="+"),
            Option("--out", "the page (default: report.html in the run, index.html in a folder "
                "of runs)", "FILE"),
            PAGE_LANG,
            CODE,
            QUIET,
        ],
        report,
        ["vaelab report RUN [RUN ...] [options]", "vaelab report FOLDER [options]"],
        {"files": FILES_KEY},
        memory="lower figures.points in the recipe of the run",
    ),
    "explore": Command(
        "explore the latent space of a run in the browser",
        [
            Option("RUN", "a run folder, or two with the same test images", number="+"),
            Option("--out", "a .html file; default: explorer.html in the (first) run folder",
                "FILE"),
            Option("--no-open", "write the page only"),
            PAGE_LANG,
            Option("--points", "test images at most", "N", whole(2), default=10_000),
            CODE,
            QUIET,
        ],
        explore,
        ["vaelab explore RUN [RUN2] [options]"],
        {"files": FILES_KEY},
        memory="lower --points",
    ),
    "card": Command(
        "write a folder with a run's model, numbers and pictures for a model hub",
        [
            RUN,
            Option("OUT", "the folder of the card"),
            Option("--license", "licence of the weights: a name as mit or cc-by-4.0, or a file "
                "with its text; none reserves all rights", "LICENSE", default="none"),
            LANG._replace(about="language of README.md (default: that of the figures)"),
            OVERWRITE._replace(about="replace the card that is in the folder"),
            CODE,
            QUIET,
        ],
        card,
        ["vaelab card RUN OUT [options]"],
        {"files": FILES_KEY},
    ),
}  # fmt: skip
