"""Completion: the shells complete commands, options, settings, their choices, recipes and files."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from vaelab.cli.help import LISTS, TOPICS
from vaelab.cli.main import COMMANDS, main
from vaelab.recipes import AXES, ROWS, available, fields

# What is typed, and some of what it becomes; the last word is completed.
TYPED = [
    ("", set(COMMANDS)),
    ("evaluate --la", {"--lang"}),
    ("evaluate --lang ", {"en", "pt"}),
    ("evaluate ru", {"runs"}),
    ("train quicks", {"quickstart"}),
    ("train mn", {"mnist"}),
    ("train my", {"my.toml"}),
    ("train quickstart --model.varia", {"--model.variant"}),
    ("train quickstart --model.variant iw", {"iwae"}),
    ("train quickstart --model.prior ", set(AXES["model.prior"])),
    ("train quickstart --model.batch_norm ", {"true", "false"}),
    ("compare mlp-2", {"mlp-20d", "mlp-2d"}),
    ("score runs runs/new", {"runs/new.csv"}),
    ("list ", set(LISTS)),
    ("help ", {*COMMANDS, *TOPICS}),
    ("completion ", {"bash", "zsh", "fish"}),
]


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the scripts and something to complete."""
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        (tmp_path / f"script.{shell}").write_text(capsys.readouterr().out)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "new.csv").touch()
    (tmp_path / "my.toml").touch()
    return tmp_path


def asked(place: Path, *words: str) -> list[str]:
    """What a shell prints in the folder; one that is not installed is skipped."""
    if not shutil.which(words[0]):
        pytest.skip(f"no {words[0]} here: apt-get install {words[0]}")
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_completes(place: Path) -> None:
    lines = ["source script.bash"]
    for typed, _ in TYPED:
        words = shlex.split(f"vaelab {typed}") + [""] * (not typed or typed.endswith(" "))
        lines += [
            f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; COMPREPLY=()",
            '_shtab_vaelab; echo "${COMPREPLY[*]}"',
        ]
    found = asked(place, "bash", "-c", "\n".join(lines))
    for (typed, wanted), line in zip(TYPED, found, strict=True):
        assert wanted <= {*line.split()}, typed


def test_fish_completes(place: Path) -> None:
    for typed, wanted in [TYPED[0], TYPED[1], TYPED[4], TYPED[6], TYPED[8], TYPED[11]]:
        lines = asked(
            place, "fish", "-c", f"source script.fish; complete -C {shlex.quote('vaelab ' + typed)}"
        )
        assert wanted <= {line.partition("\t")[0] for line in lines}, typed


def test_zsh_reads_the_script(place: Path) -> None:
    assert asked(place, "zsh", "-n", "script.zsh") == []


def test_scripts_have_every_option_and_setting(place: Path) -> None:
    options = {option.name for command in COMMANDS.values() for option in command.options}
    names = {name for name in options if name.startswith("--")}
    for shell in ("bash", "zsh"):
        text = (place / f"script.{shell}").read_text()
        assert all(name in text for name in names | {f"--{field.key}" for field in fields()})
        assert all(name in text for name in (*available(), *ROWS))


def test_a_shell_that_vaelab_does_not_know_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "cmd"]) == 2
    assert "bash" in capsys.readouterr().err
