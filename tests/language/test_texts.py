"""The texts of figures and pages: every key in both languages, with the same slots."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import get_args

import pytest

from vaelab.errors import UserError
from vaelab.language import TEXTS, Lang, decimal, text, texts

KEYS = [(page, key) for page, entries in TEXTS.items() for key in entries]
ROOT = Path(__file__).parents[2]
PAGES = "src/vaelab/report"
READERS = {  # a file of the catalogue -> the files that read it
    "card": ("src/vaelab/runs/*.py",),
    "comparison": (
        f"{PAGES}/**/*.py",
        f"{PAGES}/templates/comparison.*",
        "src/vaelab/evaluation/*.py",
    ),
    "doctor": ("src/vaelab/evaluation/doctor/*.py", f"{PAGES}/**/*.py"),
    "explorer": ("web/src/explorer/**/*.ts", f"{PAGES}/templates/explorer.html"),
    "figures": ("src/vaelab/plots/**/*.py", f"{PAGES}/**/*.py", "src/vaelab/evaluation/**/*.py"),
    "modelcard": (f"{PAGES}/modelcard/*.py", f"{PAGES}/templates/modelcard.md"),
    "programs": ("src/vaelab/**/*.py",),
    "report": (f"{PAGES}/**/*.py", f"{PAGES}/templates/**/*.html", "web/src/report/*.ts"),
    "shared": ("src/vaelab/**/*.py", f"{PAGES}/templates/**/*.html", "web/src/**/*.ts"),
    "summary": ("src/vaelab/evaluation/*.py",),
    "units": ("src/vaelab/evaluation/**/*.py",),
}  # findings, metrics and headlines have tests of their own, in tests/evaluation
COMPOSED = {  # the keys of a file that its readers put together
    "comparison": r"(mark|picture|how|finding|reason)\.|(train|validation) images"
    r"|importance samples|(probabilities|densities|cross-entropies of grey levels)\b",
    "doctor": r"title of a (fault|remark)",
    "explorer": r"(mode|number|about|tab|part)_|(rate|distortion)_is",
    "figures": r"traversals_(image|signal|table)|loss_by_class",
    "modelcard": r"alt_|split_",
    "report": r"h_manifold|split_|trained_(built_in|custom)_[01]|treatment_|augmented_"
    r"|kind_|likelihood_",
    "shared": r"section\.",
    "summary": r"header\.",
}


@pytest.mark.parametrize(("page", "key"), KEYS, ids=lambda part: str(part))
def test_every_text_has_both_languages_and_the_same_slots(page: str, key: str) -> None:
    entry = TEXTS[page][key]
    assert entry.keys() == set(get_args(Lang))
    slots = [
        {name for _, name, _, _ in string.Formatter().parse(entry[lang]) if name} for lang in entry
    ]
    assert slots[0] == slots[1]
    for lang in get_args(Lang):
        shown = text(page, key, lang, **dict.fromkeys(slots[0], 1))
        assert "{" not in shown
        assert shown.strip()


@pytest.mark.parametrize("page", READERS)
def test_every_text_is_shown_somewhere(page: str) -> None:
    paths = [path for pattern in READERS[page] for path in ROOT.glob(pattern) if path.is_file()]
    code = "\n".join(path.read_text("utf-8") for path in paths)
    quoted = {found[1] for found in re.findall(r"""(?=(["'`])([^"'`\n]+)\1)""", code)}
    composed = re.compile(COMPOSED.get(page, r"$^"))
    assert [key for key in TEXTS[page] if key not in quoted and not composed.match(key)] == []


def test_a_page_has_the_shared_words_and_its_own_text_before_them() -> None:
    assert text("report", "loss", "pt") == texts("report")["pt"]["loss"] == "perda"
    assert text("figures", "loss", "en") == "Loss: distortion + rate"
    assert texts("figures")["en"]["loss"] == "Loss: distortion + rate"


def test_numbers_are_written_as_the_language_writes_them() -> None:
    assert decimal("-0.5", "pt") == "−0,5"
    assert text("figures", "others", "pt", count=12000) == "outras 12.000 classes"
    assert text("figures", "others", "en", count=12000) == "12,000 other classes"


def test_another_language_is_refused_with_the_two_there_are() -> None:
    with pytest.raises(UserError, match="choose one of: en, pt"):
        text("figures", "epoch", "fr")  # type: ignore[arg-type]
