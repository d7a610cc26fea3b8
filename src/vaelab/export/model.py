"""The functions of a trained model as programs: what the explorer runs in a page."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.distributions import Independent, kl_divergence

from vaelab.export.kernels import run
from vaelab.export.program import Program
from vaelab.export.reasons import Reason, UntraceableError
from vaelab.export.trace import trace
from vaelab.models import VAE, Code, Delta, OneHots

SAME = 1e-3  # of an output, or of 1: a mistake makes more difference, the order of sums less
NAMES = ("encode", "decode", "distortion", "rates")
LARGEST = 10_000_000  # parameters, of which a page has 4 bytes each
ROWS = 4  # rows of data on which programs are compared with the model, and random ones as many


class Encode(nn.Module):
    """x -> E[z|x] and, where the posterior has one in closed form, the deviation of each z_i."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.encoder = vae.encoder

    def forward(self, x: Tensor, *y: Tensor) -> tuple[Tensor, ...]:
        q = self.encoder(x, *y)
        if isinstance(q, Delta):
            return q.mean, torch.zeros_like(q.mean)
        with suppress(NotImplementedError):  # torch's answer where a flow has no variance
            return q.mean, q.variance.sqrt()
        return (q.mean,)


class Decode(nn.Module):
    """z -> E[x|z] and, where the likelihood has one in closed form, the variance of each x_i."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.decoder = vae.decoder

    def forward(self, z: Tensor, *y: Tensor) -> tuple[Tensor, ...]:
        p = self.decoder(z, *y)
        with suppress(NotImplementedError):  # a likelihood without a variance in closed form
            return p.mean, p.variance
        return (p.mean,)


class Distortion(nn.Module):
    """x, z -> -log p(x|z), in nats."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.decoder = vae.decoder

    def forward(self, x: Tensor, z: Tensor, *y: Tensor) -> tuple[Tensor, ...]:
        return (-self.decoder(z, *y).log_prob(x),)


class Rates(nn.Module):
    """x -> KL(q(z|x) || p(z)) of each dimension where they factorise, else the whole, in nats."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.encoder, self.prior = vae.encoder, vae.prior

    def forward(self, x: Tensor, *y: Tensor) -> tuple[Tensor, ...]:
        q, p = self.encoder(x, *y), self.prior(*y)
        if isinstance(q, Independent) and isinstance(p, Independent):
            return (kl_divergence(q.base_dist, p.base_dist),)
        return (kl_divergence(q, p)[:, None],)


def functions(vae: VAE, x: Tensor) -> dict[str, Program | Reason]:
    """Return the programs `encode`, `decode`, `distortion` and `rates` of a model.

    Each takes a batch of one row, and in a conditional model the index of the class last. Where a
    function has no program, the reason is there instead, a sentence.

    Args:
        vae: The model, in evaluation mode.
        x: Some rows of its data (N, *shape) as the model takes them, on which it is compared with
            the programs.
    """
    size = sum(parameter.numel() for parameter in vae.parameters())
    if size > LARGEST:
        return dict.fromkeys(NAMES, Reason("large", size=size // 1_000_000))
    x, z, y = _examples(vae, x)
    found = _refused(vae, x[:1], *(index[:1] for index in y))
    if "encode" not in found:
        found["encode"] = _program(Encode(vae), x, *y)
    found["decode"] = _program(Decode(vae), z, *y)
    found["distortion"] = _program(Distortion(vae), x, z, *y)
    if "rates" not in found:
        found["rates"] = _program(Rates(vae), x, *y)
    return found


@torch.no_grad()
def _refused(vae: VAE, x: Tensor, *y: Tensor) -> dict[str, Program | Reason]:
    """What makes no sense for a posterior and a prior, and why."""
    q, p = vae.encoder(x, *y), vae.prior(*y)
    if isinstance(q, Code | OneHots):
        return {"encode": Reason("discrete"), "rates": Reason("discrete")}
    if isinstance(q, Delta):
        return {"rates": Reason("point")}
    try:
        kl_divergence(q, p)
    except NotImplementedError:  # torch's answer where the pair has no closed form
        return {"rates": Reason("open")}
    return {}


def _examples(vae: VAE, x: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Rows of data and random ones; the codes of the former and random ones; classes, if any."""
    generator = torch.Generator().manual_seed(0)
    x = x[:ROWS].to(torch.float32).cpu()
    low, high = x.nan_to_num(0.0).aminmax()  # a table may have empty cells
    noise = torch.rand(x.shape, generator=generator) * (high - low) + low
    z = torch.randn(len(x), vae.latent, generator=generator)
    y = (torch.arange(2 * len(x)) % len(vae.classes),) if len(vae.classes) else ()
    codes = vae.encode(x, *(vae.classes[index[: len(x)]] for index in y))
    return torch.cat([x, noise]), torch.cat([codes, z]), y


@torch.no_grad()
def _program(function: nn.Module, *examples: Tensor) -> Program | Reason:
    """Return the program of a function, if it gives the same results for the examples."""
    try:
        program = trace(function, *(given[:1] for given in examples))
    except UntraceableError as error:
        return error.reason
    rows = zip(*(given.split(1) for given in examples), strict=True)
    found = map(torch.cat, zip(*(run(program, *row) for row in rows), strict=True))
    same = all(
        torch.allclose(one, other, rtol=SAME, atol=SAME, equal_nan=True)
        for one, other in zip(found, function(*examples), strict=True)
    )
    return program if same else Reason("different")
