"""Estimates from log importance weights (K, B)."""

from __future__ import annotations

import math

from torch import Tensor


def curve(log_w: Tensor) -> dict[int, Tensor]:
    """Return -log (1/k) sum_k w, (B,), in nats, for k = 1, 10, 100, ... and K, by k.

    The log weights are (K, B). For a smaller k, the value is the mean over K // k disjoint groups
    of weights, so that all groups are used.
    """
    total = len(log_w)
    sizes = [10**i for i in range(len(str(total))) if 10**i < total] + [total]
    groups = {k: log_w[: total // k * k].unflatten(0, (-1, k)) for k in sizes}  # (K // k, k, B)
    return {k: math.log(k) - group.logsumexp(1).mean(0) for k, group in groups.items()}


def effective_samples(log_w: Tensor) -> Tensor:
    """Effective sample size (sum_k w)^2 / sum_k w^2, (B,), in [1, K], of log weights (K, B).

    It is K where all weights are equal.
    """
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()
