"""Folders of images as people have them: splits, classes, photos, transparency, odd files."""

from __future__ import annotations

import struct
from pathlib import Path
from zlib import compress, crc32

import numpy as np
import pytest
from PIL import Image

from vaelab import data
from vaelab.errors import UserError
from vaelab.recipes import Data

RED = np.full((12, 9, 3), (200, 60, 60), np.uint8)


def put(path: Path, pixels: np.ndarray = RED, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def load(folder: Path, **settings: object) -> data.Dataset:
    return data.load(Data(source=str(folder), **settings))


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "Testing"), ("train", "dev", "test")]
)
@pytest.mark.parametrize("classes", [(), ("cat", "dog")])
def test_folders_of_splits_are_splits(
    tmp_path: Path, names: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    for name, count in zip(names, (12, 4, 6), strict=True):
        for i in range(count):
            put(tmp_path.joinpath(name, *classes[i % 2 : i % 2 + 1], f"{i}.png"))
    found = load(tmp_path)
    assert [len(split.x) for split in found.splits().values()] == [12, 4, 6]
    assert found.class_names == classes
    assert "splits by folder" in found.notes[0]


def test_without_a_folder_for_validation_it_is_held_out_of_training(tmp_path: Path) -> None:
    for name, count in (("train", 20), ("test", 6)):
        for i in range(count):
            put(tmp_path / name / f"{i}.png")
    assert [len(s.x) for s in load(tmp_path).splits().values()] == [18, 2, 6]


def test_a_folder_beside_the_splits_is_refused(tmp_path: Path) -> None:
    for name in ("train", "test", "cat"):
        put(tmp_path / name / "0.png")
    with pytest.raises(UserError, match="cat beside train: is it a class or a split"):
        load(tmp_path)


@pytest.mark.parametrize("tag", range(1, 9))
def test_photos_come_upright(tmp_path: Path, tag: int) -> None:
    """Written as a camera does: the pixels turned, and the tag that says how to turn them back."""
    upright = np.zeros((12, 8, 3), np.uint8)
    upright[:6] = 250
    upright[:, :4, 0] = 120
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[tag]  # PIL's transposes, inverted
    image = Image.fromarray(upright)
    if back is not None:
        image = image.transpose(Image.Transpose(back))
    tags = Image.Exif()
    tags[0x0112] = tag
    for i in range(3):
        image.save(tmp_path / f"{i}.png", exif=tags)
    found = load(tmp_path, test=0, validation=0)
    np.testing.assert_array_equal(found.train.x[0].numpy(), np.moveaxis(upright, 2, 0))
    assert (tag == 1) != ("turned upright" in " ".join(found.notes))


def test_hidden_colours_under_transparent_pixels_do_not_come_out(tmp_path: Path) -> None:
    pixels = np.zeros((6, 6, 4), np.uint8)
    pixels[..., 1] = 255  # green,
    pixels[:3, :, 3] = 255  # seen in the upper half only
    put(tmp_path / "0.png", pixels)
    found = load(tmp_path, test=0, validation=0)
    assert (found.train.x[0, :, 3:] == 255).all()
    assert found.train.x[0, :, 0, 0].tolist() == [0, 255, 0]
    assert "put on white" in found.notes[0]


@pytest.mark.parametrize("suffix", ["tif", "TIFF", "JPG", "webp", "bmp"])
def test_every_usual_kind_of_file_is_read(tmp_path: Path, suffix: str) -> None:
    put(tmp_path / f"0.{suffix}")
    assert load(tmp_path, test=0, validation=0).shape == (3, 12, 9)


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    levels = np.arange(0, 60000, 600, dtype=np.uint16).reshape(10, 10)
    put(tmp_path / "0.png", levels)
    found = load(tmp_path, test=0, validation=0)
    np.testing.assert_array_equal(found.train.x[0].numpy(), levels.astype(np.float32))


def test_what_is_no_image_is_skipped_and_counted(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        put(tmp_path / name / "0.png")
        put(tmp_path / name / "inner" / "1.png")
    for name in ("cat/notes.txt", "readme.md", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_text("words")
    (tmp_path / "empty").mkdir()
    found = load(tmp_path, test=0, validation=0)
    assert len(found.train.x) == 4
    assert found.class_names == ("cat", "dog")
    for said in (", other files: 1 (.md)", "skipped in cat, other files: 1", "empty folder empty"):
        assert said in found.notes[0]


def test_a_class_is_never_lost_in_silence(tmp_path: Path) -> None:
    put(tmp_path / "cat" / "0.png")
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "0.dcm").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"dog: contains no image that can be read \(found 0.dcm\)"):
        load(tmp_path)


def test_images_of_several_sizes_are_cut_to_squares_on_request(tmp_path: Path) -> None:
    put(tmp_path / "0.png")
    put(tmp_path / "1.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(UserError, match=r"set data\.resize to 9"):
        load(tmp_path)
    found = load(tmp_path, resize=9, test=0, validation=0)
    assert found.shape == (3, 9, 9)
    assert "cut to the central square" in found.notes[0]


def test_classes_are_numbered_in_natural_order(tmp_path: Path) -> None:
    for name in ("c10", "c2", "c1"):
        put(tmp_path / name / "0.png")
    assert load(tmp_path, test=0, validation=0).class_names == ("c1", "c2", "c10")


def test_test_images_are_found_below_the_folder_of_an_archive(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("test", 3)):
        for kind in ("cat", "dog"):
            for i in range(count):
                put(tmp_path / "archive" / "pets" / split / kind / f"{i}.png")
    found = load(tmp_path, validation=0)
    assert (len(found.train.x), len(found.test.x)) == (12, 6)
    assert found.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    "folders",
    [
        ("training_set", "test_set"),
        ("train2017", "test2017"),
        ("seg_train/seg_train", "seg_test"),
        ("TrainSet", "TestSet"),
        ("trainset", "testset"),
    ],
)
def test_longer_names_of_splits_are_splits(tmp_path: Path, folders: tuple[str, str]) -> None:
    for folder, count in zip(folders, (6, 3), strict=True):
        for i in range(count):
            put(tmp_path / folder / f"{i}.png")
    found = load(tmp_path, validation=0)
    assert (len(found.train.x), len(found.test.x), found.class_names) == (6, 3, ())


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (("cat/train", "cat/test", "dog/train"), "a split within cat"),
        (("test", "images"), "a folder test, none for training"),
        (("test",), "a folder test, none for training"),
        (("seg_train/a", "seg_test/a", "seg_pred"), "seg_pred beside seg_train: is it a class"),
        (("trainA", "trainB", "testA", "testB"), "are both for (train|test); keep one"),
    ],
)
def test_folders_that_would_train_on_test_images_are_refused(
    tmp_path: Path, folders: tuple[str, ...], says: str
) -> None:
    for folder in folders:
        for i in range(4):
            put(tmp_path / folder / f"{i}.png")
    with pytest.raises(UserError, match=says):
        load(tmp_path)


def test_a_test_folder_without_classes_is_read_and_that_is_said(tmp_path: Path) -> None:
    for folder in ("train/cat", "train/dog", "test"):
        for i in range(4):
            put(tmp_path / folder / f"{i}.png")
    found = load(tmp_path, validation=0)
    assert found.train.y is not None
    assert found.test.y is None
    assert "the test images have no classes" in found.notes[0]


def test_sixteen_bits_are_resized_within_their_range(tmp_path: Path) -> None:
    for i in range(4):
        put(tmp_path / f"{i}.png", np.kron(np.eye(4), np.full((6, 6), 65535)).astype(np.uint16))
    found = load(tmp_path, resize=9, test=0, validation=0)
    assert found.shape == (9, 9)
    assert float(found.train.x.max()) <= 65535


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (8000, 8000)).save(tmp_path / "0.png")
    with pytest.raises(UserError, match="8000 x 8000 pixels are too many"):
        load(tmp_path, resize=16)


def deep_png(path: Path, pixels: np.ndarray) -> None:
    """A PNG of 16 bits a channel, which Pillow does not write: pixels (H, W, 2 to 4) uint16."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc32(kind + body))

    height, width, channels = pixels.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    data = chunk(b"IDAT", compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + data)


def deep_tiff(path: Path, pixels: np.ndarray, order: str, packed: bool) -> None:
    """A TIFF of 16 bits a channel in one strip, deflated if packed: pixels (H, W, 3) uint16."""
    height, width, channels = pixels.shape
    at = 8 + 2 + 12 * 9 + 4  # after the directory
    strip = pixels.astype(f"{order}u2").tobytes()
    strip, compression = (compress(strip), 8) if packed else (strip, 1)
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, at), (259, 3, 1, compression),
        (262, 3, 1, 2), (273, 4, 1, at + 6), (277, 3, 1, channels), (278, 3, 1, height),
        (279, 4, 1, len(strip)),
    ]  # fmt: skip
    body = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        body += struct.pack(f"{order}HHI" + ("H2x" if short else "I"), tag, kind, count, value)
    depths = struct.pack(f"{order}3H", 16, 16, 16)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    path.write_bytes(head + body + bytes(4) + depths + strip)


@pytest.mark.parametrize("kind", ["png", "little.tif", "big.tif", "packed.tif"])
def test_sixteen_bit_colours_stay(tmp_path: Path, kind: str) -> None:
    pixels = np.arange(0, 65520, 546, dtype=np.uint16).reshape(8, 5, 3)
    path = tmp_path / f"0.{kind}"
    if kind == "png":
        deep_png(path, pixels)
    else:
        deep_tiff(path, pixels, "<" if kind == "little.tif" else ">", kind == "packed.tif")
    found = load(tmp_path, test=0, validation=0)
    assert found.levels is None
    np.testing.assert_array_equal(found.train.x[0].numpy(), np.moveaxis(pixels, 2, 0))
    assert "16 bits a channel are kept" in found.notes[0]


def test_sixteen_bit_colours_are_resized_on_white(tmp_path: Path) -> None:
    pixels = np.full((12, 8, 4), 30001, np.uint16)
    pixels[..., 3] = 65535
    pixels[:6, :, 3] = 0
    deep_png(tmp_path / "0.png", pixels)
    found = load(tmp_path, resize=4, test=0, validation=0)
    assert found.shape == (3, 4, 4)
    assert (found.train.x[0, :, 0] == 65535).all()
    assert (found.train.x[0, :, -1] - 30001).abs().max() < 1500  # ringing at the edge
    assert "put on white" in found.notes[0]


def test_sixteen_bit_colours_beside_others_are_read_with_eight_and_that_is_said(
    tmp_path: Path,
) -> None:
    deep_png(tmp_path / "0.png", np.full((12, 9, 3), 40000, np.uint16))
    put(tmp_path / "1.png")
    found = load(tmp_path, test=0, validation=0)
    assert found.levels == 256
    assert (found.train.x[0] == 40000 // 256).all()
    assert "1 images of 16 bits are read with 8 bits" in found.notes[0]


def test_sixteen_bits_of_grey_with_alpha_are_read_with_eight_and_that_is_said(
    tmp_path: Path,
) -> None:
    pixels = np.full((4, 4, 2), 65535, np.uint16)
    pixels[..., 0] = 40000
    deep_png(tmp_path / "0.png", pixels)
    found = load(tmp_path, test=0, validation=0)
    assert (found.train.x == 40000 // 256).all()
    assert "1 images of 16 bits are read with 8 bits" in found.notes[0]


def test_palettes_grey_with_alpha_and_one_bit_are_read_as_they_look(tmp_path: Path) -> None:
    colours = Image.fromarray(RED).quantize(4)
    colours.save(tmp_path / "0.png")
    colours.save(tmp_path / "1.gif")
    see_through = np.stack([np.full((12, 9), 40), np.zeros((12, 9))], -1).astype(np.uint8)
    Image.fromarray(see_through, "LA").save(tmp_path / "2.png")
    Image.new("1", (9, 12), 1).save(tmp_path / "3.tif")
    found = load(tmp_path, test=0, validation=0).train.x
    for i in range(2):
        np.testing.assert_array_equal(found[i].numpy(), np.moveaxis(RED, 2, 0))
    assert (found[2:] == 255).all()


def test_classes_whose_names_contain_such_words_are_classes(tmp_path: Path) -> None:
    for folder in ("toy train", "test tube", "strain", "ball"):
        for i in range(4):
            put(tmp_path / folder / f"{i}.png")
    assert load(tmp_path).class_names == ("ball", "strain", "test tube", "toy train")


def test_images_of_16_bits_with_a_transparent_level_are_read(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 200
    for i in range(12):
        Image.fromarray(levels).save(tmp_path / f"{i}.png", transparency=0)
    found = load(tmp_path)
    np.testing.assert_array_equal(found.train.x[0].numpy(), levels.astype("f4"))
    assert "transparency of 12 grey images of 16 bits is left out" in found.notes[0]
