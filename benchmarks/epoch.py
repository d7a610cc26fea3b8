"""Seconds per epoch of mlp-20d, with its test pass: vaelab's loop against the conventional one.

    python benchmarks/epoch.py                  # writes benchmarks/results/epoch.json

Both loops run in one process, in turn. The conventional loop is what most tutorials do: every image
is converted from a PIL image to a tensor separately, a DataLoader with two workers collates them,
the decoder ends in a sigmoid, and ``.item()`` is called on the loss of every step. Both loops train
the same 784-400-20-400-784 network with Adam at batch 128 on the 60,000 training images and then
score the 10,000 test images. The order within each pair alternates. Quote the median of the ratios,
never a single time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import vaelab
from vaelab import devices
from vaelab.data import Split, load
from vaelab.runs import load as load_run


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images one by one, as image data sets with a to-tensor transform convert them.

    The steps are array -> PIL -> array -> float tensor.
    """

    def __init__(self, split: Split) -> None:
        assert split.y is not None
        self.levels, self.labels = split.x, split.y

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture, label = Image.fromarray(self.levels[i].numpy()), int(self.labels[i])
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        # Shape (1, H, W).
        pixels = pixels.view(picture.size[1], picture.size[0], 1).permute(2, 0, 1).contiguous()
        return pixels.to(torch.get_default_dtype()).div(255), label


class ConventionalVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.log_variance = (
            nn.Linear(784, 400),
            nn.Linear(400, 20),
            nn.Linear(400, 20),
        )
        self.back, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.hidden(x.view(-1, 784)))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return torch.sigmoid(self.out(F.relu(self.back(z)))), mean, log_variance


class Conventional:
    def __init__(self, train: Split, test: Split) -> None:
        self.train = DataLoader(Pictures(train), batch_size=128, shuffle=True, num_workers=2)
        self.test = DataLoader(Pictures(test), batch_size=128, num_workers=2)
        self.model = ConventionalVAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def loss(self, x: Tensor) -> Tensor:
        y, mean, log_variance = self.model(x)
        bce = F.binary_cross_entropy(y, x.view(-1, 784), reduction="sum")
        return bce - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())

    def epoch(self) -> float:
        """One epoch and its test pass; the test loss in nats per image."""
        self.model.train()
        total = 0.0
        for x, _ in self.train:
            self.optimizer.zero_grad()
            loss = self.loss(x)
            loss.backward()
            total += loss.item()
            self.optimizer.step()
        self.model.eval()
        with torch.no_grad():
            return sum(self.loss(x).item() for x, _ in self.test) / len(self.test.dataset)


class Ours:
    """`vaelab train mlp-20d`, one epoch at a time.

    The seconds come from times.jsonl and include the frame and the checkpoint.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.epochs = folder, 0
        # With 100 points there is no t-SNE of 10,000.
        self.settings = {"train.device": "cpu", "train.threads": threads, "figures.points": 100}

    def epoch(self) -> tuple[float, float]:
        self.epochs += 1
        if self.epochs == 1:
            recipe = vaelab.recipe("mlp-20d", self.settings | {"train.epochs": 1})
            run = vaelab.train(recipe, self.folder, quiet=True)
        else:
            vaelab.resume(self.folder, {"train.epochs": self.epochs}, quiet=True)
            run = load_run(self.folder)
        return run.times[-1]["seconds"], run.history[-1]["test"]["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--pairs", type=int, default=5, help="measured pairs, after one that is not counted"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "epoch.json"
    )
    arguments = parser.parse_args()

    data = load(vaelab.recipe("mlp-20d").data)
    threads, warning = devices.threads(0)
    if warning:
        print(f"warning: {warning}")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    theirs = Conventional(data.train, data.test)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(Path(folder) / "run", threads)

        def conventional() -> tuple[float, float]:
            begun = time.perf_counter()
            loss = theirs.epoch()
            return time.perf_counter() - begun, loss

        for pair in range(arguments.pairs + 1):
            order = [("vaelab", ours.epoch), ("conventional", conventional)]
            row = {}
            for name, epoch in order if pair % 2 else reversed(order):
                seconds, loss = epoch()
                row[name] = {"seconds": round(seconds, 3), "test_loss": round(loss, 2)}
            row_ratio = row["conventional"]["seconds"] / row["vaelab"]["seconds"]
            print(
                f"pair {pair}{' (not counted)' if not pair else ''}: {row}, ratio {row_ratio:.2f}",
                flush=True,
            )
            if pair:
                rows.append(row | {"ratio": round(row_ratio, 3)})
    ratios = [row["ratio"] for row in rows]
    result = {
        "what": "seconds an epoch of mlp-20d with its test pass, conventional loop / vaelab",
        "median_ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "pairs": rows,
        "threads": threads,
        "processor": devices.processor(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(
        f"median ratio {result['median_ratio']:.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"{arguments.out}"
    )


if __name__ == "__main__":
    main()
