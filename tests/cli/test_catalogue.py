"""What is written about the table of models is what the table says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaelab.cli.catalogue import combinations, filled, numbers, parts
from vaelab.cli.catalogue import table as models_table
from vaelab.cli.listing import describe
from vaelab.cli.main import COMMANDS
from vaelab.evaluation.sections import METRICS
from vaelab.recipes import AXES, Model, Objective, rules, table

ROOT = Path(__file__).parents[2]
MODELS = (ROOT / "docs/models.md").read_text("utf-8")
each_axis = pytest.mark.parametrize("axis", AXES)


def cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def test_the_page_of_numbers_has_every_number_of_every_section() -> None:
    """Else: python -m vaelab.cli.catalogue docs/models.md docs/numbers.md"""
    text = (ROOT / "docs/numbers.md").read_text("utf-8")
    for section, metrics in METRICS.items():
        assert f"<!-- table of {section} -->\n{numbers(section)}<!-- end of the table -->" in text
        assert all(f"| `{name}` |" in numbers(section) for name in metrics)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    # Every row has five cells, whatever bars are in them.
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {7}


def test_the_data_page_has_the_sets_that_have_a_name_with_their_files() -> None:
    """Else: python -m vaelab.cli.catalogue docs/data.md"""
    text = (ROOT / "docs/data.md").read_text("utf-8")
    assert filled(text) == text
    assert all(f"\n| `{name}` |" in text for name in AXES["data.source"].keys() - {"PATH"})


def test_the_models_page_has_its_tables_as_they_are_now() -> None:
    """Else: python -m vaelab.cli.catalogue docs/models.md docs/numbers.md"""
    assert f"<!-- table of models -->\n{models_table()}<!-- end of the table -->" in MODELS
    assert filled(MODELS) == MODELS


def test_the_page_on_the_command_line_has_its_tables_as_they_are_now() -> None:
    """Else: python -m vaelab.cli.catalogue docs/how-to/command-line.md"""
    text = (ROOT / "docs/how-to/command-line.md").read_text("utf-8")
    assert filled(text) == text
    assert all(
        f"\n| `{name}` | `{key}` |" in text for name in COMMANDS for key in COMMANDS[name].keys
    )


def test_the_models_page_has_the_parts_of_every_axis_and_what_is_refused() -> None:
    for name, block in {axis: parts(axis) for axis in AXES}.items() | {
        ("combinations", combinations())
    }:
        assert f"<!-- table of {name} -->\n{block}<!-- end of the table -->" in MODELS


@each_axis
def test_the_models_page_says_when_to_choose_every_part(axis: str) -> None:
    section = (
        MODELS.partition(f": `{axis}`\n")[2]
        .partition("<!-- end of the table -->")[2]
        .partition("\n## ")[0]
    )
    for name, part in AXES[axis].items():
        assert (
            f"`{name}`" in section
            or name == "elbo"
            or (axis == "model.prior" and part.space != "reals")
        ), name


def test_the_table_has_a_line_for_every_row_with_its_four_choices() -> None:
    _, _, *lines = models_table().splitlines()
    assert [cells(line)[0] for line in lines] == list(table.ROWS)
    for line, row in zip(lines, table.ROWS.values(), strict=True):
        assert cells(line)[1:6] == [
            row.likelihood or "any",
            row.prior,
            row.posterior,
            row.objective,
            describe(row),
        ]
        assert re.search(r" (19|20)\d\d, \S+", cells(line)[6])


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    for text in (models_table(), combinations()):
        assert len({line.count("|") for line in text.splitlines()}) == 1


def test_stale_tables_are_filled_anew_and_the_rest_of_a_text_is_left_alone() -> None:
    text = "a\n<!-- table of models -->\nold\n<!-- end of the table -->\nb \\1\n"
    assert (
        filled(text)
        == f"a\n<!-- table of models -->\n{models_table()}<!-- end of the table -->\nb \\1\n"
    )


def test_the_table_of_combinations_is_what_the_program_accepts() -> None:
    for line in combinations().splitlines()[2:]:
        posterior, priors, refused = (cell.split(", ") for cell in cells(line))
        for prior in AXES["model.prior"]:
            for goal in AXES["objective.name"]:
                model = Model(posterior=posterior[0], prior=prior, conditional=prior == "per-class")
                why = rules.refusal(model, Objective(name=goal))
                idle = rules.idle(model, Objective())
                assert bool(why or idle) == (prior not in priors or goal in refused), (
                    posterior,
                    prior,
                    goal,
                    why,
                )
