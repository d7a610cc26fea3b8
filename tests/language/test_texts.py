"""The texts of figures and pages: every key in both languages, with the same slots."""

from __future__ import annotations

import string
from typing import get_args

import pytest

from vaelab.errors import UserError
from vaelab.language import TEXTS, Lang, decimal, text

KEYS = [(page, key) for page, entries in TEXTS.items() for key in entries]


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


def test_numbers_are_written_as_the_language_writes_them() -> None:
    assert decimal("-0.5", "pt") == "−0,5"
    assert text("figures", "others", "pt", count=12000) == "outras 12.000 classes"
    assert text("figures", "others", "en", count=12000) == "12,000 other classes"


def test_another_language_is_refused_with_the_two_there_are() -> None:
    with pytest.raises(UserError, match="choose one of: en, pt"):
        text("figures", "epoch", "fr")  # type: ignore[arg-type]
