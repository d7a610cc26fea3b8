"""Every command and every code block of README, CONTRIBUTING and docs runs as it is written.

The commands run in this process, in one working directory, on a data set of MNIST's shape that is
small enough to train on in a second. Numbers are reduced (one epoch, few samples); names, flags,
files and order are those of the page.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas
import pytest
from conftest import TINY, flags
from onnx_registry import one_registry
from PIL import Image

import vaelab
from vaelab.cli.main import main
from vaelab.data.dataset import Arrays
from vaelab.evaluation import Evaluator
from vaelab.recipes import available

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "LOG.md"),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
REDUCED = {
    "samples": "20",
    "seeds": "2",
    "images": "40",
    "n": "4",
    "train.epochs": "1",
    "search": "2",
}
SMALL = [
    "--train.epochs=1",
    "--train.threads=1",
    "--data.images=300",
    "--figures.points=40",
    "--figures.samples=4",
]


OF_DATA = {"patients": "patients.csv", "signal": "ecg.npy"}  # runs of data: their files


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str


def blocks() -> Iterator[Block]:
    """The fenced blocks of all pages."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text[: found.start()].count("\n") + 1
            yield Block(page.name, line, found[1], found[2])


def written() -> list[str]:
    """The shell commands of all pages, each once: lines of blocks, and code in running text."""
    texts = [
        line.removeprefix("$ ").partition("  #")[0]
        for block in blocks()
        if block.language == ""
        for line in block.text.splitlines()
    ]
    for page in PAGES:
        prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
        texts += [re.sub(r"\s+", " ", code) for code in re.findall(r"`([^`]+)`", prose)]
    commands = [part.strip() for text in texts for part in text.split("&&")]
    known = ("vaelab ", "make ", "python benchmarks/", "python -m vaelab")
    return sorted({command for command in commands if command.startswith(known)})


COMMANDS = [command for command in written() if command.startswith("vaelab ")]


def reduced(words: list[str]) -> list[str]:
    """The words with smaller numbers, which are not what is tested."""
    found = list(words)
    for i, word in enumerate(found[:-1]):
        name = word.lstrip("-")
        if word.startswith("-") and name in REDUCED:
            found[i + 1] = REDUCED[name]
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with the files that the pages name.

    MNIST is 200 + 60 random strokes.
    """
    rng = np.random.default_rng(0)

    def mnist(folder: str = "") -> Arrays:
        rng = np.random.default_rng(1)  # the same images for every run
        x = np.zeros((260, 28, 28), np.uint8)
        y = np.arange(260) % 10
        for image, digit in zip(x, y, strict=True):
            top, left = rng.integers(2, 8, 2)
            image[top : top + 12, left + digit : left + digit + 5] = rng.integers(80, 256)
        return Arrays(x[:200], y[:200], x[200:], y[200:], levels=256)

    folder = tmp_path_factory.mktemp("pages")
    np.save(folder / "faces.npy", rng.integers(0, 256, (80, 32, 32, 3)).astype(np.uint8))
    table = rng.normal(size=(80, 4)) * [0.01, 1, 100, 10_000]
    np.save(folder / "ecg.npy", rng.normal(size=6000))
    np.save(folder / "new.npy", rng.normal(size=600))
    np.save(folder / "windows.npy", rng.normal(size=(300, 256)))
    np.savetxt(folder / "wine.csv", table, delimiter=",", header="a,b,c,d", comments="")
    people = [
        f"p{i},{rng.normal(170, 9):.1f},{rng.poisson(2)},{['yes', 'no'][i % 2]},"
        f"{['Faro', 'Porto'][i % 2]},{['ill', 'well'][i % 2]}"
        for i in range(90)
    ]
    for name in ("patients", "people", "new"):
        header = "id,height,visits,member,city,diagnosis"
        (folder / f"{name}.csv").write_text("\n".join([header, *people, "q1,,3,no,,ill"]))
    shutil.copy(folder / "new.csv", folder / "holes.csv")
    for i in range(24):
        photo = folder / "photos" / ("cat", "dog")[i % 2] / f"{i}.png"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (70, 66, 3)).astype(np.uint8)).save(photo)
    with one_registry(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("vaelab.data.mnist.load", mnist)
        unplotted = SimpleNamespace(plot=lambda *_: None, is_frame=lambda *_: False)
        for module in ("train", "posthoc_prior"):  # `vaelab figures` and `report` are enough
            patch.setattr(f"vaelab.workflows.{module}.gallery", unplotted)
            patch.setattr(f"vaelab.workflows.{module}.write_finished", lambda *_: None)
        patch.setattr("vaelab.devices._idle_cores", lambda: 1.0)
        patch.setattr("vaelab.cli.pages._shown", lambda path: True)  # no browser
        few = partial(Evaluator, n_samples=200)
        patch.setattr("vaelab.workflows.evaluate.Evaluator", few)
        patch.setattr("vaelab.workflows.posthoc_prior.STEPS", 20)
        patch.setattr("vaelab.evaluation.classifier.SHOWN", (500, 1000))
        patch.setattr("vaelab.evaluation.annealing.TEMPERATURES", 5)
        patch.setattr("vaelab.evaluation.sections.likelihood.SECOND", 4)
        for block in blocks():
            if named := re.match(r"# (\S+\.(toml|py))\n", block.text):
                Path(named[1]).write_text(block.text)
        parts = [b.text for b in blocks() if (b.page, b.language) == ("extending.md", "python")]
        Path("sparse.py").write_text("\n".join(parts))
        yield folder


def provide(name: str) -> None:
    """Train the run that a page calls `name`, where no command before has left it."""
    folder = Path(name)
    if (folder / "recipe.toml").exists() or (folder / "study.json").exists():
        return
    recipe = "quickstart"
    given = dict(TINY)
    if folder.name in OF_DATA:
        words = ["train", OF_DATA[folder.name], "--out", name, *SMALL]
        assert main([*words, "--model.hidden=8"]) == 0
        return
    if folder.parent.name in available():  # a run of a study
        provide(str(folder.parent))
        return
    if folder.name in available():
        recipe, given = folder.name, {}
    if "label" in name or folder.name == "cvae":
        given["model.variant"] = "cvae"
    words = ["train", recipe, "--out", name, *flags(given), *SMALL]
    assert main(words) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_runs(command: str, workspace: Path) -> None:
    words = reduced(shlex.split(command)[1:])
    if len(words) == 1 and words[0] not in ("list",):  # the name of a command in running text
        words.append("--help")
    if "--help" in words:
        assert main(words) == 0
        return
    run = "runs/labels" if "--label" in words else "runs/any"
    if any(word.endswith(".csv") for word in words):
        run = "runs/patients"
    words = [run if word == "RUN" else word for word in words]
    for word in words:
        if word.startswith("runs/") and words[words.index(word) - 1] != "--out":
            provide(word)
        if word.endswith(".pack") and words[0] != "pack" and not Path(word).exists():
            vaelab.pack(word.removesuffix(".pack"), word, {"data.resize": 32}, quiet=True)
    if "card" in words[1:] and words[0] != "card" and not Path("card").exists():
        provide("runs/mlp-20d")
        vaelab.write_card("runs/mlp-20d", "card", quiet=True)
    trains = words[0] == "train" or (words[0] == "compare" and not words[1].startswith("runs/"))
    small = SMALL if trains else []
    if words[0] == "sweep":  # of runs without figures, which are not compared
        small = [*SMALL, "--figures.format=", "--no-compare"]
    if "--resume" in words:
        small = []
    if words[0] in ("train", "fit-prior", "card", "pack") and "--resume" not in words:
        small = [*small, "--overwrite"]
    assert main([*words, *small]) == 0


@pytest.mark.parametrize(
    "block",
    [block for block in blocks() if block.language == "python" and block.page != "extending.md"],
    ids=lambda block: f"{block.page}:{block.line}",
)
def test_a_code_block_of_the_pages_runs(block: Block, workspace: Path) -> None:
    shutil.rmtree("runs/mlp-20d", ignore_errors=True)
    if "vaelab.train(" not in block.text:
        provide("runs/mlp-20d")
    provide("runs/binary-40d")
    for name in OF_DATA:
        if f"runs/{name}" in block.text:  # a command may have trained it on other data
            shutil.rmtree(f"runs/{name}", ignore_errors=True)
            provide(f"runs/{name}")
    for name in {*re.findall(r'"(runs/[\w-]+)/export/\w+\.onnx"', block.text)}:
        vaelab.export_model(name, quiet=True)
    text = re.sub(r'("train.epochs": |samples=|sample\()\d+', r"\g<1>2", block.text)
    frame = pandas.read_csv("new.csv")
    names = {"frame": frame, "x": np.random.default_rng(0).random((3, 28, 28)), "vaelab": vaelab}
    exec(compile(text, f"{block.page}:{block.line}", "exec"), names)


def test_scripts_flags_and_targets_of_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for command in written():
        words = shlex.split(command)
        if words[0] == "make":
            assert f"\n{words[1]}:" in makefile, command
        elif words[:2] == ["python", "-m"]:
            assert (ROOT / "src" / Path(*words[2].split("."))).with_suffix(".py").exists() or (
                ROOT / "src" / words[2]
            ).is_dir(), command
            assert all((ROOT / page).exists() for page in words[3:]), command
        elif words[0] == "python":
            source = (ROOT / words[1]).read_text("utf-8")
            for word in words[2:]:
                assert not word.startswith("--") or f'"{word}"' in source, command


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "docs" / "LOG.md"]:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", text):
            there = (page.parent / target) if target else page
            heads = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
            assert anchor in slugs, f"{page.name}: {target}#{anchor}"
