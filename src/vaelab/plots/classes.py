"""Classes in figures: a class keeps its name, its colour and its marker in all figures of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from vaelab.plots.style import COLOURS, Array, Labels, Look, plain, short

MARKERS = "o^s"
MOST = len(COLOURS) * len(MARKERS)  # classes that colour and marker together can tell apart
SHOWN = len(COLOURS) - 1  # of more classes: those with a colour; the others are grey
GREY = "#b0b0b0"
UNLABELLED = COLOURS[1]


class Classes(NamedTuple):
    """The classes of a run that have a colour of their own, and how many share the grey."""

    labels: tuple[int, ...] = ()  # ascending
    names: tuple[str, ...] = ()  # short; a figure replaces what its fonts do not have
    others: int = 0

    @property
    def styles(self) -> list[tuple[str, str]]:
        """Colour and marker of each class."""
        n = len(COLOURS)
        return [(COLOURS[i % n], MARKERS[i // n]) for i in range(len(self.labels))]

    def groups(self, y: Labels, n: int) -> list[tuple[str, str, str, Array]]:
        """Return name, colour, marker and mask (n,) of each class that occurs among the labels y.

        Those without a colour come first, and so below the others; without labels all are one
        group.
        """
        if y is None:
            return [("", UNLABELLED, "o", np.ones(n, bool))]
        y = np.asarray(y)
        of_each = [
            (name, *style, y == label)
            for label, name, style in zip(self.labels, self.names, self.styles, strict=True)
        ]
        rest = ("", GREY, "o", ~np.isin(y, self.labels))
        return [group for group in (rest, *of_each) if group[3].any()]

    def named(self, y: Labels) -> list[str]:
        """Return the name of each label; its number where the class has no colour."""
        known = dict(zip(self.labels, self.names, strict=True))
        return [] if y is None else [known.get(int(label), f"{label}") for label in y]


NO_CLASSES = Classes()


def classes_of(y: Labels, names: Sequence[str] = ()) -> Classes:
    """Return the classes of a run from the labels of all of its data, and their names by label.

    Of more than `MOST` classes, the `SHOWN` most frequent have colours.
    """
    if y is None:
        return Classes()
    present, counts = np.unique(np.asarray(y), return_counts=True)
    known = np.arange(len(names)) if len(names) else present
    shown = known
    if len(known) > MOST:
        shown = np.sort(present[np.argsort(-counts, kind="stable")[:SHOWN]])
    labels = tuple(int(label) for label in shown)
    texts = tuple(short(names[i] if i < len(names) else i, 24) for i in labels)
    return Classes(labels, texts, len(known) - len(shown))


def draw_key(where: Figure | Axes, classes: Classes, look: Look) -> None:
    """Draw the legend of the classes at the right of a figure, or at the right of its scatter."""
    if not classes.labels:
        return
    names, styles = [plain(name, 24) for name in classes.names], classes.styles
    if classes.others:
        names.append(look.text("others", count=classes.others))
        styles.append((GREY, "o"))
    dots = [Line2D([], [], color=c, marker=m, ms=0.55 * look.points, ls="") for c, m in styles]
    columns = 1 if len(names) <= 16 else 2
    words: dict[str, Any] = {"title": look.text("class"), "handletextpad": 0.1, "ncols": columns}
    blank = ["-"] * len(dots)  # a name that begins with "_" would be left out
    legend: Legend
    if isinstance(where, Figure):
        legend = where.legend(dots, blank, loc="outside right center", **words)
    else:
        # Beside one panel of several there is less room.
        most = 16 if columns == 1 else 8
        names = [name if len(name) <= most else f"{name[: most - 1]}…" for name in names]
        words |= {"bbox_to_anchor": (1.0, 0.5), "borderaxespad": 0.2}
        words |= {"fontsize": "x-small", "columnspacing": 0.8} if columns == 2 else {}
        legend = where.legend(dots, blank, loc="center left", **words)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
