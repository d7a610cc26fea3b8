"""Reconstruction quality in pixels: PSNR and structural similarity."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab import devices
from vaelab.errors import UserError

PEAK = 100.0  # dB, the PSNR of a perfect reconstruction


def psnr(mse: Tensor, span: float) -> Tensor:
    """Peak signal-to-noise ratio 10 log10(span^2 / mse), in dB; at most PEAK.

    `mse` (N,) are mean squared errors of values in a range of length `span`.
    """
    return (-10 * (mse / span**2).log10()).clamp(max=PEAK)


def ssim(x: Tensor, y: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Structural similarity (SSIM) of images, in [-1, 1].

        (2 m n + a) (2 c + b) / ((m^2 + n^2 + a) (s^2 + t^2 + b)),    a = 0.01^2, b = 0.03^2

    m, n are the means, s^2, t^2 the variances and c the covariance of pixels, scaled to [0, 1], in
    a Gaussian window with standard deviation 1.5. The window has 11 x 11 pixels, or fewer in
    smaller images. The value is the mean over all positions where the window fits, and over
    channels.

    Args:
        x: Images, (N, H, W) or (N, C, H, W), with values in [low, high].
        y: Images of the same shape.
        low: The smallest possible value.
        high: The largest possible value.

    Returns:
        The similarity of each pair, (N,).

    Raises:
        UserError: The images have fewer than 3 x 3 pixels.

    References:
        Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to
        structural similarity, 2004, doi:10.1109/TIP.2003.819861.
    """
    size = min(11, *x.shape[-2:])
    size -= 1 - size % 2
    if size < 3:
        raise UserError(
            f"ssim: images of {x.shape[-2]} x {x.shape[-1]} pixels are too small for a window "
            "of 3 x 3"
        )
    offsets = torch.arange(size, dtype=torch.float64, device=x.device) - size // 2
    line = (-(offsets**2) / (2 * 1.5**2)).exp()
    line = line / line.sum()
    # The window is separable, so the means at all positions are down.T @ z @ across, with matrices
    # (H, H - size + 1) and (W, W - size + 1).
    down, across = (torch.eye(n).to(line).unfold(1, size, 1) @ line for n in x.shape[-2:])

    def chunk(x: Tensor, y: Tensor) -> Tensor:
        u, v = (((z.double() - low) / (high - low)) for z in (x, y))
        m, n, uu, vv, uv = (down.T @ z @ across for z in (u, v, u * u, v * v, u * v))
        alike = (2 * m * n + 1e-4) * (2 * (uv - m * n) + 9e-4)
        index: Tensor = alike / ((m**2 + n**2 + 1e-4) * (uu - m**2 + vv - n**2 + 9e-4))
        return index.flatten(1).mean(1)

    rows = devices.at_once(100 * x[0].numel())
    return torch.cat([chunk(*pair) for pair in zip(x.split(rows), y.split(rows), strict=True)])
