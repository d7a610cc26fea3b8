"""A learned prior of quantised codes: a causal transformer over their indices."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution
from torch.distributions.kl import register_kl
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from vaelab import devices
from vaelab.models.codes.quantised import Code, Quantised
from vaelab.models.linear import Linear
from vaelab.models.networks import at_least_float32
from vaelab.models.parts import Borrowed

WIDTH, HEADS, LAYERS = 64, 4, 2  # 8 tokens are as much work as a 784-512 encoder and decoder


class Autoregressive(nn.Module):
    """p(z) = prod_t p(i_t | i_1 .. i_t-1) over the indices i of z's vectors, each a softmax of a
    causal transformer.

    In a conditional model the transformer starts from the class. Transformer: Vaswani et al.,
    Attention is all you need, 2017, arXiv:1706.03762, with the normalisation first; as the prior of
    codes: van den Oord et al. 2017.
    """

    def __init__(self, encoder: Quantised, latent: int, classes: int) -> None:
        super().__init__()
        values = len(encoder.table)
        self.encoder = Borrowed(encoder)
        self.start, self.token = nn.Embedding(max(classes, 1), WIDTH), nn.Embedding(values, WIDTH)
        self.place = nn.Parameter(torch.zeros(latent, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), Linear(WIDTH, values))

    def forward(self, *y: Tensor) -> CodeSequence:
        return CodeSequence(
            self, self.encoder.module, self.start(y[0]) if y else self.start.weight[0]
        )

    def logits(self, start: Tensor, before: Tensor) -> Tensor:
        """Return the logits of every index up to the one after those `before` (N, t), (N, t + 1,
        C); start (N, W).
        """
        x = torch.cat([start[:, None], self.token(before)], 1)  # (N, t + 1, W)
        seen: Tensor = self.blocks(x + self.place[: x.shape[1]])
        logits = at_least_float32(self.head(seen.flatten(0, 1)))
        return logits.view(*seen.shape[:2], -1)


class Block(nn.Module):
    """x + attention(norm(x)) for x (N, T, W), causal; then x + mlp(norm(x))."""

    def __init__(self) -> None:
        super().__init__()
        self.attended = nn.Sequential(nn.LayerNorm(WIDTH), Linear(WIDTH, 3 * WIDTH))
        self.joined = Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH), Linear(WIDTH, 4 * WIDTH), nn.GELU(), Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)  # (N T, W): Linear is fast for two dimensions
        q, k, v = self.attended(rows).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v, is_causal=True)  # (N, heads, T, W / heads)
        rows = rows + self.joined(seen.transpose(1, 2).flatten(2).flatten(0, 1))
        out: Tensor = rows + self.mlp(rows)
        return out.view_as(x)


class CodeSequence(Distribution):
    """The prior's distribution of z (L,), with start (*batch, W); log_prob is that of a
    probability, in nats.
    """

    def __init__(self, prior: Autoregressive, encoder: Quantised, start: Tensor) -> None:
        self.prior, self.encoder, self.start = prior, encoder, start
        self.tokens = len(prior.place)
        super().__init__(
            start.shape[:-1], torch.Size([self.tokens * encoder.width]), validate_args=False
        )

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_mass(self.encoder.indices(value))

    def log_mass(self, indices: Tensor) -> Tensor:
        """Return log p of the indices (..., T): (...)."""
        start = self.start.expand(*indices.shape[:-1], -1).reshape(-1, WIDTH)
        rows = indices.reshape(-1, self.tokens)  # (N, T)
        logits = self.prior.logits(start, rows[:, :-1])  # (N, T, C)
        surprise = cross_entropy(logits.movedim(-1, 1), rows, reduction="none")  # (N, T)
        return -surprise.sum(-1).view(indices.shape[:-1])

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        starts = self.start.expand(*sample_shape, *self.start.shape)
        # Of one row: the widest layer of the transformer, or the logits, in a few copies.
        widest = 4 * self.tokens * max(4 * WIDTH, len(self.encoder.table))
        chunks = starts.reshape(-1, WIDTH).split(devices.at_once(4 * widest))
        indices = torch.cat([self._indices(chunk) for chunk in chunks])
        return self.encoder.vectors(indices.view(*starts.shape[:-1], -1))

    def _indices(self, start: Tensor) -> Tensor:
        """Sample one index after the other, (N, T)."""
        indices = torch.empty(len(start), 0, dtype=torch.int64, device=start.device)
        for _ in range(self.tokens):
            following = Categorical(
                logits=self.prior.logits(start, indices)[:, -1], validate_args=False
            ).sample()
            indices = torch.cat([indices, following[:, None]], 1)
        return indices


def _code_length(q: Code, p: CodeSequence) -> Tensor:
    return -p.log_mass(q.indices)


register_kl(Code, CodeSequence)(_code_length)
