"""The sentences of the doctor's findings: all are used, and say the same in two languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaelab.evaluation import doctor
from vaelab.evaluation.doctor import RULES, Finding, say
from vaelab.evaluation.doctor.finding import either, joined
from vaelab.evaluation.doctor.objective import MINIMISED
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.language import TEXTS

SOURCE = "".join(path.read_text("utf-8") for path in Path(doctor.__file__).parent.glob("*.py"))
COMPOSED = {f"minimises {name}" for name in MINIMISED} | {
    f"{start} the next {end}"
    for start in ("still falling, by", "the gain of")
    for end in ("epoch", "epochs")
} | {"samples are worse, codes and prior do not match", "train", "validation", "test"}  # fmt: skip
SETTING = re.compile(r"--[a-z]+\.[a-z_]+|vaelab [a-z-]+")
SPECIFIED = re.compile(r"\{\w+(:[^}]*)?\}")


def test_every_sentence_is_one_that_a_rule_can_say() -> None:
    for key in TEXTS["findings"]:
        assert f'"{key}"' in SOURCE or key in COMPOSED, key
    assert set(re.findall(r'say\(\s*"([^"]+)"', SOURCE)) <= set(TEXTS["findings"])


@pytest.mark.parametrize("key", TEXTS["findings"])
def test_both_languages_name_the_same_settings_and_write_numbers_alike(key: str) -> None:
    english, portuguese = TEXTS["findings"][key].values()
    assert SETTING.findall(english) == SETTING.findall(portuguese)
    specified = [{m.group() for m in SPECIFIED.finditer(t)} for t in (english, portuguese)]
    assert specified[0] == specified[1]
    assert english.endswith(".") == portuguese.endswith(".")


def test_rules_have_names_in_both_languages() -> None:
    for name in RULES:
        assert TEXTS["doctor"][name]["en"] == name
        assert TEXTS["doctor"][name]["pt"]


def test_a_finding_writes_numbers_as_each_language_does() -> None:
    says = [say("the mismatch is at least", gap=Estimate(-4.304, 0.041)), say("samples are worse")]
    finding = Finding("holes", "remark", says, either("--model.latent 2", say("more epochs")))
    assert finding.says == (
        "The mismatch between aggregate posterior and prior is at least -4.30 ± 0.04 nats. "
        "Samples are worse than reconstructions."
    )
    assert "ao menos −4,30 ± 0,04 nats. As amostras" in finding.text("pt")
    assert finding.remedy == "--model.latent 2, or more epochs"
    assert finding.tries("pt") == "--model.latent 2 ou mais épocas"
    assert finding.name("pt") == "buracos"


def test_alternatives_are_joined_as_a_sentence_joins_them() -> None:
    assert either("--a.b 1") == "--a.b 1"
    three = joined("or", ["a", say("more images"), "c"])
    assert not isinstance(three, str)
    assert (three.text("en"), three.text("pt")) == ("a, more images, or c", "a, mais imagens ou c")
