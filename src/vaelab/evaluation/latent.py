"""The codes of a trained model."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def explained_variance(means: Tensor, components: int = 2) -> float:
    """Share of the variance of codes (N, L) that their first principal components hold, in [0, 1] (0: all equal)."""
    centred = (means - means.mean(0)).double()
    variances = torch.linalg.svdvals(centred) ** 2
    return float(variances[:components].sum() / variances.sum()) if variances.any() else 0.0


def neighbours_agree(codes: Tensor, labels: NDArray[Any], others: Tensor, truth: NDArray[Any], k: int = 15) -> float:
    """Share of the codes `others` (M, L) whose class the k nearest of `codes` (N, L) vote right, in [0, 1]."""
    from sklearn.neighbors import KNeighborsClassifier  # here, for it takes a second to import

    voters = KNeighborsClassifier(min(k, len(codes))).fit(codes.numpy(), labels)
    return float(voters.score(others.numpy(), truth))
