"""A comparison in both languages, and as LaTeX."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY

import vaelab
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.paired import AUTOENCODER, GENERATIVE, Comparison, Interval, Row, joined
from vaelab.evaluation.results import Evaluation
from vaelab.evaluation.sections import METRICS
from vaelab.language import Said, texts
from vaelab.report.comparison import brief, cells, html, markdown
from vaelab.runs import Run
from vaelab.workflows import compare as workflow
from vaelab.workflows.compare import compare

NASTY = r"a_b&50% $x$ \input{q} <b>"
EACH = np.random.default_rng(0).normal(1234, 30, 60)
ENGLISH = re.compile(
    r"\b(the|and|of|is|with|not|better|worse|images|samples|judged|seeds?|interval|difference)\b"
)


def measured(run: Run, **given: Any) -> Evaluation:
    """Numbers of which the second run's are lower, and the third's are missing in part."""
    shift = {"vae": 0.0, "other": -40.0}.get(run.folder.name, 5.0)
    each = EACH + shift + np.random.default_rng(int(abs(shift))).normal(0, 3, 60)
    found: dict[str, dict[str, Any]] = {
        "likelihood": {"loss": Estimate(float(each.mean()), 3.25, each), "notes": ["a note"]},
        "latent": {"probe_accuracy": Estimate(0.5 + shift / 100, 0.01), "hole_share": 0.05},
        "samples": {"frechet": None if shift > 0 else 12.5, "frechet_real": 0.125},
    }
    return Evaluation({"importance_samples": given["samples"], "images": "all"}, found)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        settings = TINY | {"train.epochs": 1, "figures.lang": "pt"}
        vae = vaelab.train(vaelab.recipe("quickstart", settings), folder / "vae", quiet=True)
    others = [shutil.copytree(vae.folder, folder / name) for name in ("other", NASTY)]
    return [vae, *map(vaelab.load, others)]


@pytest.fixture(scope="module")
def written(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "evaluate", measured)
        patch.setattr("vaelab.report.comparison.page.pictures", lambda *_: {})
        for name, lang in (("default", None), ("pt", "pt"), ("en", "en")):
            compare(runs, out / name, lang=lang, quiet=True)  # type: ignore[arg-type]
    return {name: out / name for name in ("default", "pt", "en")}


def read(folder: Path, name: str) -> str:
    return (folder / f"comparison.{name}").read_text("utf-8")


def test_the_page_has_the_language_of_the_figures_and_the_other_files_english(
    written: Mapping[str, Path],
) -> None:
    default, pt, en = (written[name] for name in ("default", "pt", "en"))
    assert read(default, "html") == read(pt, "html") != read(en, "html")
    for name in ("md", "tex"):
        assert read(default, name) == read(en, name) != read(pt, name)
    for name in ("csv", "json"):  # for programs
        assert read(default, name) == read(en, name) == read(pt, name)
    assert '<html lang="pt-BR">' in read(default, "html")


def test_no_english_is_left_in_portuguese(written: Mapping[str, Path]) -> None:
    aside = r"(?s)<style>.*?</style>|<li lang=\"en\">.*?</li>"
    page = re.sub(aside, "", read(written["pt"], "html"))
    words = re.sub(r"<[^>]*>", " ", page)
    text = re.sub(r"(?m)^- .*: a note$", "", read(written["pt"], "md"))
    for said in (words, text):
        assert ENGLISH.findall(said.replace("--seeds", "")) == []
    english = read(written["en"], "md")
    assert "Each run was trained once" in english


def test_numbers_have_the_marks_of_the_language() -> None:
    metric = METRICS["likelihood"]["loss"]
    values: list[Estimate | None] = [Estimate(-1234.5, 2.5), Estimate(3.0, 0.12)]
    intervals = [None, Interval(-1.25, -2.5, 0.5)]
    row = Row("likelihood", "loss", metric, ["", ""], values, intervals, [None, None], None)
    english, portuguese = (cells.cells(row, [], lang) for lang in ("en", "pt"))  # type: ignore[arg-type]
    assert [cell.value for cell in english] == ["−1,234.5 ± 2.5", "3.00 ± 0.12"]
    assert [cell.value for cell in portuguese] == ["−1.234,5 ± 2,5", "3,00 ± 0,12"]
    assert (english[1].difference, portuguese[1].difference) == (
        "−1.2 [−2.5, 0.5]",
        "−1,2 [−2,5; 0,5]",
    )
    assert cells.cost(12345.6, "parameters", "pt") == "12.346"
    assert cells.cost(None, "parameters", "pt") == "não registrado"


def test_every_finding_and_every_reason_has_both_languages() -> None:
    catalogue = texts("comparison")["pt"]
    assert {means for _, means in (GENERATIVE | AUTOENCODER).values()} <= set(catalogue)
    assert {f"section.{section}" for section in METRICS} <= set(catalogue)
    fact = Said("comparison", "test images")
    why = Said("comparison", "reason.fact", (("fact", fact), ("first", "1"), ("second", "2")))
    assert why.text("en") == "not comparable, not the same test images: 1 and 2"
    assert why.text("pt") == "não comparável, as execuções diferem em imagens de teste: 1 e 2"
    assert [joined(["a", "b", "c"][:n], "pt") for n in range(4)] == ["", "a", "a e b", "a, b e c"]


def test_findings_are_said_in_both_languages(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workflow, "evaluate", measured)
    monkeypatch.setattr("vaelab.report.comparison.page.pictures", lambda *_: {})
    found: Comparison = compare(runs[:2], tmp_path, quiet=True)
    assert found.findings["other"].startswith("other is better in loss and is worse in separation")
    assert found.sentences("pt")["other"].startswith(
        "other é melhor em perda e é pior em separação"
    )
    assert found.sentences("pt")["other"] in " ".join(brief(found, "pt").split())
    assert "é melhor em perda" in html(found, {}, "pt")
    assert "is better in loss" in markdown(found)


def test_the_page_allows_no_script_and_no_request(written: Mapping[str, Path]) -> None:
    page = read(written["pt"], "html")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src &#39;none&#39;; style-src")
    assert "script" not in policy
    assert "<script" not in page
    assert "<b>" not in page
    assert "a_b&amp;50%" in page


def test_latex_tables_have_a_column_for_each_run_and_its_name_as_text(
    written: Mapping[str, Path],
) -> None:
    source = read(written["en"], "tex")
    code = [line for line in source.splitlines() if not line.startswith("%")]
    assert not any(r"\input" in line.replace(r"\textbackslash{}input", "") for line in code)
    assert sum(r"a\_b\&50\% \$x\$ \textbackslash{}input\{q\}" in line for line in code) == 4
    rows = [line for line in code if line.endswith(r" \\")]
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {4, 5}  # costs have no unit
    assert sum(line.startswith(r"\begin{table}") for line in code) == 4
    whole = "\n".join(code)
    assert whole.count("{") == whole.count("}") + whole.count(r"\{") - whole.count(r"\}")
    (loss,) = (row for row in rows if row.startswith("loss"))
    assert r"loss $\downarrow$" in loss
    assert r"{\boldmath $" in loss
    assert loss.endswith(r"nats per image \\")
    assert r"\footnotesize $-" in rows[rows.index(loss) + 1]


def test_numbers_that_are_not_comparable_say_so_below_the_table(
    written: Mapping[str, Path],
) -> None:
    source = read(written["en"], "tex")
    (frechet,) = (line for line in source.splitlines() if line.startswith("frechet"))
    marks = re.findall(r"\$\^{(\d)}\$", frechet)
    assert len(marks) == 2
    assert all(f"$^{{{mark}}}$ " in source for mark in marks)
    assert "one of the two runs lacks it" in source
