"""Treatments, augmentation and ranges of a batch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from vaelab.data import Batches, Dataset, Split, check_support
from vaelab.errors import UserError
from vaelab.recipes import Data

CPU = torch.device("cpu")


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(
    x: Tensor, levels: int | None, seed: int = 0, augment: bool = False, **settings: Any
) -> Tensor:
    return Batches(x, levels, Data(**settings), CPU, augment)(torch.arange(len(x)), chance(seed))


def every_level(levels: int) -> Tensor:
    return torch.arange(levels, dtype=torch.uint8).repeat(8, 3, 1)  # (8, 3, levels)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_grey_is_the_level_over_the_highest(levels: int) -> None:
    x = every_level(levels)
    found = batch(x, levels)
    assert found.dtype == torch.float32
    assert torch.equal(found, x.double().div(levels - 1).float())


def test_a_batch_is_the_rows_of_its_index() -> None:
    x = torch.arange(60, dtype=torch.uint8).view(10, 2, 3)
    batches = Batches(x, 256, Data(), CPU)
    assert len(batches) == 10
    index = torch.tensor([7, 0, 7])
    assert torch.equal(batches(index, chance()), x[index] / 255)


def test_grey_leaves_data_and_chance_alone() -> None:
    x, generator = torch.randn(5, 4), chance()
    before, state = x.clone(), generator.get_state()
    found = Batches(x, None, Data(), CPU)(torch.arange(5), generator)
    assert torch.equal(found, x)
    found.zero_()
    assert torch.equal(x, before)
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("augment", [False, True])
def test_threshold_is_one_from_a_half_on(augment: bool) -> None:
    x = torch.tensor([[[0.0, 0.4999, 0.5, 1.0]]])
    settings = {"treatment": "threshold", "rotate": 1e-5}
    assert batch(x, None, augment=augment, **settings).tolist() == [[[0, 0, 1, 1]]]
    assert (
        batch(every_level(17), 17, augment=augment, **settings)[0, 1].tolist() == [0] * 8 + [1] * 9
    )
    assert (
        batch(every_level(256), 256, augment=augment, **settings)[0, 1].tolist()
        == [0] * 128 + [1] * 128
    )


def test_dynamic_is_one_with_the_probability_of_the_value() -> None:
    x, n = torch.tensor([0, 1, 64, 128, 200, 255], dtype=torch.uint8).view(1, 6, 1), 40_000
    batches = Batches(x, 256, Data(treatment="dynamic"), CPU)
    found = batches(torch.zeros(n, dtype=torch.long), chance())
    assert set(found.unique().tolist()) == {0.0, 1.0}
    p = x[0, :, 0] / 255
    z = (found.mean(0)[:, 0] - p) / (p * (1 - p) / n).sqrt().clamp(min=1e-12)
    assert z.abs().max() < 4.5  # six binomials: below 5e-5
    generator = chance()
    again = [batches(torch.zeros(n, dtype=torch.long), generator) for _ in range(2)]
    assert torch.equal(again[0], found)
    assert not torch.equal(again[1], found)


def test_fixed_is_drawn_once_and_for_all() -> None:
    x = torch.randint(256, (5000, 4, 4), generator=chance(1)).to(torch.uint8)
    found = batch(x, 256, treatment="fixed")
    assert torch.equal(found, batch(x, 256, seed=9, treatment="fixed"))
    assert not torch.equal(found, batch(x, 256, treatment="fixed", split_seed=1))
    assert set(found.unique().tolist()) == {0.0, 1.0}
    p = x / 255
    assert abs(float((found - p).sum() / (p * (1 - p)).sum().sqrt())) < 4
    assert found[x == 0].sum() == 0
    assert (found[x == 255] == 1).all()
    real = batch(p, None, treatment="fixed")
    assert torch.equal(real, found)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_dequantised_stays_within_the_bin_of_its_level(levels: int) -> None:
    x = every_level(levels).repeat(200, 1, 1)
    found = batch(x, levels, treatment="dequantised")
    assert found.min() >= 0
    assert found.max() < 1
    assert torch.equal((found.double() * levels).add(1e-9).floor(), x.double())
    u = found.double() * levels - x
    n = u.numel()
    assert abs(float(u.mean()) - 0.5) < 4 * math.sqrt(1 / 12 / n)
    assert abs(float(u.var()) - 1 / 12) < 4 * math.sqrt(1 / 180 / n)  # Var (u - 1/2)^2 = 1/180


def test_dequantised_at_its_largest_noise_is_below_one(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 1 - 2**-24
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(tuple(shape), largest))
    for levels in (2, 17, 256):
        found = batch(every_level(levels), levels, treatment="dequantised")
        assert found.max() < 1
        assert torch.equal((found.double() * levels).floor(), every_level(levels).double())


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_counts_of_grey_levels_are_the_levels(levels: int) -> None:
    x = every_level(levels)
    found = batch(x, levels, treatment="counts")
    assert found.dtype == torch.float32
    assert torch.equal(found, x.float())


def test_counts_of_real_values_are_those_values_and_data_and_chance_are_left_alone() -> None:
    x, generator = torch.randint(100_000, (5, 4)).float(), chance()
    before, state = x.clone(), generator.get_state()
    found = Batches(x, None, Data(treatment="counts"), CPU)(torch.arange(5), generator)
    assert torch.equal(found, before)
    found.zero_()
    assert torch.equal(x, before)
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("levels", [None, 17])
def test_counts_stay_whole_when_they_move(levels: int | None) -> None:
    x = torch.randint(17, (50, 6, 9), generator=chance(1))
    x = x.to(torch.uint8) if levels else x.float()
    found = batch(x, levels, augment=True, treatment="counts", rotate=30, shift=0.1)
    assert torch.equal(found, found.round())
    assert not torch.equal(found, x.float())
    assert found.min() >= 0
    assert found.max() <= 16


# --- augmentation ---------------------------------------------------------------------------------


def centroid(x: Tensor) -> Tensor:
    """(B, 2): row and column of the centre of mass, in pixels from the centre of the image."""
    (h, w), mass = x.shape[-2:], x.sum((-2, -1))
    rows, columns = torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2
    return torch.stack([(x.sum(-1) @ rows) / mass, (x.sum(-2) @ columns) / mass], 1)


def delta(h: int, w: int, row: int, column: int, n: int) -> Tensor:
    x = torch.zeros(n, h, w)
    x[:, row, column] = 1
    return x


def test_nothing_moves_unless_asked() -> None:
    x = torch.rand(4, 5, 7, generator=chance())
    assert torch.equal(batch(x, None, rotate=90, shift=0.5), x)
    assert torch.equal(batch(x, None, augment=True), x)


@pytest.mark.parametrize(("h", "w"), [(33, 33), (21, 41), (41, 21)])
def test_shifts_are_uniform_within_their_bounds_on_each_axis(h: int, w: int) -> None:
    n, shift = 4000, 0.2
    moved = centroid(batch(delta(h, w, h // 2, w // 2, n), None, augment=True, shift=shift))
    moved = moved / torch.tensor([h, w])
    assert moved.abs().max() <= shift + 1e-5
    assert moved.abs().amax(0).min() > 0.99 * shift
    assert (moved.mean(0).abs() < 4 * shift / math.sqrt(3 * n)).all()
    assert torch.corrcoef(moved.T)[0, 1].abs() < 4 / math.sqrt(n)


@pytest.mark.parametrize(("h", "w"), [(33, 33), (21, 41), (41, 21)])
def test_a_rotated_point_keeps_its_distance_in_pixels_and_stays_within_the_angle(
    h: int, w: int
) -> None:
    n, rotate, radius = 2000, 40.0, 8
    for row, column, start in ((0, radius, 0.0), (radius, 0, 90.0)):
        x = delta(h, w, h // 2 + row, w // 2 + column, n)
        moved = centroid(batch(x, None, augment=True, rotate=rotate))
        # Interpolation weights are those of a rotated grid: right to a fraction of a pixel.
        assert (moved.norm(dim=1) - radius).abs().max() < 0.5
        angle = torch.atan2(moved[:, 0], moved[:, 1]).rad2deg() - start
        slack = math.degrees(0.5 / radius)
        assert angle.abs().max() < rotate + slack
        assert angle.min() < -rotate + slack
        assert angle.max() > rotate - slack
        assert angle.mean().abs() < 4 * (rotate / math.sqrt(3) + slack) / math.sqrt(n)


@pytest.mark.parametrize(("h", "w"), [(9, 9), (6, 11)])
def test_known_moves_are_exact(monkeypatch: pytest.MonkeyPatch, h: int, w: int) -> None:
    x = torch.rand(1, h, w, generator=chance())

    def move(angle: float, right: float, down: float, **settings: Any) -> Tensor:
        # The values of U[0, 1) that give these values of U[-1, 1).
        u = torch.tensor([[angle], [right], [down]]).add(1).div(2)
        monkeypatch.setattr(torch, "rand", lambda *_, **__: u.clone())
        return batch(x, None, augment=True, **settings)

    # 180 degrees turn both axes; one pixel right and two down leave zeros behind.
    assert torch.allclose(move(1, 0, 0, rotate=180), x.flip(1, 2), atol=1e-5)
    shifted = torch.zeros_like(x)
    shifted[:, 2:, 1:] = x[:, :-2, :-1]
    assert torch.allclose(move(0, 2 / w, 4 / h, shift=0.5), shifted, atol=1e-5)
    if h == w:
        quarter = move(1, 0, 0, rotate=90)
        assert torch.allclose(quarter, x.rot90(-1, (1, 2)), atol=1e-5)
        # Rotated first, shifted afterwards.
        turned = torch.zeros_like(x)
        turned[:, :, 1:] = x.rot90(-1, (1, 2))[:, :, :-1]
        assert torch.allclose(move(1, 1 / w / 0.5, 0, rotate=90, shift=0.5), turned, atol=1e-5)


@pytest.mark.parametrize("treatment", ["grey", "threshold", "dynamic", "dequantised"])
@pytest.mark.parametrize("shape", [(6, 9), (3, 9, 6)])
def test_augmented_batches_keep_shape_and_range(treatment: str, shape: tuple[int, ...]) -> None:
    x = torch.full((500, *shape), 255, dtype=torch.uint8)
    found = batch(x, 256, augment=True, treatment=treatment, rotate=30, shift=0.1)
    assert found.shape == x.shape
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() < 1 if treatment == "dequantised" else found.max() <= 1
    if treatment in ("threshold", "dynamic"):
        assert set(found.unique().tolist()) == {0.0, 1.0}
    again = batch(x, 256, augment=True, treatment=treatment, rotate=30, shift=0.1)
    assert torch.equal(found, again)


def test_every_image_moves_on_its_own_and_its_channels_together() -> None:
    x = torch.rand(1, 1, 8, 8, generator=chance()).expand(5, 3, 8, 8)
    found = batch(x, None, augment=True, rotate=20, shift=0.1)
    assert torch.equal(found[:, 0], found[:, 2])
    assert len({float(image.sum()) for image in found}) == 5


def test_real_values_stay_within_their_range() -> None:
    x = torch.rand(50, 7, 7, generator=chance()) - 3
    found = batch(x, None, augment=True, rotate=45)
    assert found.min() >= x.min()
    assert found.max() <= 0  # what comes in from outside


@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)])
@pytest.mark.parametrize("treatment", ["grey", "fixed", "threshold"])
def test_half_of_the_images_are_mirrored_whole(treatment: str, shape: tuple[int, ...]) -> None:
    x = torch.randint(256, (1000, *shape), generator=chance()).byte()
    straight = batch(x, 256, treatment=treatment, flip=True)  # not augmented
    found = batch(x, 256, augment=True, treatment=treatment, flip=True)
    mirrored = (found == straight.flip(-1)).flatten(1).all(1)
    assert torch.equal(found[~mirrored], straight[~mirrored])
    assert abs(float(mirrored.double().mean()) - 0.5) < 4 * 0.5 / math.sqrt(1000)
    assert torch.equal(found, batch(x, 256, augment=True, treatment=treatment, flip=True))
    assert not torch.equal(
        found, batch(x, 256, seed=1, augment=True, treatment=treatment, flip=True)
    )


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "levels", "settings", "says"),
    [
        (torch.rand(4, 9), None, {"rotate": 5}, "data.rotate"),
        (torch.rand(4, 9), None, {"shift": 0.1}, "data.shift"),
        (torch.rand(4, 9), None, {"flip": True}, "data.flip"),
        (torch.rand(4, 3, 3), None, {"treatment": "dequantised"}, "data.treatment"),
        (torch.full((4, 3), 2.5), None, {"treatment": "dynamic"}, "2.5 to 2.5"),
        (torch.full((4, 3), -1.0), None, {"treatment": "threshold"}, "data.treatment to grey"),
        (torch.full((4, 3), 7.0), None, {"treatment": "fixed"}, "'fixed'"),
        (torch.full((4, 3), 7.5), None, {"treatment": "counts"}, "whole numbers from 0"),
        (torch.full((4, 3), -1.0), None, {"treatment": "counts"}, "set data.treatment to grey"),
    ],
)
def test_treatments_that_make_no_sense(
    x: Tensor, levels: int | None, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        batch(x, levels, augment=True, **settings)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def dataset(x: Tensor, levels: int | None) -> Dataset:
    return Dataset(
        "mine", tuple(x.shape[1:]), levels, Split(x[:0], None), Split(x[:0], None), Split(x, None)
    )


GREY = dataset(torch.full((4, 3), 255, dtype=torch.uint8), 256)
UNIT = dataset(torch.full((4, 3), 0.3), None)
BEYOND = dataset(torch.tensor([[-1.0, 3.0]]), None)


@pytest.mark.parametrize(
    ("support", "data", "treatment"),
    [
        *[
            ("unit", GREY, treatment)
            for treatment in ("grey", "threshold", "fixed", "dynamic", "dequantised")
        ],
        *[("unit", UNIT, treatment) for treatment in ("grey", "threshold", "fixed", "dynamic")],
        *[
            ("real", data, treatment)
            for data in (GREY, BEYOND)
            for treatment in ("grey", "dequantised", "counts")
        ],
        ("levels", GREY, "grey"),
        ("counts", GREY, "counts"),
        ("counts", BEYOND, "counts"),
    ],
)
def test_data_that_live_where_the_likelihood_does_are_welcome(
    support: str, data: Dataset, treatment: Any
) -> None:
    check_support(data, support, Data(source="mine.npy", treatment=treatment), "any")


@pytest.mark.parametrize(
    ("support", "data", "treatment", "says"),
    [
        (
            "unit",
            BEYOND,
            "grey",
            r"-1 to 3; set model\.likelihood to gaussian",
        ),
        ("unit", GREY, "counts", r"not counts; set model\.likelihood to poisson"),
        ("levels", UNIT, "grey", r"real values; set model\.likelihood to gaussian"),
        *[
            ("levels", GREY, treatment, rf"not '{treatment}'; set data\.treatment to grey")
            for treatment in ("threshold", "fixed", "dynamic", "dequantised", "counts")
        ],
        ("counts", GREY, "grey", r"not 'grey'; set data\.treatment to counts"),
    ],
)
def test_data_that_live_elsewhere_are_refused_with_the_remedy(
    support: str, data: Dataset, treatment: Any, says: str
) -> None:
    with pytest.raises(UserError, match=rf"^mine\.npy: model\.likelihood 'any' needs .*{says}$"):
        check_support(data, support, Data(source="mine.npy", treatment=treatment), "any")


@pytest.mark.parametrize("treatment", ["grey", "threshold", "fixed", "dynamic", "counts"])
def test_an_empty_split_is_no_mistake(treatment: str) -> None:
    assert batch(torch.zeros(0, 3, 4), None, treatment=treatment).shape == (0, 3, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize(
    "treatment", ["grey", "threshold", "fixed", "dynamic", "dequantised", "counts"]
)
def test_batches_live_on_the_gpu(treatment: Any) -> None:
    cuda, x = torch.device("cuda"), every_level(256)
    moved = 0.0 if treatment == "fixed" else 10.0
    batches = Batches(x, 256, Data(treatment=treatment, rotate=moved), cuda, augment=True)
    found = batches(torch.arange(8), torch.Generator(cuda).manual_seed(0))
    assert found.device.type == "cuda"
    assert found.shape == x.shape
    assert found.max() <= (255 if treatment == "counts" else 1)
