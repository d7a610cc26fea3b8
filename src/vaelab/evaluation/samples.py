"""Decoded samples and reconstructions against images."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_distance(x: Tensor, among: Tensor) -> Tensor:
    """Euclidean distance, in pixel values, of each of x (N, *shape) to the nearest of `among` (M, *shape): (N,)."""
    # In double, or the matrix products that make cdist fast leave 0.01 between an image and its copy.
    rows, columns = x.flatten(1).double(), among.flatten(1).double()
    return torch.cat([torch.cdist(chunk, columns).min(1).values for chunk in rows.split(100)])
