"""Measure the sections that an evaluation still lacks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from vaelab.evaluation import sections as parts
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.results import Section, stored_name

OPINION = "second-opinion"  # on log p(x), the same for every K
DOING = {
    OPINION: "annealed importance sampling of log p(x)",
    "likelihood": "importance-weighted bound on log p(x)",
    "latent": "latent space",
    "samples": "samples and reconstructions, by the features of a reference classifier",
    "disentangling": "disentanglement",
}


def missing(
    evaluator: Evaluator,
    names: Collection[str],
    k: int,
    kept: Mapping[str, Section],
    say: Callable[[str], None],
) -> Iterator[tuple[str, Section]]:
    """Yield the sections `names` that are not yet in `kept`, under the names that files have for them.

    `k` is the number of importance weights per image. `say` hears what is measured next.
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
