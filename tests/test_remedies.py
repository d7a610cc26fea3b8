"""Every remedy of the form "set X to Y" is applied: the training that it was given for goes on."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY
from PIL import Image

import vaelab
from vaelab.errors import UserError
from vaelab.recipes import override

SOURCE = Path(vaelab.__file__).parent
SENTENCE = re.compile(r"\bset (?:--)?(?=[a-z_{]+\.)(.+?)(?=; |: |\.$|\n|$)")
ASSIGNED = re.compile(r"((?:--)?\w+\.\w+) to (\"\"|[^\s,;]+)")
DOCTORS = re.compile(r"--([a-z]+\.[a-z_]+) ([^\s,;)]+)")
rng = np.random.default_rng(0)


# ---------------------------------------------------------------- how a remedy reads


def remedies(message: str) -> Iterator[dict[str, Any]]:
    """The alternatives that a message offers, each as settings.

    >>> list(remedies("set a.b and a.c to 1, or d.e to x or y; lower f.g"))
    [{'a.b': '1', 'a.c': '1'}, {'d.e': 'x'}, {'d.e': 'y'}]
    """
    for sentence in SENTENCE.findall(message):
        keys: list[str] = []
        for alternative in re.split(r",? or (?:set )?", sentence):
            body = re.sub(
                r"(\w+\.\w+) and (\w+\.\w+) to (\S+)", r"\1 to \3 and \2 to \3", alternative
            )
            if found := ASSIGNED.findall(body):
                keys = [key.removeprefix("--") for key, _ in found]
                yield {key.removeprefix("--"): value.strip('"') for key, value in found}
            elif keys and " " not in alternative and alternative != "more":
                yield {keys[-1]: alternative}


def literals(path: Path) -> Iterator[str]:
    """The texts of a file; what is put into them when it runs stands as {...}."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            inside.add(id(body[0].value))  # a docstring
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "{}" for part in node.values
            )


# ---------------------------------------------------------------- what provokes them


def array(values: Any, name: str = "x.npy") -> Callable[[Path], str]:
    """A data file."""

    def write(folder: Path) -> str:
        np.save(folder / name, values)
        return str(folder / name)

    return write


def photos(folder: Path) -> str:
    """A folder of images of two sizes."""
    (folder / "photos").mkdir()
    for i in range(40):
        side = 16 if i % 2 else 24
        Image.fromarray(rng.integers(0, 256, (side, side)).astype(np.uint8)).save(
            folder / "photos" / f"{i:02}.png"
        )
    return str(folder / "photos")


def rows(folder: Path) -> str:
    """A table with words."""
    lines = ["a,b", *(f"{value:.3f},{'xy'[i % 2]}" for i, value in enumerate(rng.normal(size=60)))]
    (folder / "rows.csv").write_text("\n".join(lines))
    return str(folder / "rows.csv")


def numbers(folder: Path) -> str:
    """A table without words."""
    np.savetxt(folder / "numbers.csv", rng.normal(size=(60, 3)), delimiter=",", header="a,b,c")
    return str(folder / "numbers.csv")


REAL = rng.normal(0, 1, (60, 8, 8)).astype(np.float32)
UNIT, FLAT = np.abs(REAL) / np.abs(REAL).max(), REAL.reshape(60, 64)
WIDE, LONG = REAL.reshape(40, 4, 24), rng.normal(0, 1, (2000, 30)).astype(np.float32)
GAUSSIAN = {"model.likelihood": "gaussian"}

# What is wrong: a data file or "", and settings beside those of `TINY`.
WRONG: dict[str, tuple[Callable[[Path], str] | str, dict[str, Any]]] = {
    "flat data moved": (array(FLAT), GAUSSIAN | {"data.rotate": 5.0}),
    "flat data mirrored": (array(FLAT), GAUSSIAN | {"data.flip": True}),
    "real values dequantised": (array(UNIT), {"data.treatment": "dequantised"} | GAUSSIAN),
    "negative values binarised": (array(REAL), {"data.treatment": "dynamic"}),
    "large values binarised": (array(7 * UNIT), {"data.treatment": "dynamic"}),
    "binarised, gaussian": (array(7 * UNIT), GAUSSIAN | {"data.treatment": "dynamic"}),
    "values that are no counts": (array(UNIT), {"data.treatment": "counts"} | GAUSSIAN),
    "standardised bernoulli": (array(UNIT), {"data.standardise": True}),
    "poisson without counts": ("", {"model.likelihood": "poisson"}),
    "real values with levels": (array(UNIT), {"model.likelihood": "categorical"}),
    "levels changed": (
        "",
        {"model.likelihood": "categorical", "data.treatment": "dequantised"},
    ),
    "bernoulli on counts": ("", {"data.treatment": "counts"}),
    "bernoulli on negative values": (array(REAL), {}),
    "bernoulli on large values": (array(7 * UNIT), {}),
    "scaled grey levels": ("", {"data.scale": 2.0}),
    "scaled counts": (
        "",
        {"model.likelihood": "poisson", "data.treatment": "counts", "data.scale": 2.0},
    ),
    "scaled twice": (array(FLAT), GAUSSIAN | {"data.standardise": True, "data.scale": 2.0}),
    "standardised bits": ("", GAUSSIAN | {"data.standardise": True, "data.treatment": "dynamic"}),
    "fixed images moved": ("", {"data.treatment": "fixed", "data.shift": 0.1}),
    "resized array": (array(UNIT), {"data.resize": 16}),
    "labels of no table": (array(UNIT), {"data.labels": "y"}),
    "photos of two sizes": (photos, {}),
    "too few to test": (array(UNIT[:9]), {"data.test": 0.01}),
    "too few to validate": (array(UNIT[:9]), {"data.validation": 0.01, "data.test": 0.2}),
    "large values": (array(1000 * FLAT), GAUSSIAN),
    "diverged on large values": (
        array(1e18 * FLAT),
        {"model.likelihood": "gaussian-learned", "train.learning_rate": 0.1},
    ),
    "diverged": (
        "",
        {"model.likelihood": "gaussian-learned", "train.learning_rate": 3.0},
    ),
    "a scale far too large": (array(7 * UNIT), {"data.scale": 65535.0}),
    "values far too small": (array(1e-6 * FLAT), {"model.likelihood": "gaussian-learned"}),
    "few steps": (array(UNIT), {"train.epochs": 1, "train.batch": 4}),
    "one image a batch": (array(UNIT), {"model.batch_norm": True, "train.batch": 1}),
    "flat data convolved": (array(FLAT), GAUSSIAN | {"model.network": "conv"}),
    "images convolved over time": ("", {"model.network": "conv1d"}),
    "signals convolved as images": (array(WIDE), GAUSSIAN | {"model.network": "conv"}),
    "images of a table": (array(FLAT), GAUSSIAN | {"data.form": "image"}),
    "windows of windows": (array(REAL), GAUSSIAN | {"data.window": 8}),
    "windows longer than a split": (array(LONG), GAUSSIAN | {"data.window": 300}),
    "windows of a table": (array(LONG), GAUSSIAN | {"data.window": 20, "data.form": "table"}),
    "a stride without windows": (array(FLAT), GAUSSIAN | {"data.stride": 8}),
    "no channels over time": (
        array(FLAT),
        GAUSSIAN | {"model.network": "conv1d", "model.hidden": []},
    ),
    "no channels": ("", {"model.network": "conv", "model.hidden": []}),
    "halved too often": ("", {"model.network": "conv", "model.hidden": [4, 4, 4, 4, 4]}),
    "a sphere of one dimension": (
        "",
        {"model.posterior": "sphere", "model.prior": "sphere", "model.latent": 1},
    ),
    "a learned prior without KL": ("", {"model.variant": "ae", "model.prior": "mixture"}),
    "adam with decay": ("", {"train.weight_decay": 0.1}),
    "adamw without decay": ("", {"train.optimiser": "adamw", "train.weight_decay": 0.0}),
    "pixel means of a gaussian": ("", GAUSSIAN | {"model.pixel_means": True}),
    "a ladder under a normal prior": ("", {"model.posterior": "ladder", "model.prior": "normal"}),
    "a sphere under a normal prior": ("", {"model.posterior": "sphere", "model.prior": "normal"}),
    "classes of no classes": ("", {"model.prior": "per-class"}),
    "pseudo-inputs of classes": ("", {"model.prior": "vamp", "model.conditional": True}),
    "dreg with batch normalisation": (
        "",
        {"objective.name": "dreg", "objective.k": 5, "model.batch_norm": True},
    ),
    "samples of points": ("", {"model.variant": "ae", "objective.k": 5}),
    "a weight that is not taken": ("", {"model.variant": "iwae", "objective.gamma": 3.0}),
    "nothing grows": (
        "",
        {"model.variant": "iwae", "objective.grows": ["beta"], "objective.warmup": 3.0},
    ),
    "a negative share": ("", {"objective.name": "ciwae", "objective.alpha": -1.0}),
    "too little of the prior": (
        "",
        {"objective.name": "info", "objective.alpha": 0.0, "objective.gamma": 0.0},
    ),
    "compiled twice": ("", {"model.variant": "rae-gp", "train.compile": True}),
    "no images to stop by": ("", {"train.patience": 3, "data.validation": 0.0}),
    "warmed up in cycles": ("", {"objective.warmup": 3.0, "objective.cycles": 2}),
    "mixed, but not by columns": (numbers, {"model.likelihood": "mixed"}),
    "columns, but not mixed": (numbers, GAUSSIAN | {"data.treatment": "columns"}),
    "columns of images": ("", {"model.likelihood": "mixed", "data.treatment": "columns"}),
    "pseudo-inputs of words": (
        rows,
        {"model.likelihood": "mixed", "data.treatment": "columns", "model.prior": "vamp"},
    ),
    "hidden pixels": ("", {"data.hide": 0.2}),
    "no GPU": ("", {"train.device": "cuda"}),
    "machines without a launcher": ("", {"train.nodes": 2}),
}
if torch.cuda.is_available():
    del WRONG["no GPU"]
# Remedies that another test follows, with the words by which it is found.
ELSEWHERE = {
    "holds no columns of a table": "packs: tests/data/test_packs.py",
    "a table that was read by its columns": "packs: tests/data/test_packs.py",
    "each run of a sweep is": "several processes: tests/workflows/test_sweep.py",
    "cannot be shared by": "several processes: tests/workflows/test_several_processes.py",
    "started {}; set train.devices": "several processes: tests/training/test_ranks.py",
    "process by itself; start it": "several processes: tests/training/test_ranks.py",
    "need as many GPUs": "GPUs: nothing follows it, as there are none here",
    "'mixed' needs a table whose columns": "a model without data: tests/models/test_mixed.py",
    "correct it, or set model.network to mlp": "a custom network: tests/models/test_networks.py",
}


def attempt(settings: dict[str, Any], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Train; what was refused or warned of, "" if nothing."""
    try:
        vaelab.train(override(vaelab.recipe("quickstart", TINY), settings), out, overwrite=True)
    except UserError as error:
        capsys.readouterr()
        return f"{error}\n"
    return "".join(
        line + "\n" for line in capsys.readouterr().out.splitlines() if line.startswith("warning:")
    )


@pytest.fixture(scope="module")
def given() -> list[str]:
    """The messages that were provoked; filled by the tests, in order."""
    return []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_remedy_helps(
    wrong: str, given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, settings = WRONG[wrong]
    settings = {"train.epochs": 2} | settings
    if callable(write):
        settings["data.source"] = write(tmp_path)
    before = attempt(settings, tmp_path / "wrong", capsys)
    given.append(before)
    found = list(remedies(before))
    assert found, before
    for remedy in found:
        after = attempt(settings | remedy, tmp_path / "right", capsys)
        refused = [line for line in after.splitlines() if not line.startswith("warning:")]
        assert not refused, (remedy, after)
        for key in remedy:
            assert f"set {key} to" not in after, (remedy, after)


def test_no_remedy_is_left_out(given: list[str]) -> None:
    """Each text of the program with such a remedy was provoked above."""
    said, missed = "".join(given), []
    for path in sorted(SOURCE.rglob("*.py")):
        for text in literals(path):
            for sentence in SENTENCE.findall(text):
                known = any(words in text for words in ELSEWHERE)
                pattern = ".+?".join(map(re.escape, sentence.split("{}")))
                if not known and not re.search(f"set {pattern}", said):
                    missed.append(f"{path.relative_to(SOURCE)}: set {sentence}")
    assert not missed, "\n".join(missed)


def test_the_doctors_remedies_are_settings_of_a_recipe() -> None:
    """``--section.name VALUE``: the name exists, and takes the value."""
    count = 0
    for path in sorted((SOURCE / "evaluation" / "doctor").rglob("*.py")):
        for text in literals(path):
            for key, value in DOCTORS.findall(text):
                value = "4" if "{" in value else value.strip(string.punctuation)
                override(vaelab.recipe("quickstart", TINY), {key: value})
                count += 1
    assert count >= 20
