"""The likelihood of a table: each column has the distribution of its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaelab.data import Schema
from vaelab.errors import UserError
from vaelab.models.likelihoods.base import Likelihood, Support
from vaelab.models.likelihoods.categories import Binary, Categorical, Choice, Ordinal
from vaelab.models.likelihoods.numbers import Block, Count, Heavy, Positive, Real
from vaelab.models.networks import at_least_float32
from vaelab.models.units import Units

BLOCKS: dict[str, type[Block]] = {
    "real": Real,
    "date": Real,
    "heavy": Heavy,
    "positive": Positive,
    "count": Count,
    "binary": Binary,
    "categorical": Categorical,
    "ordinal": Ordinal,
}


class Mixed(Likelihood):
    """log p(x|z) = sum_j log p_j(x_j|z) over the cells that are not empty, in nats; p_j is the
    distribution of column j's kind.

    An empty cell is NaN and contributes nothing, so that the sum is the log density of the observed
    cells.

    Nazabal, Olmos, Ghahramani & Valera, Handling incomplete heterogeneous data using VAEs, 2020,
    arXiv:1807.03653.
    Mattei & Frellsen, MIWAE: deep generative modelling and imputation of incomplete data sets,
    2019, arXiv:1812.02633.
    """

    support: Support = "columns"

    def __init__(self, network: nn.Module, schema: Schema | None, units: Units | None) -> None:
        super().__init__(network)
        if schema is None or units is None:
            raise UserError(
                "model.likelihood: 'mixed' needs a table whose columns are read by their types; "
                "set data.treatment to columns, or model.likelihood to gaussian"
            )
        self.which: list[list[int]] = []  # the columns of each block
        blocks = []
        for kind, block in BLOCKS.items():
            if index := schema.of(kind):
                columns = [schema.modelled[i] for i in index]
                blocks.append(block(columns, units.shift[index], units.scale[index]))
                self.which.append(index)
        self.blocks = nn.ModuleList(blocks)
        in_blocks = torch.tensor([i for which in self.which for i in which])
        self.register_buffer("order", in_blocks.argsort(), persistent=False)
        self.register_buffer("index", in_blocks, persistent=False)
        self.bias = nn.Parameter(torch.zeros(self.total(schema)))

    order: Tensor
    index: Tensor

    @staticmethod
    def total(schema: Schema) -> int:
        """Return the numbers that the decoder puts out for a row."""
        return sum(len(c.values) if c.kind == "categorical" else 1 for c in schema.modelled)

    @property
    def start_from_images(self) -> Callable[[Tensor], None]:
        """Set the first outputs to the frequencies and means of rows x (B, D)."""
        return self._set_bias

    @property
    def parts(self) -> list[Block]:
        """The blocks with their type, which a ModuleList does not know."""
        return [*cast("Iterable[Block]", self.blocks)]

    @torch.no_grad()
    def _set_bias(self, x: Tensor) -> None:
        parts = x[:, self.index.cpu()].split([len(i) for i in self.which], 1)
        first = [block.start(part) for block, part in zip(self.parts, parts, strict=True)]
        self.bias.copy_(torch.cat(first).nan_to_num(0.0))

    def forward(self, z: Tensor, *y: Tensor) -> Independent[Distribution]:
        given = (labels.expand(z.shape[:-1]).flatten() for labels in y)
        outputs = at_least_float32(self.network(z.flatten(0, -2), *given))[:, 0]  # (N, S)
        return Independent(self.elements(outputs.unflatten(0, z.shape[:-1])), 1, False)

    def elements(self, outputs: Tensor) -> Columns:
        parts = (outputs + self.bias).split([block.outputs for block in self.parts], -1)
        found = [block(part) for block, part in zip(self.parts, parts, strict=True)]
        neutral = [block.neutral for block in self.parts]
        return Columns(found, neutral, self.index, self.order)


class Columns(Distribution):
    """The distributions of all columns side by side, batch shape (..., D).

    Args:
        parts: The distributions of the columns of each block, (..., C).
        neutral: A value for empty cells, for each block.
        index: The columns (D,) in the order of the blocks.
        order: The inverse of that order.
    """

    def __init__(
        self, parts: Sequence[Distribution], neutral: Sequence[float], index: Tensor, order: Tensor
    ) -> None:
        self.parts, self.neutral, self.index, self.order = parts, neutral, index, order
        self.sizes = [part.batch_shape[-1] for part in parts]
        shape = torch.Size((*parts[0].batch_shape[:-1], len(index)))
        super().__init__(shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        empty = value.isnan()
        pieces = value[..., self.index].split(self.sizes, -1)
        found = [
            part.log_prob(torch.where(piece.isnan(), neutral, piece))
            for part, piece, neutral in zip(self.parts, pieces, self.neutral, strict=True)
        ]
        return torch.where(empty, 0.0, self._in_order(found))

    @property
    def mean(self) -> Tensor:
        """The mean of each number, the most probable of categories: (..., D)."""
        return self._in_order([part.mean for part in self.parts])

    def expectation(self, w: Tensor) -> Tensor:
        """Return the mean of the mixture of K rows of a batch (K, ..., D) with the weights w (K,).

        Of categories it is the one of the largest probability, (..., D).
        """
        w = w.view(-1, *[1] * (len(self.batch_shape) - 1))
        return self._in_order(
            [
                part.logits.exp().mul(w[..., None]).sum(0).argmax(-1).to(w)
                if isinstance(part, Choice)
                else part.mean.mul(w).sum(0)
                for part in self.parts
            ]
        )

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self._in_order([part.sample(torch.Size(sample_shape)) for part in self.parts])

    def _in_order(self, found: Sequence[Tensor]) -> Tensor:
        return torch.cat([*found], -1)[..., self.order]
