"""Importance-weighted NLL with K = 1000 samples per image: vaelab against pythae's `get_nll`.

    python -m venv ELSEWHERE && . ELSEWHERE/bin/activate  # keeps pythae out of vaelab's environment
    pip install -c constraints.txt -e . pythae==0.1.2
    python benchmarks/nll.py                              # writes benchmarks/results/nll.json

Both run in one process, in turn. Both have the weights of one mlp-20d (784-400-20-400-784, trained
here for --epochs, or --run FOLDER); in pythae's VAE they are the nn.Linear layers and the sigmoid
that its own networks are made of. Gradients are off for both: `get_nll` leaves that to its caller.
It decodes `batch_size` samples at a time, 100 by default, and is also measured with 1000, which is
all of them. Each program draws its own samples, so that every image has two estimates of -log p(x),
and their mean difference is compared with its standard error. The order within each pair
alternates. Quote the median of the ratios, never a single time.

pythae 0.1.2 runs with pydantic 2, which it requires, and with the torch and numpy of
constraints.txt.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import vaelab
from vaelab import devices
from vaelab.data import Batches, load
from vaelab.evaluation.likelihood import log_likelihood
from vaelab.models import VAE
from vaelab.runs import load as load_run
from vaelab.seeding import generator

SAMPLES = 1000
THEIRS = "0.1.2"
BATCHES = (100, 1000)  # samples that pythae decodes at once


class AsTheyAre(Batches):
    """Images as tensors, as pythae gets them."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.y = x, None

    def __call__(self, index: Tensor, generator: torch.Generator) -> Tensor:
        return self.x[index]


def pythae_of(vae: VAE) -> Any:
    """pythae's VAE with the weights of `vae`.

    It has one hidden layer, a diagonal Gaussian and a Bernoulli.
    """
    from pythae import models
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    weights = vae.state_dict()
    hidden, pixels = weights["encoder.network.1.weight"].shape

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU())
            self.embedding, self.log_var = (
                nn.Linear(hidden, vae.latent),
                nn.Linear(hidden, vae.latent),
            )

        def forward(self, x: Tensor) -> Any:
            h = self.layers(x.reshape(-1, pixels))
            return ModelOutput(embedding=self.embedding(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(vae.latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels), nn.Sigmoid()
            )

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.layers(z))

    encoder, decoder = Encoder(), Decoder()
    head = {kind: weights[f"encoder.head.{kind}"].chunk(2) for kind in ("weight", "bias")}
    encoder.load_state_dict(
        {f"layers.0.{kind}": weights[f"encoder.network.1.{kind}"] for kind in head}
        | {f"embedding.{kind}": halves[0] for kind, halves in head.items()}
        | {f"log_var.{kind}": halves[1] for kind, halves in head.items()}
    )
    decoder.load_state_dict(
        {
            f"layers.{i}.{kind}": weights[f"decoder.network.{i}.{kind}"]
            for i in (0, 2)
            for kind in head
        }
    )
    config = models.VAEConfig(input_dim=(pixels,), latent_dim=vae.latent, reconstruction_loss="bce")
    return models.VAE(config, encoder=encoder, decoder=decoder).eval()


@torch.no_grad()
def theirs(model: Any, x: Tensor, batch: int) -> Tensor:
    """-log p(x) of each image, (N,).

    `get_nll` returns the mean of log p(x), so it is called for one image at a time.
    """
    return torch.tensor(
        [-model.get_nll(one[None], n_samples=SAMPLES, batch_size=batch) for one in x]
    )


def ours(vae: VAE, x: Tensor, seed: int) -> Tensor:
    return -log_likelihood(vae, AsTheyAre(x), SAMPLES, seed)


def timed(estimate: Any, *arguments: Any) -> tuple[float, Tensor]:
    """Milliseconds an image, and the estimates."""
    begun = time.perf_counter()
    found: Tensor = estimate(*arguments).double()
    return 1000 * (time.perf_counter() - begun) / len(found), found


def compare(vae: VAE, x: Tensor, pairs: int, batch: int) -> dict[str, Any]:
    """`pairs` measured pairs, after one that is not counted."""
    model = pythae_of(vae)
    rows, differences = [], []
    for pair in range(pairs + 1):
        torch.manual_seed(pair + batch)
        tasks = {"vaelab": (ours, vae, x, pair), "pythae": (theirs, model, x, batch)}
        row, found = {}, {}
        for name in tasks if pair % 2 else reversed(tasks):
            row[name], found[name] = timed(*tasks[name])
        if pair:
            rows.append(
                {name: round(row[name], 3) for name in tasks}
                | {"ratio": row["pythae"] / row["vaelab"]}
            )
            differences.append(found["vaelab"] - found["pythae"])
        print(
            f"batch {batch}, pair {pair}: {row}, ratio {row['pythae'] / row['vaelab']:.2f}",
            flush=True,
        )
    ratios = [row["ratio"] for row in rows]
    # Shape (N,): differences of independent estimates of the same numbers.
    difference = torch.stack(differences).mean(0)
    return {
        "pythae_batch_size": batch,
        "median_ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "median_ms_per_image": {
            name: statistics.median(row[name] for row in rows) for name in ("vaelab", "pythae")
        },
        "vaelab_minus_pythae": {
            "nats": float(difference.mean()),
            "standard_error": float(difference.std() / len(difference) ** 0.5),
        },
        "pairs": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--run", type=Path, help="folder of a finished mlp-20d; else one is trained"
    )
    parser.add_argument(
        "--epochs", type=int, default=2, help="of the training: the weights do not change the work"
    )
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument(
        "--pairs", type=int, default=5, help="measured pairs, after one that is not counted"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "nll.json")
    asked = parser.parse_args()
    try:
        found = version("pythae")
    except PackageNotFoundError:
        found = "none"
    if found != THEIRS:
        raise SystemExit(
            f"this needs pythae {THEIRS}, found {found}; see the top of {Path(__file__).name}"
        )
    with tempfile.TemporaryDirectory() as folder, devices.using(asked.threads):
        if asked.run:
            run = load_run(asked.run)
        else:
            settings = {"train.epochs": asked.epochs, "train.threads": asked.threads}
            recipe = vaelab.recipe("mlp-20d", settings | {"figures.points": 100})
            run = vaelab.train(recipe, Path(folder) / "run")
        data = load(run.recipe.data)
        batches = Batches(
            data.test.x[: asked.images], data.levels, run.recipe.data, torch.device("cpu")
        )
        x = batches(torch.arange(len(batches)), generator(0, "images"))
        results = [compare(run.vae.eval(), x, asked.pairs, batch) for batch in BATCHES]
    result = {
        "what": "milliseconds for an importance-weighted NLL of one MNIST image, "
        f"K = {SAMPLES}, pythae / vaelab",
        "results": results,
        "images": len(x),
        "threads": asked.threads,
        "versions": {name: version(name) for name in ("torch", "pythae", "pydantic", "numpy")},
        "python": platform.python_version(),
    }
    asked.out.write_text(json.dumps(result, indent=2) + "\n")
    for one in results:
        print(
            f"pythae's batch_size {one['pythae_batch_size']}: "
            f"median ratio {one['median_ratio']:.2f}, "
            f"ms an image {one['median_ms_per_image']}, difference {one['vaelab_minus_pythae']}"
        )


if __name__ == "__main__":
    main()
