"""What priors and posteriors by normalising flows share. The transformations are zuko's, an
optional extra.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.errors import needed

WIDTHS = (128, 128)  # hidden layers of the network in every step of a flow


class Flowed(Distribution):
    """z = f_n(... f_1(u)), u ~ base: log p(z) = log base(u) - sum_i log |det df_i|, in nats.

    Base and result have batch shape (B,) or () and event shape (L,). A step is a transformation of
    zuko, or of torch, to which zuko adds `call_and_ladj`. `mean` is the image of the base's mean:
    the centre that is encoded, not the expectation of z, which has no closed form.

    Rezende & Mohamed, Variational Inference with Normalizing Flows, 2015, arXiv:1505.05770.
    """

    has_rsample = True

    def __init__(self, base: Distribution, *steps: Any) -> None:
        self.base, self.steps = base, steps
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        z = self.base.mean
        for step in self.steps:
            z = step(z)
        return z

    def rsample_and_log_prob(self, sample_shape: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Return samples (*sample_shape, *batch, L) and their log density, which needs no
        inversion.
        """
        z = self.base.rsample(torch.Size(sample_shape))
        log_prob = self.base.log_prob(z)
        for step in self.steps:
            z, log_det = step.call_and_ladj(z)
            log_prob = log_prob - log_det
        return z, log_prob

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.rsample_and_log_prob(tuple(sample_shape))[0]

    def log_prob(self, value: Tensor) -> Tensor:
        log_det = torch.zeros((), dtype=value.dtype, device=value.device)
        for step in reversed(self.steps):
            value, more = step.inv.call_and_ladj(value)
            log_det = log_det + more
        return self.base.log_prob(value) + log_det


class FullPrecision(nn.Sequential):
    """Layers without autocast: a density must be the same where it is sampled and where it is
    evaluated.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            for layer in self:
                x = layer(x)
        return x


def zuko_flows() -> ModuleType:
    """Return ``zuko.flows``."""
    checked = Distribution._validate_args
    try:
        found: ModuleType = needed("zuko.flows", "for normalising flows")
        return found
    finally:
        # Importing zuko switches validation off for the whole process.
        Distribution.set_default_validate_args(checked)


def near_identity(flow: Any) -> nn.Module:
    """Return the transformation of a zuko flow, initialised close to z -> z: its parameters are
    close to 0.
    """
    for step in flow.transform.transforms:
        if hasattr(step, "hyper"):
            step.hyper = FullPrecision(*step.hyper)
        last = step.hyper[-1] if hasattr(step, "hyper") else step  # one dimension needs no network
        with torch.no_grad():
            for parameter in last.parameters():
                parameter.mul_(0.01)
    transform: nn.Module = flow.transform
    return transform
