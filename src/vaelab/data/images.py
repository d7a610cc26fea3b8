"""Folders of images: splits and classes by folder, upright, on white, of one size."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from vaelab import devices
from vaelab.data.dataset import Arrays, spread
from vaelab.data.folders import part_of, splits
from vaelab.data.reading import classes, named, natural, reading
from vaelab.data.schema import Array
from vaelab.data.storage import MEMORY, Storage
from vaelab.errors import UserError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
CHUNK = 64  # images that a thread reads at once
LOOKED = 200  # images whose size tells what a folder contains
LARGEST = 2**25  # pixels of an image; they are counted before any is decoded
TOP = 65535  # the highest level of 16 bits
ORIENTATION = 0x0112  # the EXIF tag that says how a photo is to be turned


class Header(NamedTuple):
    """What the first bytes of an image file say."""

    size: tuple[int, int]  # height and width when upright
    colour: bool
    deep: bool  # more than 8 bits a channel
    reduced: bool  # so, but of a kind of which Pillow reads the upper 8 bits
    turned: bool
    transparent: bool
    frames: int


class Form(NamedTuple):
    """What all images of a folder become."""

    shape: tuple[int, ...]  # (H, W) or (3, H, W)
    deep: bool
    resize: int

    @property
    def colour(self) -> bool:
        return len(self.shape) == 3


def read_images(folder: Path, resize: int = 0, storage: Storage = MEMORY) -> Arrays:
    """The images of a folder by name: x (N, H, W) or (N, 3, H, W), uint8 or uint16.

    Sub-folders called train, val or test are splits; other sub-folders are classes, in a split or
    not. With `resize` the shorter side becomes that long and the centre is cut out. 16 bits a
    channel stay where all images have them. Raises
    `UserError` where folders are mixed up, where a class has no readable image, or where sizes
    differ.
    """
    notes: list[str] = []
    parts = {name: part_of(place, notes) for name, place in splits(folder, notes).items()}
    headers = {path: _header(path) for part in parts.values() for path in part.paths}
    form = _common(folder, headers, resize)
    notes += _remarks(headers, form)
    arrays = {name: _load(part.paths, form, storage) for name, part in parts.items()}
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
    return sorted({h.size for h in headers}), any(h.colour for h in headers)


def _header(path: Path) -> Header:
    with reading(path, "image"), Image.open(path, formats=FORMATS) as image:
        height, width = image.height, image.width
        if height * width > LARGEST:
            raise UserError(f"{path}: {height} x {width} pixels are too many; make it smaller")
        coding = [str(tile[3]) for tile in image.tile]  # before getexif, which may decode
        turned = image.getexif().get(ORIENTATION, 1)
        if turned in (5, 6, 7, 8):
            height, width = width, height
        deep_grey = image.mode in ("I", "F") or image.mode.startswith("I;")
        transparent = _transparent(image)
        grey = image.mode in ("1", "L", "LA") or (image.mode == "P" and _grey_palette(image))
        coded = any(";16" in way for way in coding)
        deep = deep_grey or any(_swappable(way) for way in coding)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format == "TIFF":
            raise UserError(
                f"{path}: {frames} pages in one file; store each page as an image, or all in a .npy"
            )
        colour = not (deep_grey or grey)
        reduced = coded and not deep
        return Header((height, width), colour, deep, reduced, turned != 1, transparent, frames)


def _transparent(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _grey_palette(image: Image.Image) -> bool:
    """A GIF has no greys, only a palette that may be grey."""
    colours = np.asarray(image.getpalette() or [0, 0, 1]).reshape(-1, 3)
    used = np.unique(np.asarray(image))
    used = used[used < len(colours)]
    return bool((colours[used] == colours[used][:, :1]).all())


def _common(folder: Path, headers: dict[Path, Header], resize: int) -> Form:
    """One form for all: one image in colour, and all are."""
    shallow = next((path for path, header in headers.items() if not header.deep), None)
    grey = next((p for p, header in headers.items() if header.deep and not header.colour), None)
    if shallow and grey:
        raise UserError(
            f"{grey}: more than 8 bits a pixel, {shallow} has 8; convert all to one depth"
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
    colour = any(header.colour for header in headers.values())
    return Form((3, *size) if colour else size, shallow is None, resize)


def _remarks(headers: dict[Path, Header], form: Form) -> list[str]:
    """What was done to the pictures."""
    turned = sum(h.turned for h in headers.values())
    opaque = sum(h.transparent and h.deep and not h.colour for h in headers.values())
    transparent = sum(h.transparent for h in headers.values()) - opaque
    moving = sum(h.frames > 1 for h in headers.values())
    reduced = sum(h.reduced or (h.deep and not form.deep) for h in headers.values())
    grey = sum(not h.colour for h in headers.values())
    notes = [f"{turned} photos are turned upright (EXIF)"] if turned else []
    notes += [f"transparency of {transparent} images is put on white"] if transparent else []
    notes += [f"transparency of {opaque} grey images of 16 bits is left out"] if opaque else []
    notes += [f"{reduced} images of 16 bits are read with 8 bits"] if reduced else []
    if form.deep and form.colour:
        notes.append("16 bits a channel are kept, as real values from 0 to 65,535")
    notes += [f"of {moving} animations the first frame is taken"] if moving else []
    if form.colour and grey:
        notes.append(f"{grey} grey images are read as colour like the others")
    resize = form.resize
    if resize and {h.size for h in headers.values()} != {(resize, resize)}:
        notes.append(
            f"resized so that the shorter side has {resize} pixels, and cut to the central square"
        )
    return notes


def _load(paths: Sequence[Path], form: Form, storage: Storage) -> Array:
    """The images (N, *shape), each read into its place."""
    with reading(paths[0].parent, "folder"):
        x = storage.empty((len(paths), *form.shape), np.uint16 if form.deep else np.uint8)
    pixels = _deep_pixels if form.deep else _pixels

    def fill(start: int) -> None:
        for i, path in enumerate(paths[start : start + CHUNK], start):
            with named(path, "image"):
                x[i] = pixels(path, form)

    # Pillow decodes and resizes without Python's lock, so threads use all cores.
    pool = ThreadPoolExecutor(devices.cores(), "vaelab reads images")
    try:
        with reading(paths[0].parent, "folder"):
            starts = range(0, len(paths), CHUNK)
            for _ in storage.counted(pool.map(fill, starts), "images", len(starts)):
                pass  # `fill` writes into x; here its errors are raised
    finally:
        pool.shutdown(cancel_futures=True)
    return x


def _pixels(path: Path, form: Form) -> Array:
    """(H, W) or (3, H, W) of 8 bits: upright, on white, of the wanted size."""
    with Image.open(path, formats=FORMATS) as image:
        upright = ImageOps.exif_transpose(image)
    if _transparent(upright):
        coloured = upright.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        upright = Image.alpha_composite(white, coloured)
    upright = upright.convert("RGB" if form.colour else "L")
    if form.resize:
        upright = _fitted(upright, form)
    found = np.asarray(upright)
    return np.moveaxis(found, -1, 0) if form.colour else found


def _deep_pixels(path: Path, form: Form) -> Array:
    """(H, W) or (3, H, W) of 16 bits, as `_pixels`."""
    values = _levels(path)
    if values.shape[-1] in (2, 4) and values.ndim == 3:
        alpha = values[..., -1:] / TOP
        values = values[..., :-1] * alpha + TOP * (1 - alpha)
    channels = [values] if values.ndim == 2 else [*np.moveaxis(values, -1, 0)]
    if form.resize:
        pictures = [Image.fromarray(channel.astype(np.float32)) for channel in channels]
        channels = [np.asarray(_fitted(picture, form)) for picture in pictures]
    levels = np.stack(channels).clip(0, TOP).round()
    return np.broadcast_to(levels, form.shape) if form.colour else levels[0]


def _fitted(image: Image.Image, form: Form) -> Image.Image:
    return ImageOps.fit(image, (form.resize,) * 2, Image.Resampling.LANCZOS)


def _levels(path: Path) -> Array:
    """The levels of 16 bits of a file, upright: (H, W), or (H, W, C).

    Pillow reads the upper byte of a channel of colours. The lower one is what it takes for the
    upper byte where it is told the other order of bytes.
    """
    with Image.open(path, formats=FORMATS) as image:
        coded = any(_swappable(str(tile[3])) for tile in image.tile)
        upper = np.asarray(ImageOps.exif_transpose(image))
    if not coded:
        if upper.min() < 0 or upper.max() > TOP or (upper != upper.round()).any():
            raise UserError(
                f"{path}: its values are not levels from 0 to 65,535; store the images in a .npy"
            )
        return upper
    with Image.open(path, formats=FORMATS) as image:
        image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]
        lower = np.asarray(ImageOps.exif_transpose(image))
    levels: Array = upper.astype(np.uint16) * 256 + lower
    return levels


def _swappable(way: str) -> bool:
    """Whether a Pillow decoder can be told the other order of the bytes of a channel."""
    return "RGB;16" in way or "RGBA;16" in way


def _swapped(args: Any) -> Any:
    """The arguments of a Pillow decoder with the other order of bytes.

    >>> _swapped("RGB;16B"), _swapped(("RGBA;16L", 0, 1))
    ('RGB;16L', ('RGBA;16B', 0, 1))
    """
    if isinstance(args, tuple):
        return (_swapped(args[0]), *args[1:])
    order = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    return args[:-1] + order[args[-1]]
