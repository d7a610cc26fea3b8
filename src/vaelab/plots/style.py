"""How every figure looks: page sizes, colours, fonts, text that others wrote, and files.

A user's names (classes, runs) pass through `plain`, so that no character of them is a formula, a
line break or an empty box.
"""

from __future__ import annotations

import functools
import io
import threading
import unicodedata
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, ParamSpec

import matplotlib.font_manager as fonts
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import ScalarFormatter
from numpy.typing import NDArray

from vaelab.errors import UserError
from vaelab.language import Lang, decimal, text

Array = NDArray[Any]
Labels = Array | None
Size = Literal["column", "slide"]
Format = Literal["png", "pdf", "svg"]
P = ParamSpec("P")

# Ten colours that normal, protanopic and deuteranopic vision tells apart (maximal distances in
# OKLab, found by exchange search). Digits that overlap in a latent space (4 7 9, 3 5 8) are the
# furthest apart.
COLOURS = ["#d88900", "#0014c4", "#00c878", "#ff0089", "#149dd8"]
COLOURS += ["#001414", "#9d27ff", "#276200", "#f0a0f0", "#760062"]

PAGES: dict[Size, tuple[float, float, float]] = {  # largest width and height in inches; points
    "column": (6.3, 8.6, 8.0),
    "slide": (12.8, 7.2, 14.0),
}
DPI: dict[Size, int] = {"column": 200, "slide": 150}
_FONT = "DejaVu Sans"  # comes with matplotlib
_PREFERRED = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans", "Arial Unicode MS")
_UNFIT = ("Last Resort", "Color", "Emoji")  # boxes, and bitmaps that matplotlib cannot render
_LOCK = threading.RLock()


class Look(NamedTuple):
    """The language and the page size of a figure (settings figures.lang and figures.size)."""

    lang: Lang = "en"
    size: Size = "column"

    def text(self, key: str, **values: object) -> str:
        """The text `key` in the language of the figure."""
        return text("figures", key, self.lang, **values)

    @property
    def width(self) -> float:
        return PAGES[self.size][0]

    @property
    def height(self) -> float:
        return PAGES[self.size][1]

    @property
    def points(self) -> float:
        """The size of the text; a column's figure is printed at its own size, a slide's as well."""
        return PAGES[self.size][2]

    @property
    def scale(self) -> float:
        """How much larger lines and tiles are than in a column."""
        return self.points / PAGES["column"][2]

    @property
    def rc(self) -> dict[str, Any]:
        """The parameters of matplotlib."""
        return {
            "figure.dpi": DPI[self.size],
            "figure.figsize": (self.width, self.height),
            "savefig.dpi": "figure",
            "font.family": _FONT,
            "font.size": self.points,
            "axes.titlesize": 1.05 * self.points,
            "figure.titlesize": 1.15 * self.points,
            "axes.labelsize": self.points,
            "xtick.labelsize": 0.9 * self.points,
            "ytick.labelsize": 0.9 * self.points,
            "legend.fontsize": 0.95 * self.points,
            "legend.title_fontsize": self.points,
            "legend.frameon": False,
            "text.parse_math": False,  # a `$` in the name of a run or a class is a dollar
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.7 * self.scale,
            "axes.formatter.useoffset": False,
            "lines.linewidth": 1.4 * self.scale,
            "svg.hashsalt": "vaelab",  # else the identifiers of a file are random
            "pdf.fonttype": 42,  # text that other programs can edit
        }


def page(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make `function`, whose keyword argument `look` is a `Look`, independent of the user's style.

    The parameters of matplotlib belong to the whole process, so threads take turns.
    """

    @functools.wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        look = kwargs.get("look", Look())
        assert isinstance(look, Look)
        with _LOCK, matplotlib.style.context(["default", look.rc]):
            figure = function(*args, **kwargs)
            for text in figure.findobj(Text):
                assert isinstance(text, Text)
                text.set_fontfamily(list(dict.fromkeys([_FONT, *map(_font, text.get_text())])))
            _arrange(figure)
        return figure

    return styled


def _arrange(figure: Figure) -> None:
    """Lay out the panels for good: matplotlib would do it, and draw, again for every file."""
    engine = figure.get_layout_engine()
    if engine is None:  # its panels are where the page put them
        return
    engine.execute(figure)
    if _break_titles(figure):
        engine.execute(figure)
    figure.set_layout_engine(None)


def _break_titles(figure: Figure) -> bool:
    """Break in two the titles of panels that would run beyond the edge of the figure."""
    broken = False
    for ax in figure.axes:
        box, words = ax.title.get_window_extent(), ax.get_title().split(" ")
        if (box.x0 < 0 or box.x1 > figure.bbox.x1) and len(words) > 1:
            middle, broken = (len(words) + 1) // 2, True
            ax.title.set_text(" ".join(words[:middle]) + "\n" + " ".join(words[middle:]))
    return broken


def encode(figure: Figure, kind: Format = "png") -> bytes:
    """Return the figure as a PNG, PDF or SVG file, the same bytes for the same figure."""
    undated: dict[Format, dict[str, None]] = {
        "png": {"Software": None},
        "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
        "svg": {"Creator": None, "Date": None},
    }
    if kind not in undated:
        raise UserError(f"figures.format: cannot write {kind!r}; choose png, pdf or svg")
    buffer = io.BytesIO()
    with _LOCK, matplotlib.style.context(["default", Look().rc]):
        figure.savefig(buffer, format=kind, metadata=undated[kind])
    return buffer.getvalue()


def plain(name: object, most: int = 40) -> str:
    r"""Return a user's name as one line of at most `most` characters that the fonts have.

    A character that no font of the system has is written as its code point.

    >>> plain("cost $5\nto $9"), plain("a" * 50, most=5)
    ('cost $5 to $9', 'aaaa…')
    """
    return _cut([c if _font(c) else f"U+{ord(c):04X}" for c in _printable(name)], most)


def short(name: object, most: int = 40) -> str:
    r"""Return a user's name as one line of at most `most` characters, whatever the fonts have.

    >>> short("数字\n1"), short("a" * 50, most=5)
    ('数字 1', 'aaaa…')
    """
    return _cut([*_printable(name)], most)


def _printable(name: object) -> str:
    text = unicodedata.normalize("NFC", str(name))
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _cut(parts: list[str], most: int) -> str:
    """Return parts as one text of at most `most` characters; "…" stands for what is cut."""
    if len("".join(parts)) <= most:
        return "".join(parts)
    while len("".join(parts)) > most - 1:
        parts.pop()
    return "".join(parts) + "…"


def unwritable(names: tuple[str, ...]) -> str:
    """Return the characters of `names` that no font of the system has."""
    missing = (c for name in names for c in name if c.isprintable() and not _font(c))
    return "".join(dict.fromkeys(missing))


@functools.cache
def _font(character: str) -> str:
    """The first font that has the character, else ""."""
    code = ord(character)
    if character.isspace() or code in _characters(fonts.findfont(_FONT)):
        return _FONT
    faces = sorted(fonts.fontManager.ttflist, key=_is_regular)  # the last of a name stays
    found = {face.name: face.fname for face in faces}
    fit = [name for name in found if not any(word in name for word in _UNFIT)]
    order = sorted(fit, key=lambda name: (name not in _PREFERRED, name))
    return next((name for name in order if code in _characters(found[name])), "")


def _is_regular(face: fonts.FontEntry) -> bool:
    """Whether it is the upright face of normal weight, which matplotlib takes for the name."""
    return face.style == "normal" and face.weight in (400, "normal", "regular")


@functools.cache
def _characters(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()  # a font that is damaged or was removed


class _Comma(ScalarFormatter):
    """Tick labels with the decimal comma of Portuguese."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return decimal(super().__call__(x, pos), "pt")


def localise(ax: Axes, look: Look) -> None:
    """Write the ticks of both axes with the decimal mark of the language."""
    if look.lang == "pt":
        ax.xaxis.set_major_formatter(_Comma())
        ax.yaxis.set_major_formatter(_Comma())


def grid(figure: Figure, n: int, columns: int, **options: Any) -> list[Axes]:
    """Return n axes in reading order, at most `columns` in a row; the rest of the grid is empty."""
    columns = max(1, min(n, columns))
    axes = figure.subplots(-(-n // columns), columns, squeeze=False, **options)
    for ax in axes.flat[n:]:
        ax.set_visible(False)
    return list(np.ravel(axes)[:n])
