"""What metrics mean, in English and in Brazilian Portuguese, from the catalogue of texts."""

from __future__ import annotations

from typing import NamedTuple

from vaelab.evaluation.sections import METRICS
from vaelab.language import TEXTS, Lang, text


class Meaning(NamedTuple):
    """The texts on a metric in one language."""

    name: str  # of a headline, for people; of any other metric its key, with spaces
    about: str  # what it is, in one line
    unit: str  # "" where it has none
    better: str  # "lower is better", "higher is better", or ""
    reading: str  # of a headline, a sentence on what small and large values mean, else ""


def headlines() -> list[tuple[str, str]]:
    """Return the section and the name of each main metric, in the order of a report.

    >>> headlines()[:3]
    [('likelihood', 'loss'), ('likelihood', 'distortion'), ('likelihood', 'rate')]
    """
    pairs = [key.split(".") for key in TEXTS["headlines"]]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def about(section: str, name: str, lang: Lang = "en", *, rows: bool = False) -> str:
    """Return what a metric is, in one line; with `rows`, of the rows of a table.

    >>> about("latent", "codes_used", "pt")
    'fração do codebook que as imagens de teste usam'
    """
    return text("metrics", f"{section}.{name}", lang, rows)


def unit(section: str, name: str, lang: Lang = "en", *, rows: bool = False) -> str:
    """Return the unit of a metric, "" where it has none; with `rows`, of the rows of a table.

    >>> unit("likelihood", "nll", "pt"), unit("samples", "ssim", "pt")
    ('nats por imagem', '')
    """
    found = METRICS[section][name].unit
    return found and text("units", found, lang, rows)


def meaning(section: str, name: str, lang: Lang = "en", *, rows: bool = False) -> Meaning:
    """Return all texts on a metric; with `rows`, of the rows of a table.

    >>> meaning("likelihood", "loss", "pt").name
    'perda (−ELBO)'
    """
    metric, key = METRICS[section][name], f"{section}.{name}"
    main = key in TEXTS["headlines"]
    return Meaning(
        name=text("headlines", f"{key}.name", lang, rows) if main else name.replace("_", " "),
        about=about(section, name, lang, rows=rows),
        unit=unit(section, name, lang, rows=rows),
        better=metric.better and text("units", metric.better, lang),
        reading=text("headlines", key, lang, rows) if main else "",
    )
