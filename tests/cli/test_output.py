"""Output degrades and never ends the program: code pages, missing, closed and full streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, SCRIPT, least

from vaelab.cli.main import COMMANDS, main
from vaelab.cli.wording import as_flags

HARD = "± × → β Ł 字 é"
PRINT = f"""
import sys
from vaelab.cli import output
output.prepare()
print({HARD!r})
print({HARD!r}, file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "cp932", "cp437", "cp1250", "ascii"])
def test_characters_that_a_code_page_lacks_are_replaced(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        env={**ENVIRONMENT, "PYTHONIOENCODING": encoding}, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    words = done.stdout.decode(encoding).split()
    assert len(words) == 7
    for found, wanted in zip(words, [*HARD.split()], strict=True):
        plain = {"±": "+/-", "×": "x", "→": "->", "β": "beta", "Ł": "?", "字": "?", "é": "e"}
        assert found in (wanted, plain[wanted])


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_every_list_can_be_printed_in_a_legacy_code_page(encoding: str) -> None:
    done = subprocess.run(
        [SCRIPT, "list", "models"],
        env={**ENVIRONMENT, "PYTHONIOENCODING": encoding}, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"ladder" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "| true"])
@pytest.mark.parametrize("words", ["list", "list nothing", "train --help"])
def test_missing_streams_and_readers_that_leave_are_no_fault(words: str, closed: str) -> None:
    done = subprocess.run(
        f"{SCRIPT} {words} {closed}; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", env=ENVIRONMENT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == (2 if words == "list nothing" else 0)


def test_streams_that_are_none_are_no_fault() -> None:
    code = """
import sys
from vaelab.cli.main import main
sys.stdout = sys.stderr = None
sys.exit(main(["list"]) + 10 * main(["list", "nothing"]))
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False)
    assert done.returncode == 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [SCRIPT, "list"],
            env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("vaelab: standard output")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_memory_that_runs_out_is_answered_with_an_option_that_the_command_has(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(arguments: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate ...")

    monkeypatch.setitem(COMMANDS, command, COMMANDS[command]._replace(run=exhausted))
    assert main(least(command)) == 2
    err = capsys.readouterr().err
    assert err.startswith("vaelab: there is not enough memory; ")
    assert err.count("\n") == 1
    options = {option.name for option in COMMANDS[command].options}
    for word in err.replace(",", " ").split():
        known = word in options or word.startswith(("--train.", "--model."))
        assert not word.startswith("-") or known or "vaelab evaluate RUN" in err


def test_installed_metadata_is_not_needed() -> None:
    code = """
import importlib.metadata as metadata, sys, torch
def missing(name): raise metadata.PackageNotFoundError(name)
metadata.version = missing
import vaelab.devices
found = vaelab.devices.environment(torch.device("cpu"), 1, "")["packages"]
assert found and all(isinstance(text, str) and text for text in found.values()), found
"""
    subprocess.run([sys.executable, "-c", code], env=os.environ, check=True)


@pytest.mark.parametrize(
    ("message", "command", "wanted"),
    [
        ("data.test: is 0; set data.test above 0", "train",
         "--data.test: is 0; set --data.test above 0"),
        ("mine.toml: data.test: is 0", "train", "mine.toml: data.test: is 0"),
        ("n: expected at least 1, got 0", "sample", "-n: expected at least 1, got 0"),
        ("runs/a: holds a run; pass overwrite=True", "train",
         "runs/a: holds a run; pass --overwrite"),
        ("train.epoch: there is none; did you mean 'train.epochs'?", "train",
         "--train.epoch: there is none; did you mean '--train.epochs'?"),
        ("x: add --code a.py", "sample", "x: add --code a.py"),
        ("runs/data.test/x.npy: is empty", "encode", "runs/data.test/x.npy: is empty"),
        ("set --data.scale", "train", "set --data.scale"),
        ("label: there is no class 'x'", "sample", "--label: there is no class 'x'"),
        ("data.source.bak: is missing", "train", "data.source.bak: is missing"),
    ],
)  # fmt: skip
def test_parameters_of_the_api_are_named_as_options(
    message: str, command: str, wanted: str
) -> None:
    assert as_flags(message, COMMANDS[command], ["train.epoch"]) == wanted
