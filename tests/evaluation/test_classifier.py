"""The reference classifier learns, is the same for all runs on the same data, and always loads.

A damaged or unwritable cache never makes it fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tiny
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from vaelab import devices
from vaelab.data import Batches
from vaelab.evaluation import classifier as module
from vaelab.evaluation.classifier import Classifier, classifier, fingerprint, learn, turned
from vaelab.evaluation.evaluator import Evaluator
from vaelab.models import evaluating
from vaelab.recipes import Data
from vaelab.runs import Run
from vaelab.seeding import CPU


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "classifiers"


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lessons too short to learn much, where something else is the claim."""
    monkeypatch.setattr(module, "SHOWN", (1000, 1000))


def subject(tmp_path: Path, images: int = 0, seed: int = 0, **settings: Any) -> Evaluator:
    """Of a run that was never trained: the classifier asks for its data only."""
    settings = {f"data.{key}": value for key, value in settings.items()}
    return Evaluator(Run(tmp_path, tiny(settings)), images=images, seed=seed)


def weights(eyes: Classifier) -> str:
    return fingerprint(eyes.state_dict())


def batches(
    x: Tensor, y: Tensor | None = None, treatment: Any = "grey", levels: int | None = None
) -> Batches:
    return Batches(x, levels, Data(treatment=treatment), CPU, y=y)


# --- what it learns -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Evaluator, Classifier]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAELAB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        of_digits = subject(tmp_path_factory.mktemp("run"))
        yield of_digits, classifier(of_digits)


def test_it_tells_digits_apart_and_says_how_well(taught: tuple[Evaluator, Classifier]) -> None:
    of_digits, eyes = taught
    y = of_digits.test.y
    about = eyes.about(of_digits.x_test, y)
    assert about["task"] == "classes"
    assert about["accuracy"].value > 0.95  # of 180
    assert about["accuracy"].value == pytest.approx(
        float((eyes.shows(of_digits.x_test, y) * 1.0).mean())
    )
    assert about["parameters"] == sum(p.numel() for p in eyes.parameters() if p.requires_grad)
    assert about["weights"] == weights(eyes)
    assert len(about["weights"]) == 12
    features = eyes.features(of_digits.x_test)
    assert features.shape == (180, about["features"]) == (180, 64)
    probabilities = eyes.probabilities(features)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert torch.equal(probabilities.argmax(1) == y, eyes.shows(of_digits.x_test, y))
    assert "accuracy" not in eyes.about(of_digits.x_test, None)


def test_features_have_mean_0_and_variance_1_over_the_images_of_training(
    taught: tuple[Evaluator, Classifier],
) -> None:
    """The statistics are running means over batches of 128 in which the newest weighs a tenth.

    They are therefore right to about 0.02 = sqrt(0.1 / 1.9 / 128).
    """
    of_digits, eyes = taught
    features = eyes.features(of_digits.x_train)
    assert features.mean(0).abs().max() < 5 * 0.0203
    # The error of the variance of one feature is sqrt(0.1 / 1.9 * 2 / 128).
    assert features.var(0).mean() == pytest.approx(1, abs=5 * 0.0287)


def test_features_come_in_chunks_and_without_gradients(
    taught: tuple[Evaluator, Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_digits, eyes = taught
    whole = eyes.features(of_digits.x_test)
    assert not whole.requires_grad
    monkeypatch.setattr(devices, "BUDGET", 7 * 64 * 64)
    np.testing.assert_allclose(eyes.features(of_digits.x_test), whole, rtol=1e-4, atol=1e-5)


def test_unlabelled_square_images_teach_it_the_quarter_turns(tmp_path: Path) -> None:
    digits = subject(tmp_path).data.train
    np.savez(tmp_path / "images.npz", x=digits.x.numpy())
    found = subject(tmp_path, source=str(tmp_path / "images.npz"))
    eyes = classifier(found)
    about = eyes.about(found.x_test, None)
    assert about["task"] == "turns"
    # Chance is right on a quarter of the 130 images; turned digits 0, 1 and 8 look alike.
    assert about["accuracy"].value > 0.7
    assert eyes.features(found.x_test).shape == (len(found.x_test), 64)


def test_turned_turns_each_image_by_its_own_quarters_and_leaves_the_others() -> None:
    for shape in ((4, 4), (3, 5, 5)):
        x = torch.rand(6, *shape)
        before, turns = x.clone(), torch.tensor([0, 1, 2, 3, 1, 0])
        wanted = [
            torch.rot90(image, int(turn), (-2, -1)) for image, turn in zip(x, turns, strict=True)
        ]
        assert torch.equal(turned(x, turns), torch.stack(wanted))
        assert torch.equal(x, before)


def test_labelled_flat_data_are_told_apart() -> None:
    """The means of the two classes are 3 standard deviations apart.

    The least possible error is therefore P(N(0, 1) > 1.5) = 7 %.
    """
    y = torch.arange(600) % 2
    x = torch.randn(600, 10) + 3 * y[:, None] / 10**0.5
    eyes, fresh = learn(batches(x, 5 + y), 0), torch.randn(600, 10) + 3 * y[:, None] / 10**0.5
    about = eyes.about(fresh, 5 + y)
    assert about["task"] == "classes"
    # The best possible rule is linear, too.
    linear = LinearDiscriminantAnalysis().fit(x.numpy(), y.numpy()).score(fresh.numpy(), y.numpy())
    assert about["accuracy"].value > linear - 4 * (2 * 0.07 * 0.93 / 600) ** 0.5


def test_features_of_unlabelled_flat_data_are_components_of_standardised_values() -> None:
    x = torch.randn(500, 4) @ torch.randn(4, 9) * torch.logspace(-2, 2, 9) + 5
    eyes = learn(batches(x), 0)
    found = eyes.features(x).double()
    standardised = ((x - x.mean(0)) / x.std(0)).double()
    values = torch.linalg.eigvalsh(standardised.T.cov()).flip(0)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(found.T.cov(), values.diag(), atol=2e-3)  # sums of float32
    assert eyes.about(x, None)["task"] == "components"
    assert "accuracy" not in eyes.about(x, None)


def test_a_value_that_never_varied_is_not_blown_up() -> None:
    x = torch.randn(200, 5)
    x[:, 2] = 0.1
    eyes = learn(batches(x), 0)
    moved = x.clone()
    moved[:, 2] = 0.1 + float(x.std(0).max())
    shift = eyes.features(moved) - eyes.features(x)
    np.testing.assert_allclose(shift.norm(dim=1), 1, rtol=1e-4)  # one deviation of what varies most


def test_unlabelled_oblong_images_use_components_and_one_class_counts_as_unlabelled() -> None:
    x = torch.rand(60, 4, 6)
    assert Classifier(batches(x)).task == "components"
    assert Classifier(batches(x, torch.arange(60) % 2)).task == "classes"
    assert Classifier(batches(torch.rand(60, 6, 6), torch.ones(60).long())).task == "turns"


@pytest.mark.parametrize(
    "shape", [(8, 8), (1, 2), (28, 28), (3, 9, 30), (33, 32), (3, 64, 64), (2, 130, 100), (5,)]
)
def test_any_shape_has_features(shape: tuple[int, ...]) -> None:
    eyes = Classifier(batches(torch.rand(60, *shape), torch.arange(60) % 3))
    with evaluating(eyes):
        assert eyes.features(torch.rand(2, *shape)).shape == (2, 64)
        assert eyes.features(torch.rand(1, *shape)).shape == (1, 64)
    assert sum(parameter.numel() for parameter in eyes.parameters()) < 200_000


@pytest.mark.parametrize("shape", [(40,), (3, 20), (2, 1), (5, 700)])
def test_signals_are_convolved_over_time_alone(shape: tuple[int, ...]) -> None:
    eyes = Classifier(batches(torch.rand(60, *shape), torch.arange(60) % 3), "signal")
    with evaluating(eyes):
        assert eyes.features(torch.rand(2, *shape)).shape == (2, 64)
    assert not any(isinstance(layer, torch.nn.Conv2d) for layer in eyes.modules())
    assert Classifier(batches(torch.rand(60, 9, 9)), "signal").task == "components"


def test_of_counts_the_logarithm_is_looked_at() -> None:
    x = torch.randint(0, 1000, (70, 6)).float()
    eyes = learn(batches(x, treatment="counts"), 0)
    log = learn(batches(x.log1p()), 0)
    np.testing.assert_allclose(eyes.features(x), log.features(x.log1p()), atol=1e-4)


# --- the same for all -----------------------------------------------------------------------------


def test_the_same_images_and_seed_give_the_same_bits_and_others_do_not(brief: None) -> None:
    x, y = torch.rand(300, 8, 8), torch.arange(300) % 3
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = learn(batches(x, y), 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    torch.rand(3)
    assert weights(learn(batches(x, y), 0)) == weights(first)
    assert weights(learn(batches(x, y), 1)) != weights(first)
    assert weights(learn(batches(x, 2 - y), 0)) != weights(first)


def test_it_does_not_depend_on_what_was_held_out_for_validation_or_how_much_is_evaluated(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time with an empty cache, and so it is with a common one."""
    same: list[dict[str, Any]] = [
        {"validation": 0.3},
        {"validation": 0.0},
        {"images": 30},
        {"seed": 7},
    ]
    other: list[dict[str, Any]] = [{"treatment": "threshold"}, {"test": 0.3}, {"split_seed": 5}]
    for common in (False, True):
        found = []
        for number, settings in enumerate([{}, *same, *other]):
            monkeypatch.setenv(
                "VAELAB_CACHE_DIR", str(tmp_path / ("common" if common else str(number)))
            )
            found.append(weights(classifier(subject(tmp_path, **settings))))
        assert set(found[: 1 + len(same)]) == {found[0]}
        assert len(set(found)) == 1 + len(other)
        assert weights(classifier(subject(tmp_path), seed=1)) not in found


def test_the_same_images_with_other_labels_are_other_data(tmp_path: Path, brief: None) -> None:
    x, found = torch.rand(100, 8, 8).numpy(), []
    for number, y in enumerate((np.arange(100) % 2, np.arange(100) // 50, None)):
        path = tmp_path / str(number) / "images.npz"
        path.parent.mkdir()
        np.savez(path, x=x, **({} if y is None else {"y": y}))
        found.append(weights(classifier(subject(tmp_path, source=str(path)))))
    assert len(set(found)) == 3


def test_images_binarised_once_are_seen_by_the_eyes_of_those_binarised_afresh(
    tmp_path: Path, brief: None
) -> None:
    fixed = weights(classifier(subject(tmp_path, treatment="fixed")))
    assert weights(classifier(subject(tmp_path, treatment="dynamic"))) == fixed


def test_it_learns_from_treated_images(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = Classifier.forward
    monkeypatch.setattr(Classifier, "forward", lambda self, x: (seen.append(x), real(self, x))[1])
    classifier(subject(tmp_path, treatment="dynamic"))
    assert seen
    assert all(bool(((x == 0) | (x == 1)).all()) for x in seen)


def test_it_never_sees_a_test_image(tmp_path: Path) -> None:
    found = subject(tmp_path)
    images, _ = module._images(found)
    assert len(images) == len(found.data.train.x) + len(found.data.validation.x)
    shown = {bytes(x.numpy()) for x in images.x}
    held_out = {bytes(x.numpy()) for x in found.data.test.x}
    assert len(held_out) > 170
    assert not shown & held_out
    assert images.y is not None
    labels = {
        bytes(x.numpy()): int(y)
        for part in (found.data.train, found.data.validation)
        for x, y in zip(part.x, part.y, strict=True)  # type: ignore[arg-type]
    }
    assert all(labels[bytes(x.numpy())] == y for x, y in zip(images.x, images.y, strict=True))


# --- the cache ------------------------------------------------------------------------------------


def test_it_is_taught_once_and_comes_out_of_the_cache_as_it_went_in(
    tmp_path: Path, cache: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = classifier(subject(tmp_path))
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(module, "learn", lambda *_: pytest.fail("taught again"))
    before = torch.get_rng_state()
    again = classifier(subject(tmp_path))
    assert torch.equal(before, torch.get_rng_state())
    x = torch.rand(5, 8, 8)
    assert torch.equal(first.features(x), again.features(x))
    assert not again.training


def flip(content: bytes) -> bytes:
    """One bit of the last tensor is another."""
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


@pytest.mark.parametrize(
    "damage",
    [lambda c: b"", lambda c: c[: len(c) // 2], lambda c: b"no tensors at all", flip],
    ids=range(4),
)
def test_what_is_damaged_is_taught_again_and_replaced(
    tmp_path: Path, cache: Path, brief: None, damage: Any
) -> None:
    first = weights(classifier(subject(tmp_path)))
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert weights(classifier(subject(tmp_path))) == first
    assert path.read_bytes() == whole
    assert list(cache.iterdir()) == [path]


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights(classifier(subject(tmp_path)))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path / "file"))
    assert weights(classifier(subject(tmp_path))) == first
    assert (tmp_path / "file").read_text() == "in the way"


def test_without_the_variable_the_cache_is_the_users(
    tmp_path: Path, brief: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAELAB_CACHE_DIR")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "user" / name)
    classifier(subject(tmp_path))
    assert len(list((tmp_path / "user" / "vaelab" / "classifiers").iterdir())) == 1
