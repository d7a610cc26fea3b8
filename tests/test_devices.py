"""Device, threads and memory, and the record of them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny

import vaelab
from vaelab import devices
from vaelab.models import linear

LINUX = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux says how much memory is used"
)


@LINUX
@pytest.mark.parametrize("torn", [0, 300])
def test_the_peak_of_memory_is_what_was_needed_since_whatever_was_held_or_freed_before(
    torn: int,
) -> None:
    """Tensors of 100 MiB; page tables and what Python allocates meanwhile are far less than 5."""
    held = torch.ones(50 * 2**18)
    # Pieces of 1 MiB, which the heap may keep when they are freed.
    freed = [torch.ones(2**18) for _ in range(torn)]
    del freed
    peak = devices.peak_memory(torch.device("cpu"))
    torch.ones(100 * 2**18)
    assert peak() == pytest.approx(100, abs=5)
    del held


@LINUX
def test_the_peak_of_a_training_is_that_of_its_model_and_not_of_what_was_trained_before(
    quick: None, tmp_path: Path
) -> None:
    """The larger model's additional 8.4 million weights have gradients and two moments: 96 MiB.

    The heap adds some: memory that is freed in between may not fit the next tensor.
    """

    def peak(name: str, settings: dict[str, Any]) -> float:
        return vaelab.train(tiny(settings), tmp_path / name, quiet=True).times[-1]["peak_mib"]

    large = {"model.hidden": [2000, 2000], "train.epochs": 1}
    first, second = peak("first", {}), peak("second", {})
    assert peak("large", large) > 90
    assert abs(second - first) < 10
    assert abs(peak("after the large one", {}) - first) < 10


# ---------------------------------------------------------------- the record


def test_the_environment_names_no_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "jane"))
    words = ["train", "--data.source", str(tmp_path / "jane" / "faces.npy"), "--out=runs/a"]
    monkeypatch.setattr("sys.argv", [str(tmp_path / "jane" / "bin" / "vaelab"), *words])
    found = devices.environment(torch.device("cpu"), 2, "torch")
    assert found["command"] == [
        "~/bin/vaelab", "train", "--data.source", "~/faces.npy", "--out=runs/a"
    ]  # fmt: skip
    assert (found["threads"], found["products"], found["device"]) == (2, "torch", "cpu")
    assert found["processor"]


def test_packages_without_metadata_and_an_unknown_home_are_no_obstacle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(devices.metadata, "version", version)
    monkeypatch.setattr(devices.Path, "home", home)
    monkeypatch.setattr(devices.pooch, "os_cache", lambda name: home())
    monkeypatch.delenv("VAELAB_CACHE_DIR")
    found = devices.environment(torch.device("cpu"), 1, "torch")
    assert set(found["packages"].values()) == {"unknown"}
    assert devices.cache().name == "vaelab"


def test_what_differs_from_the_machine_that_a_run_began_on_is_said() -> None:
    machine = {"device": "cpu", "threads": 2, "products": "torch", "processor": "B"}
    assert len(devices.describe(machine, {})) == len(devices.describe(machine, machine)) == 1
    _, *notes = devices.describe(machine, machine | {"processor": "A", "threads": 1})
    assert [note.partition(",")[0] for note in notes] == ["note: processor B", "note: threads 2"]


def test_a_resume_uses_the_threads_and_the_products_of_the_run(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both from last.pt, and before the first epoch is over from environment.json."""
    asked = []
    monkeypatch.setattr(devices, "threads", lambda count: (asked.append(count) or count or 1, ""))
    settings = {"train.threads": 0, "train.schedule": "constant"}
    monkeypatch.setattr(linear, "fastest", lambda *_: "onednn")
    folder = vaelab.train(tiny(settings), tmp_path / "run", quiet=True).folder
    monkeypatch.setattr(linear, "fastest", lambda *_: pytest.fail("measured again"))
    vaelab.resume(folder, {"train.epochs": 4}, quiet=True)
    for name in ("last.pt", "metrics.jsonl", "best.safetensors", "times.jsonl", "results.json"):
        (folder / name).unlink()
    run = vaelab.resume(folder, quiet=True)
    assert asked == [0, 1, 1]
    assert run.state()[1]["products"] == "onednn"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other mallocs have other rules")
def test_a_step_gets_the_memory_of_the_step_before() -> None:
    """24 MB in blocks of 3 MB: without `keep_memory` they are 5,900 page faults each time."""
    resource = pytest.importorskip("resource")

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [torch.ones(750_000) for _ in range(8)]
        del blocks
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    devices.keep_memory()
    faults()
    assert min(faults() for _ in range(3)) < 1000  # what other tests freed may be returned first
