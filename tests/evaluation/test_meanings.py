"""Every metric says in both languages what it is; the main ones also what their values tell."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from vaelab.evaluation.annealing import CHAINS
from vaelab.evaluation.meanings import headlines, meaning, unit
from vaelab.evaluation.sections import METRICS
from vaelab.evaluation.sections.likelihood import SECOND
from vaelab.evaluation.text import LINES
from vaelab.language import TEXTS, Lang

KEYS = [f"{section}.{name}" for section, metrics in METRICS.items() for name in metrics]


def test_the_catalogue_has_the_metrics_in_order_and_no_others() -> None:
    assert list(TEXTS["metrics"]) == KEYS
    assert {f"{section}.{name}" for section, name in headlines()} <= set(KEYS)


@pytest.mark.parametrize("lang", get_args(Lang))
def test_every_metric_has_its_texts_in_every_language(lang: Lang) -> None:
    for key in KEYS:
        section, _, name = key.partition(".")
        found, metric = meaning(section, name, lang), METRICS[section][name]
        assert len(found.about) > 5
        assert (found.unit != "", found.better != "") == (metric.unit != "", metric.better != "")
        assert (found.reading == "") == ((section, name) not in headlines())
        assert found.name


def test_a_reading_is_one_sentence_and_says_which_side_is_better_as_the_table_does() -> None:
    sides: dict[Lang, dict[str, str]] = {
        "en": {"lower": "maller is better|the smaller", "higher": "arger is better|1 is|near 1"},
        "pt": {"lower": "quanto menor", "higher": "quanto maior, melhor|1 é|perto de 1"},
    }
    for lang in get_args(Lang):
        for section, name in headlines():
            reading = meaning(section, name, lang).reading
            assert reading.count(". ") == 0
            assert reading.endswith(".")
            assert reading[0].isupper()
            if side := METRICS[section][name].better:
                assert re.search(sides[lang][side], reading), (name, reading)


def test_the_main_metrics_are_those_of_the_summary_with_a_meaning_for_a_student() -> None:
    """The summary also has differences and baselines, and scores of few runs."""
    shown = {key for keys in LINES.values() for key in keys}
    main = {f"{section}.{name}" for section, name in headlines()}
    assert shown - main == {
        "likelihood.ais",
        "likelihood.ais_difference",
        "samples.frechet_real",
        "rows.classifier_auc_real",
        "rows.copies_real",
        "disentangling.factor_vae_score",
    }


def test_numbers_in_the_texts_are_those_of_the_code() -> None:
    for text in TEXTS["metrics"]["likelihood.ais"].values():
        assert f" {SECOND} " in text
    for text in TEXTS["metrics"]["likelihood.ais_ess"].values():
        assert f" {CHAINS} " in text


def test_units_are_translated_and_a_metric_without_one_has_none() -> None:
    assert unit("likelihood", "nll", "pt") == "nats por imagem"
    assert unit("samples", "mse", "pt") == "valores ao quadrado"
    assert unit("samples", "ssim", "pt") == ""
