"""Help and lists: complete, at most 80 columns wide, every choice on a line, and at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, SCRIPT, TINY, flags

from vaelab.cli.help import LISTS
from vaelab.cli.main import COMMANDS, main
from vaelab.recipes import AXES, ROWS, available, fields

HELPS = [
    [],
    ["help"],
    ["help", "settings"],
    ["train", "--help-all"],
    ["list"],
    *([command, "--help"] for command in COMMANDS),
    *(["list", kind] for kind in LISTS),
]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help_and_lists_fit_80_columns(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for line in printed(capsys, *words).splitlines():
        assert len(line) <= 80, line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_each_of_its_options_and_their_choices(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, command, "--help")
    assert out.startswith(f"usage: vaelab {command}")
    for option in COMMANDS[command].options:
        assert re.search(rf"^  {option.name}\b", out, re.MULTILINE), option.name
        for choice in option.choices:
            assert re.search(rf"^ +{choice}: \w", out, re.MULTILINE), choice


def test_the_complete_help_has_every_setting_with_every_choice_on_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = printed(capsys, "train", "--help-all")
    assert printed(capsys, "help", "settings").strip() in out
    for field in fields():
        block = re.search(rf"^  --{field.key} .*\n((?:    .*\n?)+)", out, re.MULTILINE)
        assert block, field.key
        assert field.about.split()[0] in block[1]
        for name in field.choices:
            assert re.search(rf"^    {re.escape(name)}: \S", block[1], re.MULTILINE), name


def test_the_short_help_has_the_common_settings_and_says_where_the_others_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = printed(capsys, "train", "--help")
    assert (
        "    dynamic: every pixel is resampled from Bernoulli(grey level) in every epoch\n" in out
    )
    assert "vaelab train --help-all" in out
    for field in fields():
        assert (f"  --{field.key} " in out) == field.common, field.key
    assert out.count("\n") < 100


def test_lists_name_everything(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"recipes": list(available()), "models": list(ROWS)}
    for kind, key in LISTS.items():
        title, *lines = printed(capsys, "list", kind).splitlines()
        assert title.startswith(kind)
        first = [line.split()[0] for line in lines if re.match(r"  \S", line)]
        assert first == names.get(kind, list(AXES.get(key, ())))


@pytest.mark.alone
@pytest.mark.parametrize("words", [[], ["train", "--help"], ["list"], ["train", "--train.lr=3"]])
def test_what_needs_no_torch_answers_in_half_a_second_without_it(words: list[str]) -> None:
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-X", "importtime", SCRIPT, *words],
            env=ENVIRONMENT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        times.append(time.perf_counter() - begun)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "vaelab.recipes" in imported
    assert not {"torch", "sklearn", "matplotlib", "lightning_fabric"} & imported
    assert min(times) < 0.5


@pytest.mark.alone
def test_a_training_says_what_it_begins_with_within_half_a_second(tmp_path: Path) -> None:
    def seconds(number: int) -> float:
        begun = time.perf_counter()
        with subprocess.Popen(
            [SCRIPT, "train", "quickstart", "--out", str(number), *flags(TINY)],
            env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
        ) as process:  # fmt: skip
            assert process.stdout
            assert process.stdout.readline() == "training quickstart\n"
            passed = time.perf_counter() - begun
            process.kill()
        return passed

    assert min(map(seconds, range(3))) < 0.5


def test_quiet_prints_nothing(a_copy: Path, tmp_path: Path) -> None:
    for words in (["sample"], ["encode", "--out", "z.npy"]):
        done = subprocess.run(
            [SCRIPT, words[0], a_copy, *words[1:], "--quiet"],
            env=os.environ, capture_output=True, text=True, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
