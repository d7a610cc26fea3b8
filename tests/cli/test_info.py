"""vaelab info: what a bug report needs, quickly, and nothing of the user."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, SCRIPT

import vaelab
from vaelab.cli.help import CODES, VARIABLES
from vaelab.cli.main import main
from vaelab.errors import EXTRAS, UserError, needed
from vaelab.tracking import TRACKERS

ROOT = Path(__file__).parents[2]


def test_info_names_versions_machine_and_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.delenv("VAELAB_DATA_DIR", raising=False)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"12345")
    assert main(["info", "--json"]) == 0
    out = capsys.readouterr()
    found = json.loads(out.out)
    assert found["vaelab"] == vaelab.__version__
    assert found["packages"].keys() >= {"torch", "numpy"}
    assert found["optional"].keys() == EXTRAS.keys() | TRACKERS.keys()
    kept = {"path": f"~{os.sep}kept", "exists": True, "bytes": 5, "complete": True}
    assert (found["cache"], found["data"]) == (kept, None)
    assert str(tmp_path) not in out.out + out.err
    for key in found:
        assert f"  {key.replace('_', ' ')}" in out.err


def test_a_missing_optional_package_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vaelab.cli.info.find_spec", lambda name: None)
    assert main(["info"]) == 0
    assert "zuko (not installed)" in capsys.readouterr().out


@pytest.mark.parametrize("module", EXTRAS)
def test_a_missing_package_is_one_line_that_says_what_to_install(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    install = (
        rf"^{module.replace('_', '-')} is needed to test; install it: pip install 'vaelab\[\w+\]'$"
    )
    with pytest.raises(UserError, match=install):
        needed(module, "to test")


def test_every_optional_package_belongs_to_the_extra_that_is_named() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for module, extra in EXTRAS.items():
        packages = [line.partition(">")[0].replace("-", "_") for line in extras[extra]]
        assert module in packages


def test_variables_and_codes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "environment"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name}" in out for name in (*VARIABLES, *CODES))


def test_every_variable_that_vaelab_reads_is_documented() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for word in path.read_text("utf-8").split('"')[1::2]:
            if word.startswith("VAELAB_") and word.isupper():
                assert word in VARIABLES, path


@pytest.mark.parametrize("words", [["list"], ["train", "--help"], ["list", "nothing"]])
def test_no_colours_even_on_a_terminal(words: list[str]) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SCRIPT, *words], stdout=theirs, stderr=theirs, env={**ENVIRONMENT, "FORCE_COLOR": "1"}
    ) as process:
        os.close(theirs)
        out = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the end, on Linux
                break
            if not part:
                break
            out += part
        process.wait()
    os.close(ours)
    assert out
    assert b"\x1b" not in out
