"""Networks and likelihoods of colour images in the same processor time, on held-out images.

    python benchmarks/images.py FOLDER

It writes benchmarks/results/images.json and docs/img/images-networks.png.

Each row trains for the same seconds of processor time on one thread, so that other programs do not
decide. The learning rate falls along a cosine, and the KL is warmed up over the first three tenths.
Bits per dimension are those of the ELBO on the validation images: for levels they are exact, for
dequantised levels an upper bound. All rows see the same images in the same order. The picture has
two lines for each row: reconstructions of validation images, then samples.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from vaelab.data import Batches, Split, load
from vaelab.evaluation.sections.likelihood import bits_per_dim
from vaelab.models import build
from vaelab.recipes import Data, Model
from vaelab.training import terms

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "images.json"
PICTURE, SHOWN = HERE.parent / "docs" / "img" / "images-networks.png", 16
SHARED: dict[str, Any] = {"hidden": (32, 64, 128), "latent": 128}
GAUSSIAN: dict[str, Any] = {"likelihood": "gaussian-optimal", "sigma": 0.2}
LEVELS: dict[str, Any] = {"likelihood": "logistic-mixture"}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {  # treatment and settings of the model
    "conv, gaussian-optimal": ("dequantised", {"network": "conv", **GAUSSIAN}),
    "conv, logistic-mixture": ("grey", {"network": "conv", **LEVELS}),
    "resnet, gaussian-optimal": ("dequantised", {"network": "resnet", **GAUSSIAN}),
    "resnet, logistic-mixture": ("grey", {"network": "resnet", **LEVELS}),
}
BATCH, RATE, WARM, CLIP = 32, 2e-3, 0.3, 3.0


def measured(
    source: str, treatment: str, settings: dict[str, Any], seconds: float
) -> tuple[dict[str, Any], Tensor]:
    """Train a row; return its numbers on the validation images, and reconstructions and samples."""
    data_settings = Data(source=source, treatment=treatment)
    data, cpu = load(data_settings), torch.device("cpu")

    def batches(split: Split) -> Batches:
        return Batches(split.x, data.levels, data_settings, cpu)

    train, held_out = batches(data.train), batches(data.validation)
    torch.manual_seed(0)
    vae = build(Model(**SHARED, **settings), data.shape, data.levels).train()
    optimiser = torch.optim.Adam(vae.parameters(), RATE)
    order, elements = torch.Generator().manual_seed(0), math.prod(data.shape)
    began, steps, part = time.process_time(), 0, 0.0
    while part < 1:
        if steps * BATCH % len(train) < BATCH:
            index = torch.randperm(len(train), generator=order)
        few = index.roll(-steps * BATCH)[:BATCH]
        optimiser.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * part)) / 2
        draw = vae.draw(train(few, order))
        loss = (draw.distortion + min(1, part / WARM) * draw.rate).mean() / elements
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), CLIP)
        optimiser.step()
        steps += 1
        part = (time.process_time() - began) / seconds
    found = terms(vae.eval(), held_out, 0)
    x = held_out(torch.arange(100), order)
    bits = bits_per_dim(found.loss, vae.decoder, x, held_out)
    numbers = {
        "bits_per_dim": bits,
        **found.record(),
        "epochs": steps * BATCH / len(train),
        "parameters": sum(parameter.numel() for parameter in vae.parameters()),
    }
    return numbers, torch.stack([vae.reconstruct(x[:SHOWN]), vae.sample(SHOWN)])


def drawn(rows: list[Tensor]) -> Image.Image:
    """Lay out the images of all rows, each (2, SHOWN, 3, H, W), at twice their size."""
    pictures = torch.stack(rows).clamp(0, 1)  # (R, 2, SHOWN, 3, H, W)
    lines = pictures.permute(0, 1, 4, 2, 5, 3).flatten(0, 2).flatten(1, 2)  # (R 2 H, SHOWN W, 3)
    image = Image.fromarray((255 * lines).round().to(torch.uint8).numpy())
    return image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a folder of colour images of one size")
    parser.add_argument("--seconds", type=float, default=40, help="processor time of each row")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"source": Path(arguments.folder).name, "seconds": arguments.seconds}
    pictures = []
    for name, (treatment, settings) in ROWS.items():
        found[name], picture = measured(arguments.folder, treatment, settings, arguments.seconds)
        pictures.append(picture)
        print(name, json.dumps(found[name]), flush=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    drawn(pictures).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
