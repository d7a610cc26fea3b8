"""Recipes: what is accepted, in what order of precedence, and how what is not is refused."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vaelab
from vaelab.errors import UserError
from vaelab.recipes import (
    Recipe,
    available,
    fields,
    flatten,
    override,
    parse,
    recipe,
    sections,
    study,
    to_toml,
)
from vaelab.recipes.table import NUMBERS

FIELDS = {field.key: field for field in fields()}


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def refusal(*arguments: Any) -> str:
    """The message with which a recipe is refused: always one line."""
    with pytest.raises(UserError) as caught:
        study(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_grows_is_named_on_the_command_line_and_a_wrong_name_is_told_the_right_ones() -> None:
    found = recipe(
        "quickstart", {"objective.name": "capacity", "objective.grows": "capacity,gamma"}
    )
    assert found.objective.grows == ("capacity", "gamma")
    assert "objective.grows" in refusal("quickstart", {"objective.grows": "betta"})
    assert "'beta'" in refusal("quickstart", {"objective.grows": "betta"})


# --- the built-in ones, and what is read back -----------------------------------------------------


@pytest.mark.parametrize("name", available())
def test_a_built_in_recipe_says_what_it_is_and_survives_the_way_to_toml_and_back(name: str) -> None:
    assert available()[name]
    for run, found in study(name).items():
        assert found.name in (name, f"{name}/{run}")
        assert parse(to_toml(found), "here") == found


@pytest.mark.parametrize("name", available())
def test_a_file_holding_a_resolved_recipe_is_that_recipe(name: str, tmp_path: Path) -> None:
    for found in study(name).values():
        assert recipe(written(tmp_path, to_toml(found))) == found


def test_the_recipes_of_the_five_reports_and_the_quickstart_are_there() -> None:
    reports = {"mlp-deep-2d", "mlp-2d", "cnn-16d", "mlp-20d", "vae-vs-ae-2d", "manifold-2d"}
    assert reports | {"quickstart"} <= set(available())


def test_a_recipe_of_several_runs_is_a_study() -> None:
    runs = study("vae-vs-ae-2d")
    assert list(runs) == ["vae", "ae"]
    assert [run.model.variant for run in runs.values()] == ["vae", "ae"]
    assert [run.name for run in runs.values()] == ["vae-vs-ae-2d/vae", "vae-vs-ae-2d/ae"]
    with pytest.raises(UserError, match=r"vae, ae.*vaelab\.study"):
        recipe("vae-vs-ae-2d")


def test_an_empty_file_is_the_default_recipe_under_the_file_s_name(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    assert recipe(path) == Recipe(name="mine") == recipe(str(path))


def test_every_field_has_a_meaning_and_a_default_of_its_own_type() -> None:
    flat = flatten(Recipe())
    assert set(FIELDS) == {key for key in flat if "." in key}
    assert list(sections()) == ["data", "model", "objective", "train", "figures"]
    for key, field in FIELDS.items():
        assert field.about, key
        assert override(Recipe(), {key: field.default}) == Recipe(), key
        several = field.default if isinstance(field.default, tuple) else (field.default,)
        # The value is written as the help shows it.
        assert override(Recipe(), {key: ",".join(map(str, several))}) == Recipe(), key
        assert not field.choices or set(several) <= set(field.choices)


# --- overrides and precedence ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("model.hidden", "512,256", (512, 256)),
        ("model.hidden", "512", (512,)),
        ("model.hidden", "[512, 256]", (512, 256)),
        ("model.hidden", "", ()),
        ("model.batch_norm", "true", True),
        ("model.batch_norm", "false", False),
        ("train.learning_rate", "1e-3", 1e-3),
        ("train.epochs", "40", 40),
        ("objective.beta", "4", 4.0),
        ("train.schedule", "one-cycle", "one-cycle"),
        ("data.source", "512", "512"),
        ("data.source", "true", "true"),
    ],
)
def test_text_becomes_what_the_field_holds(key: str, text: str, wanted: Any) -> None:
    section, name = key.split(".")
    found = getattr(getattr(recipe("mlp-20d", {key: text}), section), name)
    assert found == wanted
    assert type(found) is type(wanted)


def test_a_mapping_takes_values_as_they_are() -> None:
    found = recipe("mlp-20d", {"model.hidden": [5, 4], "train.epochs": 3, "objective.beta": 2})
    assert (found.model.hidden, found.train.epochs, found.objective.beta) == ((5, 4), 3, 2.0)
    assert recipe("mlp-20d", {"model.hidden": (5, 4)}).model.hidden == (5, 4)


def test_overrides_leave_the_rest_and_the_original_alone() -> None:
    base = recipe("mlp-20d")
    found = override(base, {"train.epochs": 3})
    changed = {k for k, v in flatten(found).items() if v != flatten(base)[k]}
    assert changed == {"train.epochs", "about"}
    assert (base.about != "", found.about) == (True, "")
    assert base.train.epochs == 20


def test_overrides_go_over_runs_and_runs_over_the_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "[model]\nlatent = 2\nhidden = [9]\n[train]\nepochs = 3\n"
        "[runs.a.model]\nlatent = 4\n[runs.b]\nabout = 'b'\n[runs.b.train]\nepochs = 7\n",
    )
    a, b = study(path).values()
    assert (a.model.latent, a.train.epochs, a.model.hidden) == (4, 3, (9,))
    assert (b.model.latent, b.train.epochs, b.model.hidden, b.about) == (2, 7, (9,), "b")
    a, b = study(path, {"model.latent": 8}).values()
    assert (a.model.latent, a.train.epochs) == (8, 3)
    assert (b.model.latent, b.train.epochs) == (8, 7)


@given(st.data())
def test_a_number_as_text_is_the_number(data: st.DataObject) -> None:
    bounded = (
        "data.images",
        "data.hide",
        "data.resize",
        "data.size",
        "data.stride",
        "train.weight_decay",
        *(f"objective.{name}" for name in set(NUMBERS) - {"beta", "k"}),
    )
    numeric = [
        key
        for key, field in FIELDS.items()
        if type(field.default) in (int, float) and key not in bounded
    ]
    key = data.draw(st.sampled_from(numeric))
    kind = type(FIELDS[key].default)
    value = data.draw(st.integers(2, 2**53) if kind is int else st.floats(1e-300, 0.999))
    assert override(Recipe(), {key: str(value)}) == override(Recipe(), {key: value})


# --- what is refused, and in what words -----------------------------------------------------------

WRONG: list[tuple[str, Any]] = [
    ("model.latent", 0),
    ("model.latent", True),
    ("model.latent", 2.5),
    ("model.latent", 2.0),
    ("model.latent", None),
    ("model.hidden", [0]),
    ("model.hidden", [400, -1]),
    ("model.hidden", [400.5]),
    ("model.hidden", [True]),
    ("model.hidden", 400),
    ("model.hidden", "a,b"),
    ("model.hidden", "512,0"),
    ("model.dropout", 1.0),
    ("model.dropout", -0.1),
    ("model.dropout", True),
    ("model.sigma", 0),
    ("model.batch_norm", 1),
    ("model.batch_norm", "maybe"),
    ("model.network", "transformer"),
    ("model.network", 3),
    ("model.variant", 3),
    ("train.batch", -1),
    ("train.batch", 0),
    ("train.epochs", 0),
    ("train.epochs", "0"),
    ("train.epochs", "many"),
    ("train.epochs", "2.5"),
    ("train.epochs", ""),
    ("train.learning_rate", math.nan),
    ("train.learning_rate", math.inf),
    ("train.learning_rate", -math.inf),
    ("train.learning_rate", 0),
    ("train.learning_rate", "nan"),
    ("train.learning_rate", "inf"),
    ("train.learning_rate", "1e400"),
    ("train.clip", math.inf),
    ("train.seed", -1),
    ("train.schedule", "cosin"),
    ("objective.beta", -1),
    ("objective.beta", math.nan),
    ("objective.cycles", -1),
    ("objective.warmup", math.inf),
    ("data.validation", 1.5),
    ("data.validation", 1),
    ("data.validation", -0.1),
    ("data.validation", "1.5"),
    ("data.test", 1),
    ("data.scale", 0),
    ("data.scale", math.nan),
    ("data.rotate", 181),
    ("data.shift", 1),
    ("data.source", 3),
    ("data.source", None),
    ("figures.points", 0),
    ("figures.span", math.inf),
    ("figures.lang", "de"),
    ("train.epochs", {"a": 1}),
]


@pytest.mark.parametrize(
    ("key", "value"), WRONG, ids=[f"{key}={str(value)[:12]!r}" for key, value in WRONG]
)
def test_a_wrong_value_is_refused_with_the_field_s_name(key: str, value: Any) -> None:
    assert refusal("mlp-20d", {key: value}).startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("train", "epochs = '20'"),
        ("train", "epochs = 20.0"),
        ("train", "epochs = true"),
        ("train", "epochs = 1979-05-27"),
        ("train", "learning_rate = '1e-3'"),
        ("train", "learning_rate = nan"),
        ("train", "learning_rate = inf"),
        ("train", "learning_rate = true"),
        ("train", "compile = 1"),
        ("model", "latent = 0"),
        ("model", "hidden = 400"),
        ("model", "hidden = '512,256'"),
        ("model", "hidden = [[400]]"),
        ("model", "hidden = ['400']"),
        ("data", "source = 3"),
        ("data", "source = ['mnist']"),
    ],
)
def test_a_wrong_value_in_a_file_is_refused_with_file_and_field(
    section: str, line: str, tmp_path: Path
) -> None:
    path = written(tmp_path, f"[{section}]\n{line}\n")
    assert refusal(path).startswith(f"{path}: {section}.{line.split()[0]}: ")


@pytest.mark.parametrize(
    ("key", "text", "limit"),
    [
        ("train.epochs", "0", ">= 1"),
        ("train.learning_rate", "0", "> 0"),
        ("data.validation", "1.5", "< 1"),
        ("model.hidden", "512,0", ">= 1"),
    ],
)
def test_text_out_of_range_is_answered_with_the_range(key: str, text: str, limit: str) -> None:
    assert limit in refusal("mlp-20d", {key: text})


def test_an_unknown_choice_is_answered_with_the_nearest_or_all() -> None:
    assert "'cosin'; did you mean 'cosine'?" in refusal("mlp-20d", {"train.schedule": "cosin"})
    assert "constant, cosine, linear, one-cycle, warmup-stable-decay" in refusal(
        "mlp-20d", {"train.schedule": "zzz"}
    )


def test_a_wrong_choice_that_looks_like_a_message_is_still_named() -> None:
    assert "train.schedule: " in refusal("mlp-20d", {"train.schedule": "x - at `$.data`"})


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("[trian]\nepochs = 3", "train.epochs"),
        ("[train]\nepoch = 3", "train.epochs"),
        ("[model]\nhiden = [3]", "model.hidden"),
        ("epochs = 3", "train.epochs"),
        ("[runs.a.train]\nepoch = 3", "train.epochs"),
        ("[trian]", "train"),
    ],
)
def test_an_unknown_name_in_a_file_is_answered_with_the_nearest(
    text: str, nearest: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert f"did you mean '{nearest}" in message


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("train.epoch", "train.epochs"), ("trian.epochs", "train.epochs"), ("epochs", "train.epochs")],
)
def test_an_unknown_override_is_answered_with_the_nearest(key: str, nearest: str) -> None:
    assert (
        refusal("mlp-20d", {key: 3})
        == f"{key}: there is no such setting; did you mean '{nearest}'?"
    )


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    assert "did you mean 'mlp-20d'?" in refusal("mlp20d")
    assert "vaelab list recipes lists them all" in refusal("zebra")
    assert "vaelab list recipes lists them all" in refusal("")


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"objective.warmup": 3, "objective.cycles": 2}, "objective.cycles"),
        ({"train.patience": 3, "data.validation": 0}, "train.patience"),
        ({"data.treatment": "fixed", "data.rotate": 10}, "data.treatment"),
        ({"data.treatment": "fixed", "data.shift": 0.1}, "data.treatment"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    overrides: dict[str, Any], key: str
) -> None:
    assert refusal("mlp-2d", overrides).startswith(f"{key}: ")
    for one in overrides.items():  # each alone is fine
        study("mlp-2d", dict([one]))


@pytest.mark.parametrize(
    "text",
    ["x", "[train", "[train]\nepochs = ", "a = 1\na = 2", "[train]\n[train]", "\x00", "=" * 50],
)
def test_a_file_that_is_no_toml_is_refused_with_its_name(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    assert refusal(path).startswith(f"{path}: not a TOML file (")


@pytest.mark.parametrize(
    "text",
    [
        "runs = 3",
        "[runs]",
        "[runs]\na = 1",
        "runs = [{}]",
        "name = 3",
        "[name]",
        "about = 3",
        "train = 3",
        "[[train]]",
    ],
)
def test_a_file_of_another_build_is_refused_with_its_name(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    assert refusal(path).startswith(f"{path}: ")


def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    missing, folder, binary = (
        tmp_path / "no.toml",
        tmp_path / "folder.toml",
        tmp_path / "binary.toml",
    )
    folder.mkdir()
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (missing, folder, binary):
        message = refusal(path)
        assert str(path) in message
        assert "cannot be read" in message
    assert "there is no such recipe" in refusal(tmp_path)


ODD = [
    "nan",
    "-inf",
    "null",
    "None",
    "true",
    "False",
    "1e999",
    "0x10",
    "1_000",
    "9" * 30,
    "[[1]]",
    "{}",
]


@settings(max_examples=400)
@given(
    st.sampled_from(sorted(FIELDS)),
    st.text(max_size=12) | st.text("0123456789.,-+eE[]() _", max_size=8) | st.sampled_from(ODD),
)
def test_any_text_for_any_setting_gives_a_recipe_that_reads_back_or_a_user_error(
    key: str, text: str
) -> None:
    try:
        found = override(Recipe(), {key: text})
    except UserError as error:
        message = str(error)
    else:
        message = key
        assert parse(to_toml(found), "here") == found
    assert key in message


@given(st.text(max_size=12))
def test_any_text_for_the_name_of_a_setting_or_of_a_recipe_is_refused(text: str) -> None:
    for key in (text, f"train.{text}"):
        with pytest.raises(UserError):
            # No setting may be None, in case the text is the name of one.
            override(Recipe(), {key: None})
    with pytest.raises(UserError):
        recipe(f"no {text}")


@given(st.text(max_size=40))
def test_any_text_for_a_recipe_file_gives_a_recipe_or_a_user_error(text: str) -> None:
    try:
        message = f"{parse(text, 'here').name}, here: "
    except UserError as error:
        message = str(error)
    assert "here: " in message


# --- the package's face ---------------------------------------------------------------------------


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_vaelab_and_its_command_line_loads_no_torch() -> None:
    code = "import sys, vaelab, vaelab.cli; vaelab.recipe('mlp-20d'); print('torch' in sys.modules)"
    assert run_python(code).strip() == "False"


def test_recipe_stays_the_function_whatever_is_imported() -> None:
    code = (
        "import vaelab.recipes, vaelab.workflows.train, vaelab.runs, vaelab; "
        "print(vaelab.recipe('mlp-20d').model.latent)"
    )
    assert run_python(code).strip() == "20"


def test_the_names_of_the_package_are_all_there_and_others_are_not() -> None:
    for name in vaelab.__all__:
        assert getattr(vaelab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = vaelab.trian
    assert vaelab.recipe("mlp-20d").model.latent == 20
