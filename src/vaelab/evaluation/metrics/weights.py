"""Estimates from log importance weights (K, B)."""

from __future__ import annotations

import math

from torch import Tensor


def curve(log_w: Tensor) -> dict[int, Tensor]:
    """-log (1/k) sum_k w, (B,), at k = 1, 10, 100, ... and K, all from log weights (K, B).

    A smaller k is the mean over K // k groups of weights that share none, so all are used and each group is a fair one.
    """
    total = len(log_w)
    sizes = [10**i for i in range(len(str(total))) if 10**i < total] + [total]
    groups = {k: log_w[: total // k * k].unflatten(0, (-1, k)) for k in sizes}  # (K // k, k, B)
    return {k: math.log(k) - group.logsumexp(1).mean(0) for k, group in groups.items()}


def effective_samples(log_w: Tensor) -> Tensor:
    """(sum_k w)^2 / sum_k w^2, (B,), from 1 to K, of log weights (K, B): K where all are equal."""
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()
