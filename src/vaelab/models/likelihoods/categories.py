"""Distributions of the columns of a table that contain one of several values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from vaelab.data import Column
from vaelab.models.likelihoods.numbers import Block


class Binary(Block):
    """A Bernoulli distribution of the second value, of logit the output."""

    def forward(self, outputs: Tensor) -> Distribution:
        logits = torch.stack([-outputs / 2, outputs / 2], -1)  # (..., C, 2)
        return Choice(logits, unseen(self.columns).to(outputs))

    def start(self, x: Tensor) -> Tensor:
        return x.nanmean(0).clamp(0.01, 0.99).logit()


class Categorical(Block):
    """A free probability for each of a column's values, by a logit each."""

    where: Tensor  # (C, K) the output of each value of each column; `total` where there is none

    def __init__(self, columns: Sequence[Column], shift: Tensor, scale: Tensor) -> None:
        super().__init__(columns, shift, scale)
        sizes = [len(column.values) for column in columns]
        self.total = sum(sizes)
        where = torch.full((len(columns), max(sizes)), self.total)
        for i, size in enumerate(sizes):
            where[i, :size] = torch.arange(size) + sum(sizes[:i])
        self.register_buffer("where", where, persistent=False)

    @property
    def outputs(self) -> int:
        return self.total

    def forward(self, outputs: Tensor) -> Distribution:
        none = outputs.new_full((*outputs.shape[:-1], 1), -math.inf)
        logits = torch.cat([outputs, none], -1)[..., self.where]  # (..., C, K)
        return Choice(logits, unseen(self.columns).to(outputs))

    def start(self, x: Tensor) -> Tensor:
        found = []
        for i, column in enumerate(self.columns):
            codes = x[:, i][~x[:, i].isnan()].long()
            codes = codes[codes < len(column.values)]
            counts = torch.bincount(codes, minlength=len(column.values)) + 0.5
            found.append((counts / counts.sum()).log())
        return torch.cat(found)


class Ordinal(Block):
    """Cumulative logits: P(v <= k) = s(c_k - output), s the sigmoid and c_k increasing thresholds,
    learned for each column.

    McCullagh, Regression models for ordinal data, 1980.
    """

    def __init__(self, columns: Sequence[Column], shift: Tensor, scale: Tensor) -> None:
        super().__init__(columns, shift, scale)
        self.steps = max(len(column.values) for column in columns) - 1
        first = torch.zeros(len(columns), self.steps)
        self.raw = nn.Parameter(first)  # c_0, then the logarithms of the steps

    def thresholds(self) -> Tensor:
        """Return c (C, K - 1); infinite beyond the values of a column."""
        steps = torch.cat([self.raw[:, :1], self.raw[:, 1:].exp()], 1).cumsum(1)
        used = torch.tensor([len(column.values) - 1 for column in self.columns])
        beyond = torch.arange(self.steps) >= used[:, None]
        return steps.masked_fill(beyond.to(steps.device), math.inf)

    def forward(self, outputs: Tensor) -> Distribution:
        c = self.thresholds()
        above = c - outputs[..., None]  # (..., C, K - 1)
        ends = above.new_full((*above.shape[:-1], 1), math.inf)
        upper, lower = torch.cat([above, ends], -1), torch.cat([-ends, above], -1)
        return Choice(_log_between(lower, upper), unseen(self.columns).to(outputs))

    @torch.no_grad()
    def start(self, x: Tensor) -> Tensor:
        for i, column in enumerate(self.columns):
            codes = x[:, i][~x[:, i].isnan()].long()
            codes = codes[codes < len(column.values)]
            counts = torch.bincount(codes, minlength=len(column.values)) + 0.5
            c = (counts.cumsum(0) / counts.sum())[:-1].clamp(1e-4, 1 - 1e-4).logit()
            self.raw[i, 0] = c[0]
            self.raw[i, 1 : len(c)] = c.diff().clamp(min=1e-3).log()
        return torch.zeros(len(self.columns))


def _log_between(lower: Tensor, upper: Tensor) -> Tensor:
    """log(s(b) - s(a)) for a < b: log s(b) + log s(-a) + log(1 - e^(a - b)); a and b may be
    infinite, and nothing lies between two equal infinities.
    """
    empty = lower.isinf() & upper.isinf() & (lower == upper)
    a, b = lower.masked_fill(empty, 0.0), upper.masked_fill(empty, 1.0)
    both = a.isfinite() & b.isfinite()
    gap = torch.where(both, a - b, torch.full_like(a, -1.0)).clamp(max=-1e-6)
    inner = torch.where(both, (-torch.expm1(gap)).log(), torch.zeros_like(a))
    below = torch.where(a.isfinite(), logsigmoid(-a.clamp(-1e4, 1e4)), torch.zeros_like(a))
    above = torch.where(b.isfinite(), logsigmoid(b.clamp(-1e4, 1e4)), torch.zeros_like(b))
    return (inner + below + above).masked_fill(empty, -math.inf)


def unseen(columns: Sequence[Column]) -> Tensor:
    """Return log 1 / (n + 1) (C,), the log probability of a value that none of n cells has."""
    return -torch.tensor([float(column.rows + 1) for column in columns]).log()


class Choice(Distribution):
    """One of K values for each column, by logits (..., C, K); `mean` is the most probable one.

    The index K stands for a value that was never seen; its log probability is given.
    """

    def __init__(self, logits: Tensor, unseen: Tensor) -> None:
        self.logits, self.unseen = logits.log_softmax(-1), unseen
        super().__init__(logits.shape[:-1], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        code = value.long().expand(shape)
        last = self.logits.shape[-1] - 1
        found = self.logits.expand(*shape, -1).gather(-1, code.clamp(0, last)[..., None])[..., 0]
        known = found.isfinite() & (code <= last)
        return torch.where(known, found, self.unseen.expand(shape))

    @property
    def mean(self) -> Tensor:
        return self.logits.argmax(-1).to(self.logits)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        shape = (*sample_shape, *self.logits.shape)
        noise = torch.rand(shape, device=self.logits.device, dtype=self.logits.dtype)
        gumbel = -(-noise.clamp(min=torch.finfo(noise.dtype).tiny).log()).log()
        return (self.logits + gumbel).argmax(-1).to(self.logits)
