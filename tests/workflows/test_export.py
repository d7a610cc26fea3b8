"""`vaelab export`: files that carry what a program without vaelab needs, and no more."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import safetensors
from conftest import contents, tiny
from onnx_registry import one_registry

import vaelab
from vaelab.cli.main import main
from vaelab.recipes import permit
from vaelab.workflows.given import given

ROOT = Path(__file__).parents[2]
TABLE = """id,height,visits,member,city,seen
""" + "\n".join(
    f"p{i},{150 + i % 37}.{i % 10},{i % 5},{'yes' if i % 3 else 'no'},"
    f"{('Faro', 'Porto', '', 'Braga')[i % 4]},2024-01-{1 + i % 28:02d}"
    for i in range(120)
)


@pytest.fixture(autouse=True, scope="module")
def _registry() -> Iterator[None]:
    with one_registry():
        yield


def session(path: Path) -> tuple[Any, dict[str, Any]]:
    """An ONNX file opened, and the contract in it."""
    opened = onnxruntime.InferenceSession(path)
    return opened, json.loads(opened.get_modelmeta().custom_metadata_map["vaelab"])


@pytest.fixture(scope="module")
def exported(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of an export by the command, and the lines that it printed."""
    folder, lines = tmp_path_factory.mktemp("exported") / "a", io.StringIO()
    with redirect_stdout(lines):
        assert main(["export", str(digits_run), "--out", str(folder)]) == 0
    return folder, lines.getvalue().splitlines()


def test_the_command_writes_three_files_and_says_what_they_do(
    digits_run: Path, exported: tuple[Path, list[str]]
) -> None:
    folder, lines = exported
    names = ("encoder", "decoder", "sampler")
    assert [line.split(": ")[0] for line in lines] == [str(folder / f"{n}.onnx") for n in names]
    assert lines[0].endswith("kB, x (N, 8, 8) -> mean (N, 2), log_variance (N, 2)")
    assert lines[2].endswith("kB, noise (N, 2) -> x (N, 8, 8), z (N, 2)")
    run = vaelab.load(digits_run)
    x = run.data.test.x[:9].float() / 16
    opened, _ = session(folder / "encoder.onnx")
    (mean,) = opened.run(["mean"], {"x": x.numpy()})
    np.testing.assert_allclose(mean, run.vae.encode(x), atol=1e-5)


def test_the_default_folder_is_in_the_run_and_counts_as_written_by_vaelab(a_copy: Path) -> None:
    written = vaelab.export_model(a_copy, format="safetensors", quiet=True)
    assert written == {"weights": a_copy / "export" / "model.safetensors"}
    assert "export/model.safetensors" in (a_copy / ".vaelab").read_text().splitlines()
    vaelab.export_model(a_copy, format="safetensors", quiet=True)  # again, over our own


def test_a_card_is_only_read(digits_run: Path, tmp_path: Path) -> None:
    card = vaelab.write_card(digits_run, tmp_path / "card", quiet=True)
    before = contents(card)
    with pytest.raises(vaelab.UserError, match="a model card, which is only read; name a place"):
        vaelab.export_model(card, format="safetensors", quiet=True)
    vaelab.export_model(card, tmp_path / "out", format="safetensors", quiet=True)
    assert contents(card) == before


def test_the_weights_carry_the_contract(digits_run: Path, tmp_path: Path) -> None:
    run = vaelab.load(digits_run)
    path = vaelab.export_model(run, tmp_path, format="safetensors", quiet=True)["weights"]
    with safetensors.safe_open(path, "pt") as file:
        contract = json.loads(file.metadata()["vaelab"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dictionary
    assert contract["model"]["posterior"] == "gaussian"
    assert contract["data"]["levels"] == 17
    run.vae.load_state_dict(weights)


def test_a_file_of_someone_else_stays(digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "decoder.onnx").write_text("mine")
    with pytest.raises(vaelab.UserError, match=r"decoder\.onnx: was not written by vaelab; choose"):
        vaelab.export_model(digits_run, tmp_path)
    assert contents(tmp_path) == {"decoder.onnx": b"mine"}


def test_an_unknown_format_is_refused(digits_run: Path, tmp_path: Path) -> None:
    with pytest.raises(vaelab.UserError, match="format: there is no 'onx'; did you mean 'onnx'"):
        vaelab.export_model(digits_run, tmp_path, format="onx")  # type: ignore[arg-type]  # on purpose


def test_a_program_of_torch_export_needs_no_vaelab(digits_run: Path, tmp_path: Path) -> None:
    written = vaelab.export_model(digits_run, tmp_path, format="torch-export", quiet=True)
    code = (
        "import sys, torch; program = torch.export.load(sys.argv[1]).module(); "
        "print(program(torch.zeros(5, 8, 8))['mean'].shape); assert 'vaelab' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, written["encoder"]], capture_output=True, text=True, check=True
    )
    assert done.stdout == "torch.Size([5, 2])\n"


# ---------------------------------------------------------------- tables


def test_a_table_is_encoded_by_its_contract_alone(tmp_path: Path, quick: None) -> None:
    """Cells -> numbers -> ONNX, with nothing but the JSON, gives what vaelab gives."""
    (tmp_path / "people.csv").write_text(TABLE)
    settings = {"train.epochs": 1, "model.hidden": [8]}
    recipe = vaelab.recipe_for(tmp_path / "people.csv", settings)
    run = vaelab.train(recipe, tmp_path / "run", quiet=True)
    written = vaelab.export_model(run, quiet=True)
    encoder, contract = session(written["encoder"])
    columns = contract["data"]["columns"]
    assert str(tmp_path) not in json.dumps(contract)
    assert [column["name"] for column in columns] == ["height", "visits", "member", "city", "seen"]

    cells = [dict(zip(TABLE.splitlines()[0].split(","), row.split(","), strict=True))
             for row in TABLE.splitlines()[1:]]  # fmt: skip

    def number(column: dict[str, Any], cell: str) -> float:
        if cell == "":
            return np.nan
        if column["values"]:
            return float(column["values"].index(cell))
        if column["kind"] == "date":
            return (
                float((np.datetime64(cell) - np.datetime64("1970-01-01")).astype(int))
                - column["origin"]
            )
        return float(cell) - column["origin"]

    x = np.array([[number(c, row[c["name"]]) for c in columns] for row in cells], np.float32)
    assert np.isnan(x).any()
    (mean,) = encoder.run(["mean"], {"x": x})
    x_given = given(run, tmp_path / "people.csv").x
    np.testing.assert_allclose(mean, run.vae.encode(x_given), atol=1e-5)

    decoder, _ = session(written["decoder"])
    found = dict(zip(("mean", "probabilities"), decoder.run(None, {"z": mean}), strict=True))
    at = {c["name"]: slice(*c["probabilities"]) for c in columns if c["values"]}
    for name, where in at.items():
        i = [c["name"] for c in columns].index(name)
        np.testing.assert_allclose(found["probabilities"][:, where].sum(1), 1, atol=1e-5)
        np.testing.assert_array_equal(
            found["probabilities"][:, where].argmax(1), found["mean"][:, i]
        )


# ---------------------------------------------------------------- custom parts

CUSTOM = """
import torch
from torch import nn
from vaelab.models import Networks

class Encoder(nn.Module):
    def forward(self, x):
        return {body}

def plain(shape, inputs, outputs):
    size = shape[0] * shape[1]
    decoder = nn.Sequential(nn.Linear(inputs, outputs * size), nn.Unflatten(1, (outputs, *shape)))
    return Networks(Encoder(), size, decoder)
"""


def custom(tmp_path: Path, body: str) -> vaelab.Run:
    file = tmp_path / "mine.py"
    file.write_text(CUSTOM.format(body=body))
    permit(file)
    return vaelab.train(tiny({"model.network": f"{file}:plain"}), tmp_path / "run", quiet=True)


def test_a_custom_part_is_written_without_its_path(tmp_path: Path, quick: None) -> None:
    run = custom(tmp_path, "x.flatten(1).sin()")
    _, contract = session(vaelab.export_model(run, quiet=True)["encoder"])
    assert contract["model"]["network"] == "mine.py:plain"


def test_what_cannot_be_traced_is_left_out_with_the_reason(
    tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = custom(tmp_path, "x.flatten(1) if x.sum() > 0 else -x.flatten(1)")
    capsys.readouterr()
    assert vaelab.export_model(run).keys() == {"decoder", "sampler"}
    note = capsys.readouterr().out.splitlines()[0]
    assert note.startswith("note: encoder is left out: encoder: torch.export cannot trace it (")


# ---------------------------------------------------------------- without torch


def test_the_example_classifies_digits_without_torch(exported: tuple[Path, list[str]]) -> None:
    encoder = exported[0] / "encoder.onnx"
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], "
        "run_name='__main__'); assert not {'torch', 'vaelab'} & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, ROOT / "examples" / "onnx_pipeline.py", encoder],
        capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert float(done.stdout.split()[-1]) > 0.17  # chance is 0.1 with a standard error of 0.014
