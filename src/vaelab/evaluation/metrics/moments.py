"""Shift and scale of codes: their mean and standard deviation, with standard errors."""

from __future__ import annotations

from torch import Tensor

from vaelab.evaluation.metrics.estimates import Estimate


def moments(z: Tensor) -> tuple[Estimate, Estimate]:
    """Return mean m and standard deviation s of all elements of codes z (N, L).

        m = mean_ij z_ij,    s^2 = mean_ij (z_ij - m)^2

    The N images are independent, the elements of one code need not be. The standard errors are
    therefore those of means over images: of mean_j z_ij, and by the delta method of
    mean_j (z_ij - m)^2 / 2s. One column of z has the moments of that dimension.

    Example:
        >>> import torch
        >>> mean, deviation = moments(torch.tensor([[0.0, 2.0], [4.0, 2.0]]))
        >>> mean.value, round(deviation.value, 4)
        (2.0, 1.4142)
    """
    z = z.detach().cpu().double()
    mean = z.mean()
    squares = (z - mean).square().mean(1)  # (N,)
    deviation = squares.mean().sqrt()
    root = len(z) ** 0.5
    if len(z) < 2:
        return Estimate(float(mean)), Estimate(float(deviation))
    # Codes that never vary have a deviation of 0, and its error is 0.
    error = squares.std() / (2 * deviation.clamp(min=1e-300)) / root
    return Estimate(float(mean), float(z.mean(1).std() / root)), Estimate(
        float(deviation), float(error)
    )
