"""The columns of a table as the networks see them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from vaelab.data import Schema
from vaelab.models.units import Units

FARTHEST = 10.0  # scales from the centre, at which the encoder sees all values beyond


class Features(nn.Module):
    """An encoder network that is given a row of a table x (B, D) as features (B, E).

    A number is standardised, an ordered value lies in [-1, 1], a category is one-hot; all are 0
    where the cell is empty or its value was never seen, and D more features say where that is so
    (1 for an empty cell).
    """

    def __init__(self, network: nn.Module, schema: Schema, units: Units) -> None:
        super().__init__()
        self.network, self.units = network, units
        self.categories = schema.of("categorical")
        self.numbers = schema.of("real", "heavy", "positive", "count", "date")
        self.ordered = schema.of("binary", "ordinal")
        self.sizes = [len(schema.modelled[i].values) for i in self.categories]
        tops = [len(schema.modelled[i].values) - 1 for i in self.ordered]
        self.register_buffer("tops", torch.tensor(tops, dtype=torch.float32), persistent=False)
        for kind in ("positive", "count"):
            which = torch.tensor([column.kind == kind for column in schema.modelled])
            self.register_buffer(kind, which, persistent=False)

    tops: Tensor  # the greatest index of each ordered column
    positive: Tensor  # (D,), whether a column is of this kind
    count: Tensor

    @staticmethod
    def width(schema: Schema) -> int:
        """Return E, the number of features."""
        categories = schema.of("categorical")
        sizes = sum(len(schema.modelled[i].values) for i in categories)
        return 2 * len(schema.modelled) - len(categories) + sizes

    def forward(self, x: Tensor, *y: Tensor) -> Tensor:
        features: Tensor = self.network(self.features(x), *y)
        return features

    def features(self, x: Tensor) -> Tensor:
        """Return the features (B, E) of rows x (B, D)."""
        found = [self._standardised(x)[:, self.numbers]]
        if self.ordered:
            index = x[:, self.ordered]
            seen = index.le(self.tops)  # neither empty nor unseen
            found.append(torch.where(seen, 2 * index / self.tops - 1, 0.0))
        for i, size in zip(self.categories, self.sizes, strict=True):
            code = x[:, i].nan_to_num(size).clamp(max=size).long()
            found.append(one_hot(code, size + 1)[:, :size].to(x))
        return torch.cat([*found, x.isnan().to(x)], 1)

    def _standardised(self, x: Tensor) -> Tensor:
        shift, tiny = self.units.shift, torch.finfo(x.dtype).tiny
        u = torch.where(self.positive, x.clamp(min=tiny).log() - shift, x - shift)
        u = torch.where(self.count, x.clamp(min=0).log1p() - shift.exp().log1p(), u)
        return (u / self.units.scale).clamp(-FARTHEST, FARTHEST).nan_to_num(0.0)
