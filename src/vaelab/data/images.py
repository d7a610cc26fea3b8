"""Folders of images: splits and classes by folder, upright, on white, of one size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from vaelab.data.dataset import Arrays, spread
from vaelab.data.folders import part_of, splits
from vaelab.data.reading import classes, natural, reading
from vaelab.data.schema import Array
from vaelab.errors import UserError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
LOOKED = 200  # images whose size tells what a folder contains
LARGEST = 2**25  # pixels of an image; they are counted before any is decoded
ORIENTATION = 0x0112  # the EXIF tag that says how a photo is to be turned


class Header(NamedTuple):
    """What the first bytes of an image file say."""

    size: tuple[int, int]  # height and width when upright
    kind: str  # grey, colour or deep: more than 8 bits a pixel
    turned: bool
    transparent: bool
    frames: int
    reduced: bool  # 16-bit colours, of which Pillow reads the upper 8 bits


def read_images(folder: Path, resize: int = 0) -> Arrays:
    """The images of a folder by name: x (N, H, W) or (N, 3, H, W), uint8 or uint16.

    Sub-folders called train, val or test are splits; other sub-folders are classes, in a split or
    not. With `resize` the shorter side becomes that long and the centre is cut out. Raises
    `UserError` where folders are mixed up, where a class has no readable image, or where sizes
    differ.
    """
    notes: list[str] = []
    parts = {name: part_of(place, notes) for name, place in splits(folder, notes).items()}
    headers = {path: _header(path) for part in parts.values() for path in part.paths}
    shape, kind = _common(folder, headers, resize)
    notes += _remarks(headers, resize)
    arrays = {name: _load(part.paths, shape, kind, resize) for name, part in parts.items()}
    labels: dict[str, Array | None] = dict.fromkeys(parts)
    names = sorted({c for part in parts.values() for c in part.classes} - {""}, key=natural)
    if "" in parts["train"].classes and names:
        notes.append("the folders of classes are ignored: the training images have none")
        names = []
    if names:
        number = {name: i for i, name in enumerate(names)}
        for split, part in parts.items():
            if "" in part.classes:
                notes.append(f"the {split} images have no classes")
            else:
                labels[split] = np.array([number[name] for name in part.classes])
        counts = Counter(c for part in parts.values() for c in part.classes if c)
        shown = ", ".join(f"{name} {counts[name]}" for name in names[:8])
        more = ", ..." if len(names) > 8 else ""
        notes.append(f"{classes(len(names))} by folder: {shown}{more}")
    if len(parts) > 1:
        found = ", ".join(f"{name} {len(part.paths)}" for name, part in parts.items())
        notes.append(f"splits by folder: {found}")
    return Arrays(
        arrays["train"],
        labels["train"],
        arrays.get("test"),
        labels.get("test"),
        x_validation=arrays.get("validation"),
        y_validation=labels.get("validation"),
        class_names=tuple(names),
        channels_first=True,
        notes=("; ".join(notes),) if notes else (),
    )


def sizes(folder: Path) -> tuple[list[tuple[int, int]], bool]:
    """Heights and widths that occur in a folder, and whether any image is coloured.

    At most `LOOKED` images, evenly spaced, are opened.
    """
    parts = [part_of(place, []) for place in splits(folder, []).values()]
    paths = [path for part in parts for path in part.paths]
    some = [paths[i] for i in spread(len(paths), LOOKED)]
    headers = [_header(path) for path in some]
    return sorted({h.size for h in headers}), any(h.kind == "colour" for h in headers)


def _header(path: Path) -> Header:
    with reading(path, "image"), Image.open(path, formats=FORMATS) as image:
        height, width = image.height, image.width
        if height * width > LARGEST:
            raise UserError(f"{path}: {height} x {width} pixels are too many; make it smaller")
        coding = [str(tile[3]) for tile in image.tile]  # before getexif, which may decode
        turned = image.getexif().get(ORIENTATION, 1)
        if turned in (5, 6, 7, 8):
            height, width = width, height
        deep = image.mode in ("I", "F") or image.mode.startswith("I;")
        transparent = _transparent(image)
        grey = image.mode in ("1", "L", "LA") or (image.mode == "P" and _grey_palette(image))
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format == "TIFF":
            raise UserError(
                f"{path}: {frames} pages in one file; store each page as an image, or all in a .npy"
            )
        kind = "deep" if deep else "grey" if grey else "colour"
        reduced = not deep and any(";16" in way for way in coding)
        return Header((height, width), kind, turned != 1, transparent, frames, reduced)


def _transparent(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _grey_palette(image: Image.Image) -> bool:
    """A GIF has no greys, only a palette that may be grey."""
    colours = np.asarray(image.getpalette() or [0, 0, 1]).reshape(-1, 3)
    used = np.unique(np.asarray(image))
    used = used[used < len(colours)]
    return bool((colours[used] == colours[used][:, :1]).all())


def _common(folder: Path, headers: dict[Path, Header], resize: int) -> tuple[tuple[int, ...], str]:
    """One shape and kind for all: (H, W) or (3, H, W)."""
    kinds = {header.kind: path for path, header in headers.items()}
    if "deep" in kinds and len(kinds) > 1:
        other = next(path for kind, path in kinds.items() if kind != "deep")
        raise UserError(
            f"{kinds['deep']}: more than 8 bits a pixel, {other} has 8; convert all to one depth"
        )
    sizes: dict[tuple[int, int], Path] = {}
    for path, header in headers.items():
        sizes.setdefault(header.size, path)
    if len(sizes) > 1 and not resize:
        found = ", ".join(
            f"{p.relative_to(folder)} has {h} x {w}" for (h, w), p in [*sizes.items()][:2]
        )
        shorter = min(min(size) for size in sizes)
        raise UserError(
            f"{folder}: {found} pixels (height x width); "
            f"set data.resize to {min(64, shorter)} to cut all to one size"
        )
    size = (resize, resize) if resize else next(iter(sizes))
    kind = "colour" if "colour" in kinds else next(iter(kinds))  # one in colour, all in colour
    return (3, *size) if kind == "colour" else size, kind


def _remarks(headers: dict[Path, Header], resize: int) -> list[str]:
    """What was done to the pictures."""
    turned = sum(h.turned for h in headers.values())
    transparent = sum(h.transparent and h.kind != "deep" for h in headers.values())
    opaque = sum(h.transparent and h.kind == "deep" for h in headers.values())
    moving = sum(h.frames > 1 for h in headers.values())
    reduced = sum(h.reduced for h in headers.values())
    kinds = Counter(h.kind for h in headers.values())
    notes = [f"{turned} photos are turned upright (EXIF)"] if turned else []
    notes += [f"transparency of {transparent} images is put on white"] if transparent else []
    notes += [f"transparency of {opaque} images of 16 bits is left out"] if opaque else []
    notes += [f"{reduced} images of 16-bit colour are read with 8 bits"] if reduced else []
    notes += [f"of {moving} animations the first frame is taken"] if moving else []
    if kinds["colour"] and kinds["grey"]:
        notes.append(f"{kinds['grey']} grey images are read as colour like the others")
    sizes = {h.size for h in headers.values()}
    if resize and sizes != {(resize, resize)}:
        notes.append(
            f"resized so that the shorter side has {resize} pixels, and cut to the central square"
        )
    return notes


def _load(paths: Sequence[Path], shape: tuple[int, ...], kind: str, resize: int) -> Array:
    """The images (N, *shape), each read into its place."""
    with reading(paths[0].parent, "folder"):
        x = np.empty((len(paths), *shape), np.uint16 if kind == "deep" else np.uint8)
    for target, path in zip(x, paths, strict=True):
        with reading(path, "image"), Image.open(path, formats=FORMATS) as image:
            pixels = _pixels(path, image, kind, resize)
            target[...] = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
    return x


def _pixels(path: Path, image: Image.Image, kind: str, resize: int) -> Array:
    """(H, W) or (H, W, 3): upright, on white, of the wanted kind and size."""
    upright = ImageOps.exif_transpose(image)
    if _transparent(upright) and kind != "deep":
        coloured = upright.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        upright = Image.alpha_composite(white, coloured)
    if kind == "deep":
        values = np.asarray(upright)
        if values.min() < 0 or values.max() > 65535 or (values != values.round()).any():
            raise UserError(
                f"{path}: its values are not levels from 0 to 65,535; store the images in a .npy"
            )
        if resize:
            size = (resize, resize)
            values = np.asarray(ImageOps.fit(upright.convert("F"), size)).clip(0, 65535).round()
        return values
    upright = upright.convert("RGB" if kind == "colour" else "L")
    if resize:
        upright = ImageOps.fit(upright, (resize, resize), Image.Resampling.LANCZOS)
    return np.asarray(upright)
