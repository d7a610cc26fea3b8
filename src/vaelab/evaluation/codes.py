"""What a model that is trained on codes needs to know of them: shift, scale, and how well they
decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaelab.evaluation.metrics.estimates import Estimate, mean
from vaelab.evaluation.metrics.images import psnr, ssim
from vaelab.evaluation.metrics.moments import moments
from vaelab.models import VAE
from vaelab.seeding import seeded

SHOWN = 16  # dimensions in the text


@dataclass(frozen=True)
class Codes:
    """The codes z ~ q(z|x) of some images, one sample of each image, and their reconstructions.

    Attributes:
        images: N.
        shift: The mean of all elements of the codes.
        scale: Their standard deviation.
        dimensions: Shift and scale of each dimension.
        reconstructions: PSNR in dB and SSIM of E[x|z]; empty where the data are not images.
    """

    images: int
    shift: Estimate
    scale: Estimate
    dimensions: list[tuple[Estimate, Estimate]]
    reconstructions: dict[str, Estimate]

    @property
    def factor(self) -> Estimate:
        """1 / scale, by which latent diffusion multiplies codes.

        Rombach, Blattmann, Lorenz, Esser & Ommer, High-resolution image synthesis with latent
        diffusion models, 2022, arXiv:2112.10752.
        """
        scale, error = self.scale.value, self.scale.error
        if not scale:
            return Estimate(float("nan"))
        return Estimate(1 / scale, None if error is None else error / scale**2)

    def facts(self) -> dict[str, Any]:
        """Return all numbers as JSON takes them; an estimate is its value and its error."""
        whole = {"shift": self.shift, "scale": self.scale, "scale_factor": self.factor}
        whole |= self.reconstructions
        return {
            "images": self.images,
            **{name: _pair(found) for name, found in whole.items()},
            "dimensions": [
                {"shift": _pair(shift), "scale": _pair(scale)} for shift, scale in self.dimensions
            ],
        }

    def __str__(self) -> str:
        what = "images" if self.reconstructions else "rows"
        lines = [f"{self.images:,} {what}, codes of {len(self.dimensions)} dimensions"]
        lines.append(f"  shift         {self.shift}")
        lines.append(f"  scale         {self.scale}    (scale factor 1/scale: {self.factor})")
        quality = {"psnr": "PSNR          {} dB", "ssim": "SSIM          {}"}
        lines += [f"  {quality[key].format(value)}" for key, value in self.reconstructions.items()]
        lines.append("  dimension     shift               scale")
        lines += [
            f"  {number:<12}  {shift!s:<18}  {scale}"
            for number, (shift, scale) in enumerate(self.dimensions[:SHOWN], 1)
        ]
        if (left := len(self.dimensions) - SHOWN) > 0:
            lines.append(f"  {left} more dimensions: --json")
        return "\n".join(lines)


def measured(
    vae: VAE, x: Tensor, y: Tensor | None, span: tuple[float, float], seed: int = 0
) -> Codes:
    """Measure the codes of images x (N, *shape), with values in `span`.

    Args:
        vae: The model.
        x: Images as the model sees them.
        y: Labels (N,), for conditional models.
        span: The smallest and the greatest possible value.
        seed: Seed of the samples of q(z|x).
    """

    def code(x: Tensor, *y: Tensor) -> Tensor:
        sample: Tensor = vae.encoder(x, *y).sample()
        return sample

    with seeded(seed, "codes"):
        z = vae.each(code, x, y)
    quality: dict[str, list[Tensor]] = {}
    if x.dim() > 2 and min(x.shape[-2:]) >= 3:
        for index in torch.arange(len(x), device=x.device).split(vae.rows_at_once()):
            one = x[index]
            rebuilt = vae.decode(z[index], None if y is None else y[index])
            errors = (one - rebuilt).double().square().flatten(1).mean(1)
            quality.setdefault("psnr", []).append(psnr(errors, span[1] - span[0]))
            quality.setdefault("ssim", []).append(ssim(one, rebuilt, *span))
    return Codes(
        len(x),
        *moments(z),
        [moments(z[:, i : i + 1]) for i in range(z.shape[1])],
        {name: mean(torch.cat(values)) for name, values in quality.items()},
    )


def _pair(found: Estimate) -> list[float | None]:
    return [found.value, found.error]
