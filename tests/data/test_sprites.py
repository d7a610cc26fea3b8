"""Sprites match their factors, factors stay with their images, and dSprites loads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

import vaelab
from vaelab import data
from vaelab.data.dataset import Array
from vaelab.data.sprites import COUNT, FACTORS, RADIUS, load, render
from vaelab.errors import UserError
from vaelab.recipes import Data

# Areas of square, ellipse and heart in a circle of radius 1; the heart's is (4 + pi) a^2.
AREA = np.array([2.0, 1.885, 2.0715])
SIZES = [16, 17, 32, 64]
each_size = pytest.mark.parametrize("size", SIZES)
each_shape = pytest.mark.parametrize("shape", range(3), ids=["square", "ellipse", "heart"])


def sprites(**settings: Any) -> data.Dataset:
    return data.load(Data(source="sprites", **settings))


def drawn(
    size: int, shape: int, scale: int = 5, rotation: int = 0, x: int = 16, y: int = 16
) -> Array:
    """One image with values in [0, 1], (size, size)."""
    return render(np.array([[shape, scale, rotation, x, y]]), size)[0] / 255


def along(size: int, factor: str, **others: int) -> Array:
    """All images along one factor, (values, size, size)."""
    return np.stack([drawn(size, **others | {factor: value}) for value in range(FACTORS[factor])])


def centroids(images: Array) -> Array:
    """(N, 2): x from the left and y from the top, in sides of the image."""
    size = images.shape[1]
    place = (np.arange(size) + 0.5) / size
    mass = images.sum((1, 2))
    return np.stack(
        [(images.sum(1) * place).sum(1) / mass, (images.sum(2) * place).sum(1) / mass], 1
    )


# --- drawing --------------------------------------------------------------------------------------


@each_size
@each_shape
def test_x_moves_the_centroid_right_and_y_down_by_equal_steps(shape: int, size: int) -> None:
    steps = np.linspace(0.25, 0.75, 32)
    for axis, factor in enumerate("xy"):
        found = centroids(along(size, factor, shape=shape, rotation=3))
        np.testing.assert_allclose(found[:, axis], steps, atol=0.1 / size)
        np.testing.assert_allclose(found[:, 1 - axis], steps[16], atol=0.1 / size)


@each_shape
def test_the_area_grows_with_the_square_of_the_scale(shape: int) -> None:
    found = along(64, "scale", shape=shape, rotation=3).sum((1, 2))
    wanted = AREA[shape] * (64 * RADIUS * np.linspace(0.5, 1, 6)) ** 2
    np.testing.assert_allclose(found, wanted, rtol=0.02)


@each_shape
def test_rotation_turns_the_shape_anticlockwise_about_its_centroid(shape: int) -> None:
    """The rotation is measured by a principal axis, and quarter turns are exact.

    The square has no principal axis; the fourth harmonic takes its place.
    """
    images = along(64, "rotation", shape=shape)
    place = np.arange(64) + 0.5
    middle = centroids(images) * 64
    across = place[None, None, :] - middle[:, 0, None, None]
    up = middle[:, 1, None, None] - place[None, :, None]
    # The lowest harmonic with the shape's symmetry; 3 for the heart's tip and lobes.
    harmonic = [4, 2, 3][shape]
    moment = (images * (across + 1j * up) ** harmonic).sum((1, 2))
    turned = np.unwrap(np.angle(moment)) / harmonic
    np.testing.assert_allclose(np.degrees(turned - turned[0]), 9.0 * np.arange(40), atol=2)
    # Where the position needs no rounding, quarter turns are exact on the grid.
    centred = drawn(63, shape, x=0, y=0)
    other = drawn(63, shape, rotation=10, x=0, y=31)
    np.testing.assert_allclose(np.rot90(centred), other, atol=2 / 255)


def test_the_square_repeats_after_a_quarter_turn_the_ellipse_after_a_half_the_heart_never() -> None:
    for shape, period in enumerate((10, 20, 40)):
        images = along(64, "rotation", shape=shape)
        same = [abs(images[0] - image).max() < 0.01 for image in images]
        assert np.flatnonzero(same).tolist() == list(range(0, 40, period))


def test_a_heart_stands_on_its_tip_and_has_a_notch_above() -> None:
    heart = drawn(64, shape=2) > 0.35
    rows = np.flatnonzero(heart.any(1))
    widths = heart.sum(1)[rows]
    np.testing.assert_array_equal(
        np.maximum.accumulate(widths[::-1])[: len(rows) // 2], widths[::-1][: len(rows) // 2]
    )
    assert widths[-1] <= 2
    top = heart[rows[0] + 1]
    assert np.count_nonzero(np.diff(top.astype(int)) == 1) == 2  # two lobes


@pytest.mark.parametrize("size", [31, 62])  # where 16 places are whole pixels
@each_shape
def test_no_shape_is_cut_off_at_the_border(shape: int, size: int) -> None:
    for rotation in range(40):
        middle = drawn(size, shape, rotation=rotation)
        for x, y in ((0, 0), (0, 31), (31, 0), (31, 31)):
            moved = np.roll(middle, ((y - 16) * size // 62, (x - 16) * size // 62), (0, 1))
            if size == 62 or (x, y) == (0, 0):  # 15 places are half a pixel more
                np.testing.assert_allclose(
                    drawn(size, shape, rotation=rotation, x=x, y=y), moved, atol=2 / 255
                )


@each_size
def test_at_the_border_shapes_are_as_large_as_anywhere(size: int) -> None:
    corners = np.array(
        [[s, 5, r, x, y] for s in range(3) for r in range(40) for x in (0, 31) for y in (0, 31)]
    )
    area = AREA[corners[:, 0]] * (size * RADIUS) ** 2
    found = render(corners, size).sum((1, 2)) / 255
    np.testing.assert_allclose(found, area, rtol=0.06 if size < 32 else 0.02)


@each_size
def test_neighbouring_values_make_different_images(size: int) -> None:
    base = np.array([1, 3, 7, 12, 20])
    for i, count in enumerate(FACTORS.values()):
        values = np.repeat(base[None], count, 0)
        values[:, i] = np.arange(count)
        images = render(values, size).astype(int)
        if i == 2:
            images = images[:20]  # half a turn of an ellipse
        apart = abs(images[:, None] - images[None]).sum((2, 3)) + 10**6 * np.eye(
            len(images), dtype=int
        )
        assert apart.min() > 255 / 4, list(FACTORS)[i]


# --- the data set ---------------------------------------------------------------------------------


def test_the_same_bytes_every_time() -> None:
    x = load(Data(images=100, size=32)).x
    assert (
        hashlib.sha256(x.tobytes()).hexdigest()
        == "cb160af1670ea8f0fc21472c454fcba0941a54ef9a70443714b764faa7ceae6f"
    )


def test_images_are_distinct_and_fewer_are_the_first_of_more() -> None:
    few, many = load(Data(images=50, size=16)), load(Data(images=2000, size=16))
    assert few.factors is not None
    assert many.factors is not None
    assert np.array_equal(few.x, many.x[:50])
    assert np.array_equal(few.factors, many.factors[:50])
    assert len(np.unique(many.factors, axis=0)) == 2000
    for values, count in zip(many.factors.T, FACTORS.values(), strict=True):
        assert abs(np.bincount(values) / 2000 - 1 / count).max() < 5 * (1 / count / 2000) ** 0.5
    assert COUNT == 737_280


@each_size
def test_a_data_set_of_grey_images_labelled_by_shape_with_named_factors(size: int) -> None:
    found = sprites(images=1000, size=size)
    assert (found.name, found.shape, found.levels) == ("sprites", (size, size), 256)
    assert found.factors == FACTORS
    assert [len(split.x) for split in found.splits().values()] == [810, 90, 100]


def test_factors_stay_with_their_images_through_every_split() -> None:
    seen = []
    for seed in (0, 1):
        found = sprites(images=500, size=16, split_seed=seed, validation=0.3)
        for split in found.splits().values():
            assert split.factors is not None
            assert split.factors.dtype == torch.int64
            assert np.array_equal(render(split.factors.numpy(), 16), split.x.numpy())
            assert split.y is not None
            assert torch.equal(split.y, split.factors[:, 0])
        seen.append(torch.cat([split.x for split in found.splits().values()]).sum(0))
    assert torch.equal(*seen)  # another split, the same images
    everything, *_ = data.load_all(Data(source="sprites", images=500, size=16), None)
    assert everything.factors is not None
    assert np.array_equal(render(everything.factors.numpy(), 16), everything.x.numpy())


def test_a_run_finds_them_from_anywhere() -> None:
    settings = Data(source="sprites")
    assert data.anchored(settings) == settings
    with pytest.raises(UserError, match="did you mean 'sprites'"):
        data.load(msgspec.structs.replace(settings, source="sprite"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("size", 15), ("size", 257), ("size", "big"), ("images", 0), ("images", COUNT + 1)],
)
def test_silly_sizes_are_refused(setting: str, value: int | str) -> None:
    with pytest.raises(
        UserError, match=rf"data.{setting}: expected int.*, got {value!r}; the default is"
    ):
        vaelab.recipe("quickstart", {"data.source": "sprites", f"data.{setting}": value})


# --- files with factors ---------------------------------------------------------------------------


def test_the_published_file_loads_without_unpickling(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(0), 60
    classes = np.stack(
        [np.zeros(n, int), *(rng.integers(count, size=n) for count in FACTORS.values())], 1
    )
    classes[0, 1:] = np.array(list(FACTORS.values())) - 1
    imgs = rng.integers(2, size=(n, 64, 64)).astype(np.uint8)
    imgs[:, 0, :6] = classes
    imgs = imgs & 1
    metadata = np.array({"date": "April 2017"}, dtype=object)  # the published file has one, pickled
    np.savez(
        tmp_path / "dsprites.npz",
        metadata=metadata,
        imgs=imgs,
        latents_classes=classes,
        latents_values=classes,
    )
    found = data.load(Data(source=str(tmp_path / "dsprites.npz")))
    assert (found.shape, found.levels, found.factors) == ((64, 64), 2, FACTORS)
    for split in found.splits().values():
        assert split.factors is not None
        assert split.y is not None
        assert torch.equal(split.x[:, 0, 1:6].long(), split.factors & 1)
        assert torch.equal(split.y, split.factors[:, 0])


def test_factors_of_ones_own(tmp_path: Path) -> None:
    factors = np.stack([np.arange(40) % 4, np.arange(40) // 4], 1).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", x=np.repeat(factors, 3, 1).astype(float), factors=factors)
    found = data.load(Data(source=str(tmp_path / "mine.npz")))
    assert found.factors == {"1": 4, "2": 10}
    for split in found.splits().values():
        assert split.y is None
        assert split.factors is not None
        assert torch.equal(split.x[:, ::3].long(), split.factors)


def test_data_without_factors_have_none() -> None:
    found = data.load(Data(source="digits"))
    assert found.factors is None
    assert all(split.factors is None for split in found.splits().values())


X = np.ones((6, 2))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        (
            {"x": X, "factors": np.zeros(6, int)},
            r"factors: shape \(6,\) for 6 images; store \(N, F\)",
        ),
        ({"x": X, "factors": np.zeros((5, 2), int)}, r"factors: shape \(5, 2\) for 6 images"),
        ({"x": X, "factors": np.zeros((6, 0), int)}, r"factors: shape \(6, 0\) for 6 images"),
        (
            {"x": X, "factors": np.full((6, 1), 0.5)},
            "factors: not whole numbers from 0 on; number the values",
        ),
        ({"x": X, "factors": np.full((6, 1), -1)}, "factors: not whole numbers from 0 on"),
        (
            {"x": X, "x_test": X, "factors": np.zeros((6, 1), int)},
            "factors beside x_test; leave x_test out",
        ),
        (
            {"imgs": X, "latents_classes": np.zeros((6, 4), int)},
            r"shape \(4, 5\) for 6 images|labels of shape \(4,\)",
        ),
        ({"imgs": X, "latents_classes": np.zeros((6, 5), float)}, "labels of shape|not a readable"),
        ({"imgs": X, "latents_classes": np.zeros((7, 5), int)}, "not a readable .npz file"),
    ],
)
def test_mistakes_in_files_with_factors(
    tmp_path: Path, arrays: dict[str, Array], says: str
) -> None:
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(UserError, match=says) as caught:
        data.load(Data(source=str(tmp_path / "mine.npz")))
    assert "\n" not in str(caught.value)
