"""The sentences of a comparison that its files share, in one language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vaelab.evaluation.paired import Comparison
from vaelab.language import TEXTS, Lang, local, text


def named(word: str, lang: Lang) -> str:
    """Return what a fact, a cost or one of its values is called; its own name where it has none.

    >>> named("test images", "pt"), named("learning rate", "pt")
    ('imagens de teste', 'learning rate')
    """
    return text("comparison", word, lang) if word in TEXTS["comparison"] else word


def value_of(key: str, value: str, lang: Lang) -> str:
    """Return the value of a fact or of the protocol; the numbers of images have thousands."""
    return local(value, lang) if key.endswith("images") and value != "all" else named(value, lang)


def unlike(key: str, values: Mapping[str, str], lang: Lang) -> str:
    """Return a fact that differs and its value for each run."""
    each = [
        text("comparison", "of runs", lang, value=value_of(key, value, lang), name=name)
        for name, value in values.items()
    ]
    return f"{named(key, lang)}: {', '.join(each)}"


def all_unlike(names: Sequence[str], differing: Mapping[str, Mapping[str, str]], lang: Lang) -> str:
    """Return all facts that differ, each with its values in the order of the runs."""
    facts = [
        f"{named(key, lang)} {' / '.join(value_of(key, value, lang) for value in values.values())}"
        for key, values in differing.items()
    ]
    return f"({' / '.join(names)}): {'; '.join(facts)}."


def scope(seeds: int, lang: Lang) -> str:
    """Return what the intervals cover, and what they do not."""
    if not seeds:
        return text("comparison", "scope.once", lang)
    return text("comparison", "scope.seeds", lang, seeds=seeds)


def how(comparison: Comparison, with_interval: int, expected: float, lang: Lang) -> list[str]:
    """Return paragraphs on how to read the numbers.

    `with_interval` rows are judged, about `expected` of which show a difference without any.
    """

    def t(key: str, **slots: object) -> str:
        return text("comparison", f"how.{key}", lang, **slots)

    names, seeds = comparison.names, comparison.seeds
    level = local(f"{100 * comparison.level:.4g}", lang)
    first = [t("once", first=names[0], level=level)]
    if seeds:
        first = [t("seeds", first=names[0], level=level, freedom=seeds - 1)]
        first += [t("few_seeds")] if seeds < 4 else []
    joint = [t("joint", count=len(names) - 1, level=level)] if len(names) > 2 else []
    judged = [t("judged")]
    if with_interval:
        judged.append(
            t("uncorrected", expected=local(f"{expected:.2g}", lang), count=with_interval)
        )
    return [" ".join(part) for part in (first, joint, judged) if part]
