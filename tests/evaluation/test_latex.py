"""LaTeX tables: any text is printed and none is a command, numbers are in math mode."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaelab.cli.main import main
from vaelab.evaluation.latex import escaped, number, table, tabular
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.language import Lang

PROTOCOL = {
    "source": "50%\n\\input{x}", "images": "all", "treatment": "grey", "likelihood": "bernoulli",
    "importance_samples": 1000, "seed": 0,
}  # fmt: skip
SECTIONS = {
    "likelihood": {
        "loss": Estimate(-1234.567, 2.34),
        "nll_by_class": {"0": Estimate(3.0, 0.1), "a_b": Estimate(4.0, None)},
        "notes": ["too high"],
    },
    "latent": {"active_units": 20, "rates": [1.5, 0.25], "silhouette": float("nan"), "notes": []},
}


def structure(source: str) -> list[list[str]]:
    """Check that a document of tables is well formed; return the cells of its rows."""
    code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    bare = re.sub(r"\\[\\%&$#_{}]", "", code)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[#%]", bare)
    assert not re.search(r"[\^_~]", re.sub(r"\$[^$]*\$", "", bare))
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", code) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    rows = []
    for columns, body in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", code, re.DOTALL):
        lines = [line.removesuffix(r" \\") for line in body.splitlines() if line.endswith(r" \\")]
        cells = [re.split(r"(?<!\\)&", line) for line in lines]
        assert {len(row) for row in cells} == {len(columns)}
        assert [body.count(rf"\{rule}") for rule in ("toprule", "bottomrule")] == [1, 1]
        rows += [[cell.strip() for cell in row] for row in cells]
    return rows


@pytest.mark.parametrize(
    "name",
    [
        r"\input{/etc/passwd}",
        "50% & $x_1^2$ #3 ~",
        "{",
        "}}",
        "a\\",
        "<a|b>",
        "[4]",
        "*",
        "--",
        '"',
    ],
)
def test_any_name_is_text(name: str) -> None:
    cell = escaped(name)
    assert not re.search(r"\\(input|write|def|catcode)", cell)
    rows = structure(tabular("lr", [cell, "a"], [[[cell, number(name)], ["b", "$1$"]]]))
    assert rows[0][0] == rows[1][0] == cell
    assert "\n" not in escaped("a\nb")


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("−1,234.5 ± 2.5", r"$-1{,}234.5 \pm 2.5$"),
        ("−1.234,5 ± 2,5", r"$-1.234{,}5 \pm 2{,}5$"),
        ("+1.2 [0.5, 1.9]", r"$+1.2\ [0.5, 1.9]$"),
        ("+1,2 [0,5; 1,9]", r"$+1{,}2\ [0{,}5; 1{,}9]$"),
        ("4.5e-08", r"$4.5 \times 10^{-8}$"),
        ("1 to 2", "1 to 2"),
        ("not recorded", "not recorded"),
        ("", ""),
    ],
)
def test_numbers_keep_their_marks(written: str, wanted: str) -> None:
    assert number(written) == wanted


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_a_table_has_every_number_with_its_unit(lang: Lang) -> None:
    rows = structure(table(PROTOCOL, SECTIONS, lang, every=True))
    found = {row[0]: row[1:] for row in rows}
    value = {"en": r"$-1234.6 \pm 2.3$", "pt": r"$-1234{,}6 \pm 2{,}3$"}[lang]
    unit = {"en": "nats per image", "pt": "nats por imagem"}[lang]
    assert found[r"loss $\downarrow$"] == [value, unit]
    assert found[r"\quad a\_b"] == ["$4$", unit]
    assert found["active units"] == ["$20$", ""]
    short = structure(table(PROTOCOL, SECTIONS, lang))
    assert [row[0] for row in short[1:]] == [r"loss $\downarrow$", "active units"]


def test_comments_stay_comments() -> None:
    first = table(PROTOCOL, SECTIONS).splitlines()[:3]
    assert first[0].startswith("% 50% \\input{x}, all test images")
    assert first[1] == r"% Preamble: \usepackage{booktabs}"
    assert first[2] == r"\begin{tabular}{lrl}"


def test_the_command_prints_the_table_alone(
    a_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--only", "likelihood", "--samples", "3", "--format", "latex", "--lang", "pt"]
    assert main(["evaluate", str(a_copy), *words]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("% ")
    assert printed.rstrip().endswith(r"\end{tabular}")
    assert structure(printed)[0] == ["número", "valor", "unidade"]
