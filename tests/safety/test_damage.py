"""Damaged files of a run: each is noticed or harmless, and none ends in a traceback."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, outcome, tiny

import vaelab
from vaelab.cli.main import main
from vaelab.errors import UserError, quoted
from vaelab.runs import Run, checksum

FLIPS = 200
BINARY = ("best.safetensors", "last.pt")
TEXT = ("recipe.toml", "metrics.jsonl", "times.jsonl", "results.json", "environment.json")


def values(folder: Path) -> tuple[object, ...]:
    """All that is read of a run, in a form that can be compared."""
    run = vaelab.load(folder)
    state = run.state()
    assert state
    tensors, facts = state
    return (
        checksum(run.vae.state_dict(), json.dumps(run.contract)),
        checksum(tensors, json.dumps(facts)),
    )


def error_of(work: Callable[[], object]) -> str:
    """The message of the user error that the work ends with; "" where it ends well."""
    try:
        work()
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", BINARY)
def test_every_flipped_bit_is_noticed_or_harmless(name: str, a_copy: Path) -> None:
    before, stream, noticed = values(a_copy), random.Random(0), 0
    path = a_copy / name
    whole = path.read_bytes()
    for _ in range(FLIPS):
        content = bytearray(whole)
        content[stream.randrange(len(whole))] ^= 1 << stream.randrange(8)
        path.write_bytes(content)
        error = error_of(lambda: values(a_copy) == before or pytest.fail("other values"))
        assert not error or error.startswith(f"{path}: ")
        noticed += bool(error)
    assert noticed > FLIPS / 2


def test_a_file_of_an_older_vaelab_is_called_so(a_copy: Path) -> None:
    run = vaelab.load(a_copy)
    state = run.state()
    assert state
    run.save_state(state[0], state[1] | {"format": 1})
    with pytest.raises(UserError, match=r"last\.pt: was written by an older vaelab"):
        run.state()


JUNK = (None, True, -1, 0, 1e308, float("nan"), "x", "", [], {}, [[]], {"a": 1}, 10**30, "\x1b[2J")


def mutated(value: Any, stream: random.Random) -> Any:
    """The value with something in it removed, renamed, doubled or replaced."""
    if stream.random() < 0.3 or not isinstance(value, dict | list) or not value:
        return stream.choice(JUNK)
    if isinstance(value, list):
        index = stream.randrange(len(value))
        return [*value[:index], mutated(value[index], stream), *value[index + 1 :]]
    key = stream.choice([*value])
    rest = {name: inner for name, inner in value.items() if name != key}
    return [rest, rest | {key + "x": value[key]}, rest | {key: mutated(value[key], stream)}][
        stream.randrange(3)
    ]


def mutated_text(text: str, stream: random.Random) -> str:
    """A file with a line of JSON mutated, or its characters."""
    lines = text.splitlines()
    index = stream.randrange(len(lines))
    try:
        lines[index] = json.dumps(mutated(json.loads(lines[index]), stream))
    except ValueError:
        lines[index] = lines[index].partition("=")[0] + f"= {stream.choice(JUNK)!r}"
    if stream.random() < 0.2:
        lines = stream.sample(lines, stream.randrange(len(lines) + 1))
    return "\n".join(lines) + "\n" * (stream.random() < 0.8)


LOOKS: tuple[Callable[[Run], object], ...] = (
    lambda run: [row["train"]["loss"] + row["beta"] for row in run.history],
    lambda run: [row["seconds"] + row["epoch"] for row in run.times],
    lambda run: (run.results["distortion"] + run.results["rate"], run.results["epoch"] + 0),
    lambda run: (run.environment.get("threads", 0) + 0, run.finished),
    lambda run: run.class_names,
)


@pytest.mark.parametrize("name", TEXT)
def test_a_mutated_text_is_refused_in_one_line_or_read(name: str, a_copy: Path) -> None:
    stream, path = random.Random(name), a_copy / name
    whole = path.read_text()
    for _ in range(100):
        path.write_text(mutated_text(whole, stream))
        for look in LOOKS:
            error = error_of(lambda look=look: look(vaelab.load(a_copy)))
            assert error.isprintable()


def test_mutated_facts_and_contracts_are_refused_in_one_line(a_copy: Path) -> None:
    """Also those that carry the right checksum, as somebody could make them."""
    run, stream = vaelab.load(a_copy), random.Random(0)
    state = run.state()
    assert state
    for _ in range(100):
        facts = mutated(state[1], stream)
        if not isinstance(facts, dict):
            continue
        run.save_state(state[0], facts)
        assert "last.pt" in (error_of(run.state) or "last.pt")


@pytest.mark.parametrize("text", ["epochs = " + "9" * 5000, "epochs = 0x" + "f" * 5000, "a=" * 999])
def test_numbers_of_thousands_of_digits_are_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text(f"[train]\n{text}\n")
    with pytest.raises(UserError) as caught:
        vaelab.recipe(path)
    assert len(str(caught.value)) < 1000


# ---------------------------------------------------------------- what last.pt knows is repaired


@pytest.mark.parametrize("name", ["recipe.toml", "metrics.jsonl", "times.jsonl"])
@pytest.mark.parametrize("content", [None, b"", b"\x00{"], ids=str)
def test_a_resume_repairs_what_the_state_knows(
    name: str, content: bytes | None, quick: None, a_copy: Path
) -> None:
    (a_copy / "results.json").unlink()
    before = outcome(a_copy)
    if content is None:
        (a_copy / name).unlink()
    else:
        (a_copy / name).write_bytes(content)
    run = vaelab.resume(a_copy, quiet=True)
    found = outcome(a_copy)
    assert {key: found[key] for key in before} == before
    assert len(run.history) == 3


def test_a_first_epoch_interrupted_twice_leaves_nothing_that_is_called_damaged(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = vaelab.train(tiny(), tmp_path / "whole", quiet=True)
    state = run.state()
    assert state
    folder = tmp_path / "run"
    folder.mkdir()
    begun = vaelab.runs.create(folder, run.recipe)
    begun.save_state(state[0], state[1] | {"history": [], "step": 1})

    def killed(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr("vaelab.workflows.train.complete", killed)
    with pytest.raises(SystemExit):
        vaelab.resume(folder, quiet=True)
    assert not (folder / "metrics.jsonl").exists()
    with pytest.raises(UserError, match=r"metrics\.jsonl: is missing"):
        vaelab.load(folder).history  # noqa: B018  # reading it is what is tested


def test_the_model_of_an_edited_file_is_not_taken_for_a_damaged_one(
    quick: None, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    text = (
        "import torch\nfrom vaelab.models.priors import StandardNormal\n"
        "class P(StandardNormal):\n    def __init__(self, size):\n        super().__init__(size)\n"
        "        self.w = torch.nn.Parameter(torch.zeros(SIZE))\n"
    )
    path.write_text(text.replace("SIZE", "3"))
    recipe = vaelab.recipe("quickstart", TINY | {"model.prior": f"{path}:P", "train.epochs": 1})
    run = vaelab.train(recipe, tmp_path / "run", quiet=True)
    path.write_text(text.replace("SIZE", "30"))
    with pytest.raises(UserError, match=r"does not fit .* or the Python files it names"):
        vaelab.load(run.folder).vae  # noqa: B018  # reading it is what is tested


# ---------------------------------------------------------------- names in messages


def test_no_name_steers_the_terminal_and_remedies_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a \x1b[31mb\n'c'"
    assert main(["doctor", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "\x1b" not in error
    assert str(UserError("a\u202eb")) == "a\\u202eb"
    assert quoted(Path("my runs/a$b")) == "'my runs/a$b'"
