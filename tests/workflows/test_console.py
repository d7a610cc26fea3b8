"""Output during training: on a terminal, in a pipe, and where nothing can be printed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import BARE, TINY, flags, tiny

import vaelab
from vaelab.cli.main import main
from vaelab.workflows import console
from vaelab.workflows.console import Console, Progress, Table, say

ENCODINGS = ["ascii", "cp1252", "cp932", "cp437"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Called within a test, because pytest replaces stdout between fixtures and test."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    return stream


def entry(number: int, **terms: float) -> dict[str, Any]:
    train = {"loss": 165.68, "distortion": 150.38, "rate": 15.3} | terms | {"optimised": 170.1}
    validation = {"loss": 128.35, "distortion": 107.18, "rate": 21.17} | terms
    beta = {"epoch": number, "learning_rate": 1e-3, "beta": 0.5}
    return beta | {"train": train, "validation": validation}


def lines(epochs: int, extra: tuple[str, ...] = (), **terms: float) -> list[str]:
    stream, real = io.StringIO(), sys.stdout
    sys.stdout = stream
    try:
        table = Table(Console(), epochs)
        for number in range(1, epochs + 1):
            table.show(entry(number, **terms), 2.4, extra)
    finally:
        sys.stdout = real
    return stream.getvalue().splitlines()


# ---------------------------------------------------------------- the table of epochs


@pytest.mark.parametrize("extra", [(), ("beta",), ("beta", "gamma", "optimised")])
@pytest.mark.parametrize("terms", [{}, {"bound": 120.5}, {"loss": 1.5e12, "rate": -3.2e-7}])
def test_no_line_is_wider_than_79_columns(extra: tuple[str, ...], terms: dict[str, float]) -> None:
    found = lines(3280, extra, **terms)
    assert max(map(len, found)) <= 79
    assert len({len(line) for line in found[1:]}) == 1  # columns under their names
    for word in ("epoch", "loss", "distortion", "seconds"):
        assert word in found[1]


@pytest.mark.parametrize("epochs", [1, 2, 19, 20, 21, 200, 3280])
def test_about_twenty_epochs_have_a_line_the_first_and_the_last_among_them(epochs: int) -> None:
    _, _, *found = lines(epochs)
    numbers = [int(line.split("/")[0]) for line in found]
    assert numbers[0] == 1
    assert numbers[-1] == epochs
    assert min(epochs, 11) <= len(numbers) <= 21


def test_a_slow_training_has_a_line_every_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(console.time, "monotonic", lambda: float(next(clock)))
    assert len(lines(1000)) > 200


# ---------------------------------------------------------------- the live line


def test_the_live_line_is_replaced_and_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, shown = on_terminal(monkeypatch), Console()
    progress = Progress(shown, 20)
    progress.show(1, 50, 469, "loss " + "9" * 100)
    progress.show(1, 100, 469, "loss 1.0")
    shown.say("done")
    first, second, blank, done = terminal.getvalue().split("\r")[1:]
    assert len(first) == len(second) == 79
    assert blank == " " * len(second.rstrip())
    assert second.startswith("epoch 1/20  step 100/469  loss 1.0")
    assert done == "done\n"


def test_a_pipe_gets_plain_lines_and_no_live_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Console()
    assert not shown.due()
    shown.live("live")
    shown.say("plain")
    assert capsys.readouterr().out == "plain\n"


def test_quiet_is_silent_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, shown = on_terminal(monkeypatch), Console(quiet=True)
    assert not shown.due()
    shown.live("live")
    shown.say("plain")
    assert terminal.getvalue() == ""


def test_what_trainings_have_in_common_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Console()
    for text in ("table", "table", "other"):
        shown.once(text)
    assert capsys.readouterr().out == "table\nother\n"


# ---------------------------------------------------------------- output that cannot be written


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_characters_that_the_encoding_lacks_are_replaced(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, newline=""))
    say("β = 0.5 ± 0.1, 猫")
    assert raw.getvalue().decode(encoding).startswith(("β", "?", "ß"))


def test_no_stdout_and_a_closed_one_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stdout", stream)
        say("text")
        Console().say("text")


LOST = {
    "full": "> /dev/full",
    "closed": ">&-",
    "both closed": ">&- 2>&-",
    "a reader that has gone": "| true",
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("way", LOST)
def test_a_training_outlives_its_output(way: str, tmp_path: Path) -> None:
    words = " ".join(["train", "quickstart", "--out", str(tmp_path / "run"), *flags(TINY | BARE)])
    command = f"set -o pipefail; {sys.executable} -m vaelab {words} {LOST[way]}"
    done = subprocess.run(
        ["bash", "-c", command], env=os.environ, timeout=120, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert vaelab.load(tmp_path / "run").finished


def test_a_training_prints_its_table_of_layers_once_for_runs_of_one_model(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vaelab.train_all({name: tiny({"train.seed": i}) for i, name in enumerate("abc")}, tmp_path)
    out = capsys.readouterr().out
    assert out.count("  total ") == 1
    assert out.count("run folder: ") == 3


def test_all_epochs_are_in_the_metrics_though_few_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = flags(TINY | BARE | {"train.epochs": 60, "train.batch": 2000})
    assert main(["train", "quickstart", "--out", str(tmp_path / "run"), *settings]) == 0
    assert sum("/60 " in line for line in capsys.readouterr().out.splitlines()) == 21
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == [*range(1, 61)]
