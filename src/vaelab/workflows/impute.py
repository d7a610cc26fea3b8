"""`impute`: fill the empty cells of a table from the cells that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaelab.data import Cells, Schema, Source
from vaelab.data.frames import framed
from vaelab.errors import UserError
from vaelab.models import POOR, Imputed, imputed
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.screen import bar
from vaelab.workflows.given import Given, given

SAMPLES = 1000  # importance samples per row


@dataclass(frozen=True)
class Filled:
    """A table with its empty cells filled in, once or several times.

    Attributes:
        run: The run.
        given: The table as it was given.
        fillings: x (N, D) without empty cells: one, or one for each draw.
        multiple: Whether the fillings are draws, and not the mean.
        effective: The effective sample size of the importance weights, (N,).
        notes: Lines for the user.
    """

    run: Run
    given: Given
    fillings: list[NDArray[np.float32]]
    multiple: bool
    effective: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """The columns of the training table."""
        assert self.run.schema is not None
        return self.run.schema

    def table(self) -> Cells:
        """Return the table as it was given: its columns in their order, every cell that was there
        as it was written. Several fillings follow one another; the column `imputation` numbers
        them.
        """
        tables = self._tables()
        if not self.multiple:
            return tables[0]
        found: Cells = {"imputation": [str(i) for i, x in enumerate(self.fillings, 1) for _ in x]}
        return found | {name: [c for t in tables for c in t[name]] for name in tables[0]}

    def frames(self) -> list[Any]:
        """Return the fillings as pandas data frames with the dtypes of the training table."""
        return [framed(table, self.schema.columns) for table in self._tables()]

    def _tables(self) -> list[Cells]:
        """The table as it was given, once for each filling."""
        assert self.given.source is not None
        written = _written(self.given.source)
        at = {column.name: i for i, column in enumerate(self.schema.modelled)}
        empty, found = self.given.x.isnan().numpy(), []
        for x in self.fillings:
            table: Cells = {}
            for name in (*written, *(name for name in at if name not in written)):
                cells = [*written.get(name, [""] * len(x))]
                if (i := at.get(name)) is not None:
                    holes = np.flatnonzero(empty[:, i])
                    filled = self.schema.modelled[i].cells(x[holes, i])
                    for row, cell in zip(holes, filled, strict=True):
                        cells[row] = cell
                table[name] = cells
            found.append(table)
        return found


def impute(
    run: Run | str | Path,
    data: Any,
    *,
    draws: int = 0,
    samples: int = SAMPLES,
    seed: int = 0,
    quiet: bool = True,
) -> Filled:
    """Fill the empty cells of a table from the cells that are there.

    With `samples` samples of q(z|x_observed) and their importance weights, an empty number becomes
    its mean under p(x_missing|x_observed), an empty category the most probable one; with `draws`,
    each filling is a sample of that distribution (multiple imputation: analyse each, and pool by
    Rubin's rules).

    Args:
        run: A run of a table, or its folder.
        data: A file, a pandas data frame or an array, with columns of the same names.
        draws: The number of multiple imputations; 0 for the mean.
        samples: The number K of importance samples per row.
        seed: The random seed.
        quiet: Whether to hide the progress bar.

    Raises:
        UserError: The run was not trained on a table whose columns are read by their types.

    References:
        Mattei & Frellsen, MIWAE: deep generative modelling and imputation of incomplete data sets,
        2019, arXiv:1812.02633.
    """
    run = load_run(run) if isinstance(run, str | Path) else run
    if run.schema is None:
        raise UserError(
            f"{run.folder}: only a table whose columns are read by their types has empty cells; "
            "train the recipe table"
        )
    rows = given(run, data)
    y = None if rows.y is None else torch.as_tensor(rows.y)
    each = imputed(run.vae, rows.x, samples, max(1, draws), seed, y)
    parts: list[Imputed] = list(bar(each, "imputation", len(rows.x), quiet=quiet))
    effective = torch.cat([part.effective for part in parts]).numpy()
    if draws:
        together = torch.cat([part.draws for part in parts], 1).numpy()
        fillings = [*together]
    else:
        fillings = [torch.cat([part.mean for part in parts]).numpy()]
    holes = rows.x.isnan()
    notes = [*rows.notes, f"{int(holes.sum()):,} empty cells in {int(holes.any(1).sum()):,} rows"]
    poor = int((effective < POOR).sum())
    if poor:
        notes.append(
            f"{poor:,} rows have fewer than {POOR:g} effective samples; set --samples "
            f"{10 * samples}"
        )
    return Filled(run, rows, fillings, bool(draws), effective, tuple(notes))


def _written(source: Source) -> Cells:
    """Return a table as it was given."""
    found: Cells = {name: [] for name in source.titles}
    for chunk in source.chunks():
        for name, cells in zip(source.titles, chunk.columns, strict=True):
            found[name] += cells
    return found
