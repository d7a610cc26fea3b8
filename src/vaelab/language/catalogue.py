"""The catalogue of texts, and numbers as the two languages write them."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from vaelab.errors import UserError, nearest

Lang = Literal["en", "pt"]


def _read() -> dict[str, dict[str, dict[str, str]]]:
    """The catalogue by page (the stem of its file), key and language."""
    files = sorted(Path(__file__).parent.glob("*.toml"))
    return {path.stem: tomllib.loads(path.read_text("utf-8")) for path in files}


TEXTS = _read()
SHARED = "shared"  # the page whose texts all others have too
ROWS = {  # what the texts call images, and what they call the rows of a table
    "en": (("an image", "a row"), ("image", "row"), ("pixel", "cell")),
    "pt": (("imagens", "linhas"), ("imagem", "linha"), ("pixels", "células"), ("pixel", "célula")),
}


def text(page: str, key: str, lang: Lang, rows: bool = False, /, **values: object) -> str:
    """Return the text of `key` with its {slots} filled, numbers as the language writes them.

    A float is written with one decimal, or as the slot says: {share:.0f}. With `rows` a text about
    images speaks of the rows of a table.

    >>> text("figures", "pca", "pt", share=16.2)
    'PCA (16,2% da variância)'

    Raises:
        UserError: There is no such language.
    """
    if lang not in get_args(Lang):
        raise UserError(f"figures.lang: there is no {lang!r}; {nearest(str(lang), get_args(Lang))}")
    entry = TEXTS[page].get(key) or TEXTS[SHARED][key]
    template = of_rows(entry[lang], lang) if rows else entry[lang]
    return _Slots(lang).vformat(template, (), values)


def of_rows(template: str, lang: Lang) -> str:
    """Return a text about images as one about the rows of a table.

    >>> of_rows("what an image costs: {nats} nats per image, {images} images", "en")
    'what a row costs: {nats} nats per row, {images} rows'
    """
    for image, row in ROWS[lang]:
        template = re.sub(rf"(?<!{{)\b{image}", row, template)  # but not the name of a slot
    return template


def texts(page: str) -> dict[str, dict[str, str]]:
    """Return the texts of a page by language and key, for a page that changes its language."""
    entries = TEXTS[SHARED] | TEXTS[page]
    return {lang: {key: entry[lang] for key, entry in entries.items()} for lang in get_args(Lang)}


class Said(NamedTuple):
    """A text that is written later, in the language of its reader: its place and its slots."""

    page: str
    key: str
    slots: tuple[tuple[str, object], ...] = ()

    def text(self, lang: Lang) -> str:
        """Return the text; a slot may hold another one.

        >>> Said("figures", "channel", (("n", 3),)).text("pt")
        'canal 3'
        """
        filled = {k: v.text(lang) if isinstance(v, Said) else v for k, v in self.slots}
        return text(self.page, self.key, lang, **filled)


class _Slots(string.Formatter):
    """Fills the slots of a text in one language."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec:
            return local(format(value, format_spec), self.lang)
        if isinstance(value, float):
            return number(value, self.lang)
        return local(f"{value:,}", self.lang) if isinstance(value, int) else str(value)


def number(value: float, lang: Lang) -> str:
    """Write a value with one decimal, in powers of ten where it is large.

    >>> number(-103.94, "pt"), number(3.2e31, "en")
    ('−103,9', '3.2e+31')
    """
    return decimal(f"{value:.1f}" if abs(value) < 1e5 else f"{value:.2g}", lang)


def local(written: str, lang: Lang) -> str:
    """Return a number that Python wrote as the language writes it; English is left as it is.

    >>> local("-1,234.5", "en"), local("-1,234.5", "pt")
    ('-1,234.5', '−1.234,5')
    """
    return written.translate(str.maketrans(",.-", ".,−")) if lang == "pt" else written


def decimal(text: str, lang: Lang) -> str:
    """Replace hyphen by minus, and the decimal point by the mark of the language.

    >>> decimal("-0.5", "pt")
    '−0,5'
    """
    return (text.replace(".", ",") if lang == "pt" else text).replace("-", "−")
