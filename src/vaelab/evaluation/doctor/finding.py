"""What a rule finds, in sentences of language/findings.toml: English and Brazilian Portuguese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.language import Lang, local, text


class Sentence(NamedTuple):
    """A text of the catalogue, by its key, and the values of its slots."""

    key: str
    slots: Mapping[str, Any]

    def text(self, lang: Lang, mark: str = "", *, rows: bool = False) -> str:
        """Return the sentence with its slots filled, which may be sentences themselves.

        A `mark` stands before and after each setting or command. With `rows` it speaks of the rows
        of a table.
        """
        filled = {name: _worded(value, lang, mark, rows) for name, value in self.slots.items()}
        return text("findings", self.key, lang, rows, **filled)


class Finding(NamedTuple):
    """The result of a rule. The verdict "follows" marks the consequence of a more severe fault."""

    rule: str
    verdict: Literal["fault", "remark", "fine", "follows"]
    sentences: Sequence[Sentence]  # with numbers
    advice: Sentence | str = ""  # what to try, as commands; every fault has some
    rows: bool = False  # whether the data are rows of a table, which the texts then speak of

    def name(self, lang: Lang) -> str:
        """Return the name of the rule in a language."""
        return text("doctor", self.rule, lang)

    def text(self, lang: Lang) -> str:
        """Return what was found in a language."""
        return " ".join(sentence.text(lang, rows=self.rows) for sentence in self.sentences)

    def tries(self, lang: Lang, mark: str = "") -> str:
        """Return what to try in a language, "" if there is nothing; for `mark` see `Sentence`."""
        return str(_worded(self.advice, lang, mark, self.rows))

    @property
    def says(self) -> str:
        """What was found, in English."""
        return self.text("en")

    @property
    def remedy(self) -> str:
        """What to try, in English."""
        return self.tries("en")


def say(key: str, /, **slots: object) -> Sentence:
    """Return the sentence of a key, for both languages.

    >>> say("codes in use", share=12.5, codes=64).text("pt")
    '12% dos 64 valores de um código ocorrem.'
    """
    return Sentence(key, slots)


def either(*options: Sentence | str) -> Sentence | str:
    """Return alternatives as one remedy.

    >>> either(say("more epochs"), "--objective.warmup 5", "--model.latent 2").text("pt")
    'mais épocas, --objective.warmup 5 ou --model.latent 2'
    """
    return joined("or", options)


def joined(word: str, parts: Sequence[Sentence | str]) -> Sentence | str:
    """Return parts as one, with "and" or "or" before the last."""
    *others, last = parts
    return say(word, others=others, last=last) if others else last


def said(number: Estimate, lang: Lang = "en") -> str:
    """Return a number of a sentence, with its standard error if that is large enough to show."""
    error = number.error or 0
    places = 1 if error >= 0.05 else 2
    return local(
        f"{number.value:.{places}f} ± {error:.{places}f}"
        if error >= 0.005
        else f"{number.value:.1f}",
        lang,
    )


def _worded(value: object, lang: Lang, mark: str, rows: bool) -> object:
    match value:
        case Sentence():
            return value.text(lang, mark, rows=rows)
        case str() if value.startswith(("--", "vaelab ")):
            return f"{mark}{value}{mark}"
        case Estimate():
            return said(value, lang)
        case list():
            return ", ".join(str(_worded(part, lang, mark, rows)) for part in value)
        case _:
            return value
