"""The bibliography is sound, and a run cites exactly what it used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import vaelab
from vaelab.evaluation.sections import METRICS
from vaelab.recipes import CHOICES, bibtex, fields, reference, table
from vaelab.recipes.citations import CYCLES, FITTED, ITSELF, WARMUP, entries

ROOT = Path(__file__).parents[2]
IN_THE_TABLE = {key for row in table.ROWS.values() for key in row.cites.split()} | {
    key for parts in CHOICES.values() for part in parts.values() for key in part.cites.split()
}
OF_SETTINGS = {key for field in fields() for key in field.cites.split()}
MEASURED = {
    key
    for metrics in METRICS.values()
    for metric in metrics.values()
    for key in metric.cites.split()
}
each_entry = pytest.mark.parametrize("key", entries())


def cited(overrides: dict[str, Any]) -> list[str]:
    """The keys of a run's entries, in their order."""
    return re.findall(
        r"^@\w+\{(.+),$", bibtex(vaelab.recipe("quickstart", overrides)), re.MULTILINE
    )


def test_the_bibliography_has_every_key_that_is_used_and_no_other() -> None:
    assert set(entries()) == (
        IN_THE_TABLE | OF_SETTINGS | MEASURED | {*FITTED.split(), WARMUP, CYCLES, ITSELF}
    )


def test_no_entry_is_lost_in_reading() -> None:
    text = (ROOT / "src/vaelab/recipes/references.bib").read_text("utf-8")
    assert len(entries()) == len(re.findall("^@", text, re.MULTILINE))
    assert text.partition("\n\n")[2] == "\n\n".join(entries().values()) + "\n"


@each_entry
def test_an_entry_says_who_what_when_and_where(key: str) -> None:
    first, *lines, last = entries()[key].splitlines()
    assert re.fullmatch(r"@(article|inproceedings|misc)\{" + key + ",", first)
    assert last == "}"
    fields = dict(re.fullmatch(r"  (\w+) = \{(.+)\},", line).groups() for line in lines)  # type: ignore[union-attr]
    assert len(fields) == len(lines)
    assert {"author", "title", "year"} <= fields.keys()
    assert re.fullmatch(r"(19|20)\d\d", fields["year"])
    # vaelab has no published address.
    assert fields.keys() & {"eprint", "doi", "url"} or key == "vaelab"
    assert ("eprint" in fields) == (fields.get("archiveprefix") == "arXiv")
    assert re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", "1312.6114"))
    assert ("booktitle" in fields, "journal" in fields) == ("@inproc" in first, "@article" in first)


@each_entry
def test_an_entry_is_plain_latex_with_balanced_braces(key: str) -> None:
    assert entries()[key].isascii()
    assert not re.search(r"(?<!\\)[%&#]", entries()[key])
    depth = 0
    for character in entries()[key]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0


@each_entry
def test_a_reference_is_one_line_without_latex_that_tells_where(key: str) -> None:
    line = reference(key)
    assert not set(line) & set("{}\\\n")
    assert key == "vaelab" or re.search(
        r" (19|20)\d\d, (arXiv:\S+|doi:\S+|https://\S+|[A-Z][\w ]+)$", line
    )


def test_references_name_up_to_three_authors_and_then_the_first() -> None:
    assert (
        reference("hinton2006reducing")
        == "Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647"
    )
    assert (
        reference("burda2016importance") == "Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519"
    )
    assert (
        reference("higgins2017beta")
        == "Higgins et al. 2017, International Conference on Learning Representations"
    )
    assert (
        reference("oord2017neural") == "van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937"
    )
    assert reference("vaelab") == "The vaelab authors 2026"


def test_a_run_cites_its_row_its_parts_and_all_else_it_used_once_most_specific_first() -> None:
    settings = {
        "data.source": "mnist",
        "data.treatment": "dynamic",
        "model.variant": "vamp",
        "model.likelihood": "bernoulli",
        "model.network": "conv",
        "model.hidden": [4],
        "model.batch_norm": True,
        "model.dropout": 0.0,
        "objective.warmup": 2.0,
        "train.schedule": "cosine",
    }
    assert cited(settings) == [
        "tomczak2018vampprior",
        "kingma2014auto",
        "loshchilov2017sgdr",
        "kingma2015adam",
        "lecun1998gradient",
        "burda2016importance",
        "bowman2016generating",
        "ioffe2015batch",
        "vaelab",
    ]
    # With IWAE's objective that paper comes first, and not again as dynamic binarisation's
    iwae = cited(settings | {"objective.name": "iwae", "objective.k": 5, "objective.warmup": 0.0})
    assert iwae.index("burda2016importance") == 2
    assert iwae.count("burda2016importance") == 1


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"data.source": "digits"}, "alpaydin1998optical"),
        ({"data.source": "digits"}, "pedregosa2011scikit"),
        ({"data.source": "mnist"}, "lecun1998gradient"),
        ({"data.treatment": "fixed"}, "salakhutdinov2008quantitative"),
        ({"data.treatment": "dequantised"}, "theis2016note"),
        ({"model.variant": "vae", "model.conditional": True}, "sohn2015learning"),
        ({"model.network": "resnet"}, "he2016identity"),
        ({"model.network": "resnet"}, "odena2016deconvolution"),
        ({"model.dropout": 0.1}, "srivastava2014dropout"),
        ({"objective.cycles": 4}, "fu2019cyclical"),
        ({"objective.warmup": 4.0}, "bowman2016generating"),
        ({"train.schedule": "one-cycle"}, "smith2019super"),
    ],
)
def test_a_setting_brings_its_source_and_only_then(settings: dict[str, Any], key: str) -> None:
    plain = {
        "data.source": "faces.npy",
        "data.treatment": "grey",
        "model.variant": "vae",
        "model.network": "mlp",
        "model.batch_norm": False,
        "model.dropout": 0.0,
        "objective.warmup": 0.0,
        "objective.cycles": 0,
        "train.schedule": "constant",
    }
    assert key in cited(plain | settings)
    assert key not in cited(plain)


def test_a_schedule_of_another_weight_than_beta_does_not_cite_kl_annealing() -> None:
    growing = {"objective.name": "capacity", "objective.grows": ["capacity"]}
    assert "bowman2016generating" not in cited(growing | {"objective.warmup": 3.0})
    assert "fu2019cyclical" not in cited(growing | {"objective.warmup": 0.0, "objective.cycles": 3})


def test_unknown_keys_of_a_custom_row_become_a_comment(tmp_path: Path) -> None:
    file = tmp_path / "custom.py"
    file.write_text(
        'import vaelab\nROW = vaelab.Row("mine", "me2027 kim2018disentangling")\n', "utf-8"
    )
    text = bibtex(vaelab.recipe("quickstart", {"model.variant": str(file)}))
    assert text.startswith(
        "% me2027: not in vaelab's bibliography\n\n@inproceedings{kim2018disentangling,\n"
    )


def test_vaelab_s_own_entry_agrees_with_citation_cff() -> None:
    facts = dict(
        re.findall(
            r'^(\w[\w-]+): "?(.+?)"?$', (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE
        )
    )
    entry = entries()["vaelab"]
    for fact in (
        f"title = {{{facts['title']}}}",
        f"Version {facts['version']}",
        f"{{{facts['date-released'][:4]}}}",
    ):
        assert fact in entry


def test_citing_imports_no_torch() -> None:
    code = (
        "import sys, vaelab.recipes, vaelab.cli.catalogue; "
        "vaelab.cli.catalogue.table(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
