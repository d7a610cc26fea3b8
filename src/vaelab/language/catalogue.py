"""The catalogue of texts, and numbers as the two languages write them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, get_args

from vaelab.errors import UserError, nearest

Lang = Literal["en", "pt"]


def _read() -> dict[str, dict[str, dict[str, str]]]:
    """The catalogue by page (the stem of its file), key and language."""
    files = sorted(Path(__file__).parent.glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in files}


TEXTS = _read()


def text(page: str, key: str, lang: Lang, **values: object) -> str:
    """Return the text of `key` with its {slots} filled; a float is written with one decimal.

    Portuguese has a decimal comma and separates thousands by a point.

    >>> text("figures", "pca", "pt", share=16.2)
    'PCA (16,2% da variância)'

    Raises:
        UserError: There is no such language.
    """
    if lang not in get_args(Lang):
        raise UserError(f"figures.lang: there is no {lang!r}; {nearest(str(lang), get_args(Lang))}")
    written = {name: _written(value, lang) for name, value in values.items()}
    return TEXTS[page][key][lang].format(**written)


def texts(page: str) -> dict[str, dict[str, str]]:
    """Return the texts of a page by language and key, for a page that changes its language."""
    return {
        lang: {key: entry[lang] for key, entry in TEXTS[page].items()} for lang in get_args(Lang)
    }


def _written(value: object, lang: Lang) -> object:
    if isinstance(value, float):
        return number(value, lang)
    if isinstance(value, int) and abs(value) >= 1000:
        return f"{value:,}".replace(",", "." if lang == "pt" else ",")
    return value


def number(value: float, lang: Lang) -> str:
    """Write a value with one decimal, in powers of ten where it is large.

    >>> number(-103.94, "pt"), number(3.2e31, "en")
    ('−103,9', '3.2e+31')
    """
    return decimal(f"{value:.1f}" if abs(value) < 1e5 else f"{value:.2g}", lang)


def decimal(text: str, lang: Lang) -> str:
    """Replace hyphen by minus, and the decimal point by the mark of the language.

    >>> decimal("-0.5", "pt")
    '−0,5'
    """
    return (text.replace(".", ",") if lang == "pt" else text).replace("-", "−")
