"""benchmarks/peers.py: all train the same model, and who fails is left out with a reason."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vaelab
from vaelab.models import build

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
STUB = """
from contestants.worker import Contestant

class Stub(Contestant):
    packages = ("numpy",)
    def build(self):
        print("this line is no answer")
        self.loss = 104.5
    def epoch(self):
        self.loss -= 0.5
        if self.loss < self.options["dies_at"]:
            raise RuntimeError("the loss is too low")
        return True
    def test_loss(self):
        return self.loss
    def nll(self, images):
        return 90.0
"""


@pytest.fixture
def contestants(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package of the contestants, as `python benchmarks/peers.py` finds it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module("contestants.contest")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("contestants", "conventional"):
            del sys.modules[name]


def weights(vae: nn.Module, names: dict[str, tuple[str, slice]]) -> dict[str, Tensor]:
    """The weights of vaelab's model under the names of another one."""
    state = vae.state_dict()
    return {
        f"{theirs}.{kind}": state[f"{ours}.{kind}"][rows]
        for theirs, (ours, rows) in names.items()
        for kind in ("weight", "bias")
    }


def test_all_train_the_same_network_on_the_same_loss(
    contestants: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    lean = importlib.import_module("contestants.lean").linear_vae()
    conventional = importlib.import_module("conventional").Conventional
    torch.manual_seed(0)
    x = torch.rand(7, 28, 28)
    vae = build(vaelab.recipe("mlp-20d").model, (28, 28), 256)
    draw = vae.draw(x, 1)
    noise = (draw.z[0] - draw.q.mean) / draw.q.stddev  # (7, 20)
    monkeypatch.setattr(torch, "randn_like", lambda _: noise)
    every, first, second = slice(None), slice(20), slice(20, 40)
    layers = {"encoder.0": ("encoder.network.1", every), "encoder.2": ("encoder.head", every)}
    layers |= {f"decoder.{i}": (f"decoder.network.{i}", every) for i in (0, 2)}
    lean.load_state_dict(weights(vae, layers))
    images = np.zeros((1, 28, 28), np.uint8)
    pictures = importlib.import_module("conventional").Pictures(torch.from_numpy(images), [0])
    loop = conventional(pictures, pictures)
    loop.model.load_state_dict(
        weights(
            vae,
            {
                "hidden": ("encoder.network.1", every),
                "mean": ("encoder.head", first),
                "log_variance": ("encoder.head", second),
                "back": ("decoder.network.0", every),
                "out": ("decoder.network.2", every),
            },
        )
    )
    with torch.no_grad():
        ours = float((draw.distortion + draw.rate).mean())
        found = {"lean": float(lean.loss(x.view(7, 784))), "conventional": float(loop.loss(x)) / 7}
    assert found == pytest.approx(dict.fromkeys(found, ours), rel=1e-5)
    for model in (vae, lean, loop.model):
        assert sum(parameter.numel() for parameter in model.parameters()) == 652_824


def test_a_contestant_that_fails_is_left_out_with_its_reason(
    contestants: ModuleType, tmp_path: Path
) -> None:
    process = importlib.import_module("contestants.process")
    table = importlib.import_module("contestants.table")
    (tmp_path / "stub.py").write_text(STUB)
    images, labels = np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8)
    np.savez(tmp_path / "mnist.npz", x=images, y=labels, x_test=images, y_test=labels)

    def row(dies_at: float) -> object:
        return process.Row(
            "a stub",
            "stub:Stub",
            {"dies_at": dies_at},
            variables={"PYTHONPATH": f"{BENCHMARKS}:{tmp_path}"},
            likelihood=True,
        )

    rows = {"vaelab": row(0), "weak": row(104.0)}
    contest = contestants.Contest(rows, tmp_path, tmp_path, 1)
    try:
        contest.memory()
        contest.epochs(least=2, cap=9)
        contest.likelihood(images=3, times=1)
    finally:
        contest.close()
    assert contest.left_out == {"weak": "its process ended: RuntimeError: the loss is too low"}
    found = contest.facts["vaelab"]
    assert found["test_losses"] == [104.0, 103.5, 103.0]  # one more than TARGET asks for
    assert found["target"]["epochs"] == 2
    assert found["nll"]["value"] == 90.0
    facts = {"target": 103.89, "processor": "P", "threads": 1, "date": "D", "images": 3}
    text = table.table({"contestants": contest.facts, "left_out": contest.left_out, **facts})
    assert "weak (its process ended: RuntimeError: the loss is too low)" in text


def test_without_vaelab_there_is_nothing_to_compare_with(
    contestants: ModuleType, tmp_path: Path
) -> None:
    rows = {"vaelab": importlib.import_module("contestants.process").Row("none", "absent:Absent")}
    contest = contestants.Contest(rows, tmp_path, tmp_path, 1)
    with pytest.raises(SystemExit, match=r"^vaelab itself cannot take part, .*'absent'"):
        contest.memory()


def test_an_environment_that_cannot_be_made_is_a_reason(
    contestants: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = importlib.import_module("contestants.process")
    monkeypatch.setattr(process, "HERE", tmp_path)
    (tmp_path / "peer.txt").write_text("./nowhere\n")
    monkeypatch.setattr(process.sys, "executable", str(tmp_path / "python"))
    (tmp_path / "python").write_text("#!/bin/sh\necho 'ERROR: there is no room' >&2\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(process.Unavailable, match=r"^no environment: ERROR: there is no room$"):
        process.python_of(process.Row("a peer", "peer:Peer", requirements="peer.txt"), tmp_path)


def test_the_table_of_the_page_is_that_of_the_measurement(contestants: ModuleType) -> None:
    result = json.loads((BENCHMARKS / "results" / "peers.json").read_text("utf-8"))
    text = importlib.import_module("contestants.table").table(result)
    assert text in (ROOT / "docs" / "speed.md").read_text("utf-8")
