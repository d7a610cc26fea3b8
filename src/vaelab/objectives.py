"""Objectives: plain functions from a `Draw` to nats per image (B,), to be maximised."""

from __future__ import annotations

from torch import Tensor

from vaelab.core import Draw


def elbo(draw: Draw, beta: float = 1.0) -> Tensor:
    """E_q[log p(x|z)] - beta KL(q(z|x) || p(z)), (B,); at beta = 1 a lower bound of log p(x).

    Kingma & Welling 2013, arXiv:1312.6114; beta: Higgins et al., beta-VAE, 2017, ICLR.
    """
    return -draw.distortion - beta * draw.rate
