"""Rules: does the model treat the columns of a table as they deserve?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from vaelab.data import Array, Column
from vaelab.errors import printable, quoted
from vaelab.evaluation.doctor.evidence import SURE, WORTH, Evidence, error_of
from vaelab.evaluation.doctor.finding import Finding, Sentence, either, say
from vaelab.evaluation.metrics.columns import associations
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.metrics.rows import words_of

SILENT = 0.05  # nats per cell; a column whose code saves less is not reconstructed
DOMINANT = 0.5  # share of all nats that the code saves, of a table of at least LEAST columns
LEAST = 4
FLOOR = 2.0  # a sigma below this many times its lower limit, which it approaches slowly, is at it
APART = 100.0  # ratio of the deviations of two columns that one sigma cannot fit
FEW = 50  # with fewer rows, what looks like an identifier may be chance
UNIQUE = 0.98  # share of whole numbers or categories of a column that occur once
SAME = 0.999  # an association above which one column is a function of the other
EMPTY = 0.5  # share of empty cells
SHOWN = 5  # names in a sentence


def scales(e: Evidence) -> Finding | None:
    """Diagnose columns of different scales under a likelihood with one sigma for all."""
    run, finding = e.evaluator.run, partial(Finding, "column scales")
    x = e.evaluator.x_train
    if run.form != "table" or run.schema is not None or not _has_one_sigma(e):
        return None
    spreads = x.float().std(0)
    spreads = spreads[spreads > 0]
    if e.recipe.data.standardise or len(spreads) < 2:
        return finding("fine", [say("the columns are standardised")]) if len(spreads) > 1 else None
    ratio = float(spreads.max() / spreads.min())
    says = [say("the scales of the columns", ratio=ratio)]
    if ratio < APART:
        return finding("fine", says)
    says += [say("the largest column takes all")]
    typed = f"vaelab train table --data.source {quoted(e.recipe.data.source)}"
    return finding("fault", says, either(typed, "--data.standardise true"))


def _has_one_sigma(e: Evidence) -> bool:
    return e.recipe.model.likelihood.startswith(("gaussian", "laplace", "student"))


def few_rows(e: Evidence) -> Finding | None:
    """Diagnose a model with more parameters than cells that does worse on held-out rows.

    The gap is that at the end of the training: the weights that are kept may be older.
    """
    found, finding = e.cells, partial(Finding, "few rows")
    if found is None or e.unseen == "train":
        return None
    parameters = sum(p.numel() for p in e.evaluator.vae.parameters())
    n, width = e.evaluator.x_train.shape
    ours, theirs = e.loss("train"), e.loss(e.unseen)
    apart = e.losses(e.unseen)[-1] - e.losses("train")[-1]
    gap = Estimate(apart, error_of(ours, theirs))
    says = [say("parameters and rows", parameters=parameters, count=n, cells=n * width)]
    if parameters <= n * width or gap.value <= max(WORTH, SURE * error_of(gap)):
        return finding("fine", says)
    says += [say("the gap of few rows", gap=gap)]
    smaller = f"--model.hidden {max(8, e.recipe.model.hidden[0] // 4)}"
    remedy = either(smaller, "--model.dropout 0.2", say("more images"))
    if theirs.value < found.independent.value - WORTH:
        return finding("remark", says, remedy)
    costs = {"loss": theirs.value, "independent": found.independent.value}
    return finding("fault", [*says, say("no better than independent columns", **costs)], remedy)


def dominant_column(e: Evidence) -> Finding | None:
    """Diagnose a column whose sigma is at its limit, or for which most of the code is spent."""
    finding = partial(Finding, "dominant column")
    if e.cells is None:
        return None
    narrow = _narrow(e)
    if narrow:
        says = [say("sigma at its limit", names=_listed(narrow)), say("digits are rewarded")]
        return finding("fault", says, _ignoring(e, narrow))
    gains = [max(gain.value, 0.0) for gain in e.cells.gains if math.isfinite(gain.value)]
    total = sum(gains)
    if len(gains) < LEAST or total < WORTH:
        return None
    first = int(np.argmax(gains))
    slots = {"name": _named(e.columns[first]), "gain": gains[first], "total": total}
    says = [say("the column that the code is spent on", share=100 * gains[first] / total, **slots)]
    if gains[first] < DOMINANT * total:
        return finding("fine", says)
    return finding("remark", says, _ignoring(e, [e.columns[first]]))


def _narrow(e: Evidence) -> list[Column]:
    """Return the columns of numbers whose sigma is at its lower limit."""
    found = []
    for block in getattr(e.evaluator.vae.decoder, "blocks", ()):
        if hasattr(block, "least"):
            at = (block.sigma < FLOOR * block.least).tolist()
            found += [c for c, narrow in zip(block.columns, at, strict=True) if narrow]
    return found


def silent_columns(e: Evidence) -> Finding | None:
    """Diagnose columns that are reconstructed no better than by their marginal distribution."""
    if e.cells is None:
        return None
    finding = partial(Finding, "silent columns")
    silent = [
        column
        for column, gain in zip(e.columns, e.cells.gains, strict=True)
        if gain.value < min(SILENT, SURE * error_of(gain))
    ]
    total = len(e.columns)
    if not silent:
        return finding("fine", [say("the code says something of every column", total=total)])
    says = [say("columns that the code is silent on", names=_listed(silent), total=total)]
    return finding("remark", says, _ignoring(e, silent) if len(silent) < total else "")


def identifiers(e: Evidence) -> Finding | None:
    """Diagnose columns that name the row: a value of its own for nearly every row, or one that
    grows with the row number.
    """
    if not e.columns:
        return None
    finding, found, clear = partial(Finding, "identifiers"), [], []
    for column, values in zip(e.columns, e.rows.T, strict=True):
        filled = values[~np.isnan(values)]
        if len(filled) < FEW or column.kind == "date":
            continue
        counts = np.unique(filled, return_counts=True)[1]
        discrete = column.kind in ("categorical", "ordinal") or column.decimals == 0
        unique = discrete and (counts == 1).sum() > UNIQUE * len(filled)
        ordered = len(counts) > FEW and _follows_order(values)
        found += [column] if unique or ordered else []
        clear += [column] if unique and ordered else []
    if not found:
        return finding("fine", [say("no column names the row")])
    says = [say("columns that may name the row", names=_listed(found)), say("names do not repeat")]
    return finding("fault" if clear else "remark", says, _ignoring(e, found))


def _follows_order(values: Array) -> bool:
    order = np.arange(len(values), dtype=float)
    return bool(abs(associations(np.stack([order, values], 1), [False, False])[0, 1]) > SAME)


def redundant_columns(e: Evidence) -> Finding | None:
    """Diagnose columns that are a function of another one, and so count twice in the loss."""
    if len(e.columns) < 2:
        return None
    finding, words = partial(Finding, "redundant columns"), words_of(e.columns)
    sizes = np.array([len(np.unique(x[~np.isnan(x)])) for x in e.rows.T])
    filled = (~np.isnan(e.rows)).sum(0)
    # Each value of a category must occur often: else it determines any other column.
    usable = (filled >= FEW) & (~words | (sizes * 5 <= filled)) & (sizes > 1)
    strength = np.abs(associations(e.rows, words)) > SAME
    pairs = [
        (e.columns[i], e.columns[j])
        for i, j in zip(*np.triu_indices(len(words), 1), strict=True)
        if strength[i, j] and usable[i] and usable[j]
    ]
    if not pairs:
        return finding("fine", [say("no column repeats another")])
    shown = ", ".join(f"{_named(a)} – {_named(b)}" for a, b in pairs[:SHOWN])
    says = [say("columns that repeat another", pairs=shown + " ..." * (len(pairs) > SHOWN))]
    again = list({b.name: b for _, b in pairs}.values())
    return finding("remark", [*says, say("what repeats counts twice")], _ignoring(e, again))


def empty_cells(e: Evidence) -> Finding | None:
    """Diagnose columns most of whose cells are empty."""
    if not any(column.holes for column in e.columns):
        return None
    finding = partial(Finding, "empty cells")
    shares = [column.holes / max(1, column.holes + column.rows) for column in e.columns]
    says = [say("empty cells at most", share=100 * max(shares))]
    many = [c for c, share in zip(e.columns, shares, strict=True) if share > EMPTY]
    if not many:
        return finding("fine", says)
    says = [say("columns of empty cells", names=_listed(many)), say("little is learned of them")]
    return finding("remark", says, _ignoring(e, many))


def _listed(columns: Sequence[Column]) -> str:
    """Return the names of columns, the first few of many."""
    names = ", ".join(map(_named, columns[:SHOWN]))
    return f"{names} ..." if len(columns) > SHOWN else names


def _named(column: Column) -> str:
    return f"'{printable(column.name)}'"


def _ignoring(e: Evidence, columns: Sequence[Column]) -> Sentence | str:
    """Return the setting that leaves columns out, beside those that are left out already."""
    names = [*e.recipe.data.ignore, *(column.name for column in columns)]
    if any("," in name or name.startswith("-") for name in names):  # no command line takes them
        return say("leave them out in the recipe")
    return f"--data.ignore {quoted(','.join(names))}"
