"""The model card of a run: a hub can read it, its numbers are the run's, and no path leaks."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import yaml

import vaelab
from vaelab.cli.main import main
from vaelab.evaluation import read
from vaelab.files import written
from vaelab.report.markdown import block, escaped, table

FIXTURES = Path(__file__).parents[1] / "runs" / "fixtures"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluated run of a table, whose source is a whole path. To look at only."""
    folder = tmp_path_factory.mktemp("private-home")
    shutil.copy(FIXTURES / "visits.csv", folder)
    run = Path(shutil.copytree(FIXTURES / "0.1-table", folder / "run"))
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(recipe.replace('"visits.csv"', f'"{folder}/visits.csv"'))
    (run / "figures").mkdir()
    for name in ("columns", "reconstructions", "samples"):
        (run / "figures" / f"{name}.png").write_bytes(b"\x89PNG")
    return run


@pytest.fixture
def card(people: Path, tmp_path: Path) -> Path:
    return vaelab.write_card(people, tmp_path / "card", license="cc-by-4.0", quiet=True)


def readme(card: Path) -> str:
    return (card / "README.md").read_text("utf-8")


def header(card: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(readme(card).split("---\n")[1])
    return found


def test_a_hub_reads_the_numbers_with_their_errors(card: Path, people: Path) -> None:
    found = huggingface_hub.ModelCard.load(card / "README.md")
    assert found.data.library_name == "vaelab"
    assert found.data.license == "cc-by-4.0"
    assert found.data.pipeline_tag == "feature-extraction"
    results = {result.metric_type: result for result in found.data.eval_results}
    evaluation = read(vaelab.load(people))
    assert evaluation is not None
    nll = evaluation.sections["likelihood"]["nll"]
    assert results["nll"].metric_value == pytest.approx(nll.value, rel=1e-5)
    assert results["nll"].metric_args["standard_error"] == pytest.approx(nll.error, rel=1e-5)
    assert results["nll"].metric_args["unit"] == "nats per example"
    assert results["nll"].metric_args["importance_samples"] == 20
    assert results["nll"].dataset_split == "test"
    again = huggingface_hub.repocard_data.eval_results_to_model_index(
        found.data.model_name, found.data.eval_results
    )
    assert again == header(card)["model-index"]


def test_the_numbers_of_the_text_are_those_of_the_header(card: Path) -> None:
    metrics = header(card)["model-index"][0]["results"][0]["metrics"]
    assert len(metrics) > 4
    for metric in metrics:
        row = next(line for line in readme(card).splitlines() if f"| {metric['name']} |" in line)
        value, _, error = row.split("|")[2].partition("±")
        assert float(value.replace("−", "-")) == pytest.approx(metric["value"], rel=0.02, abs=0.02)
        assert bool(error) == ("standard_error" in metric["args"])


def test_no_path_of_the_machine_is_in_any_file(card: Path, people: Path) -> None:
    for path in card.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(people.parent).encode() not in content, path
            assert b"private-home" not in content, path
    assert vaelab.load(card).recipe.data.source == "visits.csv"


def test_the_card_of_a_table_shows_no_single_row(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["card", str(people), str(tmp_path / "card")]) == 0
    said = capsys.readouterr().out
    assert "names, categories and ranges of the columns are in the card" in said
    assert "no licence was chosen" in said
    assert not (tmp_path / "card" / "figures" / "reconstructions.png").exists()
    assert (tmp_path / "card" / "figures" / "columns.png").exists()
    assert "The names, the categories and the smallest" in readme(tmp_path / "card")


def test_pictures_have_texts_and_are_there(card: Path) -> None:
    shown = re.findall(r"!\[(.+)\]\((.+)\)", readme(card))
    assert {path for _, path in shown} == {"figures/columns.png", "figures/samples.png"}
    assert all((card / path).is_file() for _, path in shown)


def test_config_holds_recipe_contract_and_version(card: Path, people: Path) -> None:
    config = json.loads((card / "config.json").read_text())
    run = vaelab.load(people)
    assert config["vaelab_version"] == vaelab.__version__
    assert config["data"]["shape"] == list(run.vae.shape)
    assert [c["name"] for c in config["data"]["schema"]["columns"]] == list(run.schema.names)
    assert (card / "model.safetensors").read_bytes() == run.weights.read_bytes()


def test_the_usage_of_the_card_runs(
    card: Path, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = vaelab.write_card(digits_run, tmp_path / "images", quiet=True)
    for folder in (card, images):
        code = re.findall(r"^```python\n(.*?)^```", readme(folder), re.M | re.S)[0]
        exec(code.replace('"folder"', repr(str(folder))), {})
    np.save("new.npy", np.zeros((3, 8, 8), np.uint8))
    for line in ("sample folder --out s.png", "encode folder --data new.npy --out codes.csv"):
        assert main(line.replace("folder", "images").split()) == 0


def test_a_run_that_was_not_evaluated_says_so(digits_run: Path, tmp_path: Path) -> None:
    """Its training data are grey under a Bernoulli likelihood, which is said, too."""
    card = vaelab.write_card(digits_run, tmp_path / "card", quiet=True, license="mit")
    text = readme(card)
    assert "vaelab evaluate was not run" in text
    assert "NOT A LIKELIHOOD" in text
    assert header(card)["pipeline_tag"] == "unconditional-image-generation"
    assert "vaelab train quickstart" in text
    assert "kingma2014auto" in text


def test_a_card_in_portuguese(card: Path, people: Path, tmp_path: Path) -> None:
    other = vaelab.write_card(people, tmp_path / "pt", license="mit", lang="pt", quiet=True)
    assert "## Como foi treinado" in readme(other)
    old = {m["type"]: m["value"] for m in header(card)["model-index"][0]["results"][0]["metrics"]}
    new = header(other)["model-index"][0]["results"][0]["metrics"]
    assert {metric["type"]: metric["value"] for metric in new} == old


def test_the_licence_is_the_users(people: Path, tmp_path: Path) -> None:
    mine = tmp_path / "My licence.txt"
    mine.write_text("Do what you like.\n")
    card = vaelab.write_card(people, tmp_path / "card", license=mine, quiet=True)
    assert (card / "LICENSE").read_text() == "Do what you like.\n"
    assert header(card)["license_name"] == "my-licence"
    for name, spdx in (("mit", "MIT"), ("none", "No licence has been chosen")):
        vaelab.write_card(people, card, license=name, overwrite=True, quiet=True)
        assert spdx in (card / "LICENSE").read_text()
    with pytest.raises(vaelab.UserError, match="license: there is no mitt; did you mean"):
        vaelab.write_card(people, card, license="mitt", overwrite=True, quiet=True)


def test_a_card_replaces_only_a_card_and_only_when_asked(card: Path, people: Path) -> None:
    (card / "mine.txt").write_text("mine")
    with pytest.raises(vaelab.UserError, match="holds a card already"):
        vaelab.write_card(people, card, quiet=True)
    vaelab.write_card(people, card, overwrite=True, quiet=True)
    assert (card / "mine.txt").read_text() == "mine"
    with pytest.raises(vaelab.UserError, match="is no empty folder"):
        vaelab.write_card(people, people, overwrite=True, quiet=True)
    with pytest.raises(vaelab.UserError, match="is no empty folder"):
        vaelab.write_card(people, people.parent, overwrite=True, quiet=True)
    assert {"README.md", "config.json", "model.safetensors", "LICENSE"} <= {*written(card)}


def test_names_of_a_run_are_no_markup(people: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(people, tmp_path / "run"))
    recipe = (folder / "recipe.toml").read_text()
    name = "<script>alert(1)<b> [x](http:evil) ``` | # $x"
    recipe = recipe.replace('name = "visits"', f'name = "{name}"')
    (folder / "recipe.toml").write_text(recipe)
    card = vaelab.write_card(folder, tmp_path / "card", quiet=True)
    body = readme(card).split("---\n", 2)[2]
    assert "<script" not in body
    assert "](http:evil)" not in body.replace("\\]", "")
    assert vaelab.load(card).recipe.name == header(card)["model-index"][0]["name"]


def test_markdown_shows_text_as_it_is() -> None:
    assert escaped("a\n b`c") == "a b\\`c"
    assert table(["x"], [["1|2"]]) == "| x |\n| :-- |\n| 1\\|2 |\n"
    assert block("a\n```\nb", "toml") == "````toml\na\n```\nb\n````\n"


def test_a_card_scores_new_rows_without_the_data_of_its_run(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Threshold and simple models need that data, so it says that there are none."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rows = "height,visits,member,city\n170,2,no,Faro\n250,40,yes,Braga\n"
    Path("new.csv").write_text(rows)
    assert main(["score", str(card), "new.csv", "--out", "scores.csv"]) == 0
    assert "a model card holds no data" in capsys.readouterr().out
    usual, odd = (
        float(line.split(",")[0]) for line in Path("scores.csv").read_text().splitlines()[1:]
    )
    assert odd > usual
    assert main(["impute", str(card), "new.csv", "--out", "full.csv"]) == 0
    assert main(["sample", str(card), "-n", "3", "--out", "made.csv"]) == 0
