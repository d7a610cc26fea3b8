"""Measure the sections that an evaluation lacks, one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from vaelab.evaluation import sections as parts
from vaelab.evaluation.encoding import Section
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.results import stored_name

OPINION = "second-opinion"  # log p(x) without importance weights, the same for every K
DOING = {
    OPINION: "annealed importance sampling of log p(x)",
    "likelihood": "importance-weighted bound on log p(x)",
    "latent": "latent space",
    "samples": "samples and reconstructions, by the features of a reference classifier",
    "rows": "synthetic rows against held-out rows",
    "disentangling": "disentanglement",
}


def missing(
    evaluator: Evaluator,
    names: Collection[str],
    k: int,
    kept: Mapping[str, Section],
    say: Callable[[str], None],
) -> Iterator[tuple[str, Section]]:
    """Yield each section of `names` that `kept` lacks, with its name in the result files.

    Args:
        evaluator: The run.
        names: The names of the sections.
        k: The number of importance weights per image.
        kept: The sections that are already measured, by their names in the result files.
        say: Called with a line of text before each measurement.
    """
    opinion = kept.get(OPINION)
    for name in parts.SECTIONS:
        stored = stored_name(name, k)
        if name not in names or stored in kept:
            continue
        if name == "likelihood" and opinion is None:
            say(f"{DOING[OPINION]} ...")
            opinion = measure(OPINION, evaluator, k, {})
            yield OPINION, opinion
        say(f"{DOING[name]} ...")
        yield stored, measure(name, evaluator, k, opinion or {})


def measure(name: str, evaluator: Evaluator, k: int, opinion: Section) -> Section:
    """Measure one section."""
    match name:
        case "second-opinion":
            return parts.likelihood.second_opinions(evaluator)
        case "likelihood":
            return parts.likelihood.measure(evaluator, k, opinion)
        case _:
            measured: dict[str, Any] = parts.SECTIONS[name].measure(evaluator)
            return measured
