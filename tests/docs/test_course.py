"""The lessons of the course: their sources run, and what is made of them is up to date."""

from __future__ import annotations

import io
import os
import re
import resource
import subprocess
import sys
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
COURSE = ROOT / "docs" / "course"
# How long a lesson computes depends on these numbers, whether it runs does not.
LONG = re.compile(
    r'("train\.epochs": |"objective\.warmup": |\b(?:epochs|steps|samples)=|\bfor _ in range\()(\d+)'
)


def builder() -> ModuleType:
    spec = spec_from_file_location("course_build", COURSE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


BUILD = builder()
BUILT = [(name, lang) for name in BUILD.LESSONS for lang in BUILD.LANGUAGES]


@pytest.mark.filterwarnings(  # which a script does not show either
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.parametrize("name", BUILD.LESSONS)
def test_a_lesson_runs_without_a_complaint(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a tenth of the epochs; as it is written it runs below, and by `make course`."""
    monkeypatch.chdir(tmp_path)
    source = (COURSE / f"{name}.py").read_text("utf-8")
    short = LONG.sub(lambda one: f"{one[1]}{max(2, int(one[2]) // 10)}", source)
    try:
        with matplotlib.rc_context():
            exec(compile(short, f"{name}.py", "exec"), {"__name__": "__main__"})
    finally:
        plt.close("all")
    assert not capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILD.LESSONS)
def test_a_lesson_runs_as_a_script_within_a_minute(name: str, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    env = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, str(COURSE / f"{name}.py")],
        cwd=tmp_path, env=os.environ | env, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < BUILD.SECONDS


@pytest.mark.parametrize(("name", "lang"), BUILT)
def test_notebook_and_page_are_those_of_the_source(name: str, lang: str) -> None:
    made, built = BUILD.notebook(name, lang), COURSE / lang / f"{name}.ipynb"
    stored = nbformat.read(built, as_version=4)
    nbformat.validate(stored)
    assert [cell.source for cell in stored.cells] == [cell.source for cell in made.cells]
    page, folder = BUILD.Page(stored, name, lang), COURSE / lang / name
    assert page.text == (COURSE / lang / f"{name}.md").read_text("utf-8")
    assert page.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert built.stat().st_size < 1e6


@pytest.mark.parametrize(("name", "lang"), BUILT)
def test_every_cell_was_executed_without_a_complaint(name: str, lang: str) -> None:
    stored = nbformat.read(COURSE / lang / f"{name}.ipynb", as_version=4)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error" or one.get("name") == "stderr"]
    assert tempfile.gettempdir() not in nbformat.writes(stored)
    assert str(ROOT) not in nbformat.writes(stored)


@pytest.mark.parametrize(("name", "lang"), BUILT)
def test_no_picture_is_blank(name: str, lang: str) -> None:
    pictures = sorted((COURSE / lang / name).glob("*.png"))
    assert pictures
    for path in pictures:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert np.asarray(image.convert("L")).std() > 5, path


def test_both_languages_have_the_same_lessons_and_pictures() -> None:
    for name in BUILD.LESSONS:
        files = [{path.name for path in (COURSE / lang / name).iterdir()} for lang in ("en", "pt")]
        assert files[0] == files[1]


@pytest.mark.parametrize(
    "page",
    [COURSE / "README.md", *(COURSE / lang / f"{name}.md" for name, lang in BUILT)],
    ids=lambda page: f"{page.parent.name}/{page.name}",
)
def test_links_of_the_course_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]+)(?:#([^)]*))?\)", page.read_text("utf-8")):
        if target.startswith("http"):
            continue
        there = page.parent / target
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads]


@pytest.mark.parametrize(
    "source",
    [
        '# %%\nLANG = "en"\n# %% [markdown] en\n# a\n# %%\n1',
        '# %%\nLANG = "en"\n# %% [markdown] pt\n# a\n# %% [markdown] en\n# a',
        '# %%\nLANG = "en"\n# %% [markdown] en\n# a',
        '# %%\nLANG = "en"\n# %% solutoin\n1',
        "# %%\n1",
    ],
)
def test_a_source_outside_the_format_is_refused(source: str) -> None:
    with pytest.raises(BUILD.CourseError):
        BUILD.read(source)
