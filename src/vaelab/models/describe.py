"""A model as a table: its layers, their output shapes and numbers of parameters."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from vaelab.models.parts import evaluating
from vaelab.models.vae import VAE


def layers(vae: VAE) -> list[tuple[str, str, str, int]]:
    """Return name, type, output shape for one image and number of parameters of each layer."""
    rows: list[tuple[str, str, str, int]] = []

    def note(module: nn.Module, inputs: object, output: object, name: str) -> None:
        count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        shape = (
            "x".join(str(size) for size in output.shape[1:])
            if isinstance(output, torch.Tensor)
            else ""
        )
        if count or not list(module.children()):
            rows.append((name, type(module).__name__, shape, count))

    hooks = [
        module.register_forward_hook(partial(note, name=name))
        for name, module in vae.named_modules()
        if name.startswith(("encoder", "decoder"))
    ]
    given = vae.given(vae.classes[:1])
    with torch.no_grad(), evaluating(vae):
        like = next(vae.parameters())
        vae.decoder(vae.encoder(like.new_zeros(1, *vae.shape), *given).mean, *given)
    for hook in hooks:
        hook.remove()
    prior = sum(parameter.numel() for parameter in vae.prior.parameters())
    rows.append(("prior", type(vae.prior).__name__, str(vae.latent), prior))
    return rows


def summary(vae: VAE) -> str:
    """Return `layers` as a table, a line for each, then the total of the parameters."""
    rows = [(*row[:3], f"{row[3]:,}" if row[3] else "") for row in layers(vae)]
    rows.append(("total", "", "", f"{sum(parameter.numel() for parameter in vae.parameters()):,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {shape:>{widths[2]}}  {count:>{widths[3]}}"
        for name, kind, shape, count in rows
    )
