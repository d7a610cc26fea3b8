"""Folders of images: which of them are splits, and which are classes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vaelab.data.reading import natural, reading, visible
from vaelab.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
WORD = re.compile(
    f"(?<![a-z])({'|'.join(sorted(sum(SPLITS.values(), ()), key=len, reverse=True))})"
    "(?=$|[^a-z]|set|data|images)"
)


class Part(NamedTuple):
    """The images of one split, and the name of each one's class ("" without classes)."""

    paths: list[Path]
    classes: list[str]


def splits(folder: Path, notes: list[str]) -> dict[str, Path]:
    """The folders of the splits; the folder itself as "train" where it has none."""
    folder = _unwrapped(folder)
    entries = visible(folder)
    folders = [entry for entry in entries if entry.is_dir()]
    found: dict[str, list[Path]] = {}
    longer = _longer([entry.name for entry in folders])
    for entry in folders:
        if split := _split(entry.name) or longer.get(entry.name):
            found.setdefault(split, []).append(entry)
    if "train" not in found:
        held = [entry.name for entry in folders if entry.name.lower() in ("test", "val")]
        if held:
            raise UserError(
                f"{folder}: a folder {held[0]}, none for training; call the folder of the training "
                f"images train, or rename {held[0]} if it is a class"
            )
        return {"train": folder}
    for split, places in found.items():
        if len(places) > 1:
            raise UserError(
                f"{folder}: {places[0].name} and {places[1].name} are both for {split}; "
                "keep one of them"
            )
    others = [
        e for e in entries if e.is_dir() and not any(e in places for places in found.values())
    ]
    if others:
        raise UserError(
            f"{folder}: {others[0].name} beside {found['train'][0].name}: is it a class or a "
            "split? "
            "move the classes into the folders of the splits, or rename them"
        )
    loose = [e for e in entries if e.suffix.lower() in SUFFIXES]
    if loose:
        raise UserError(
            f"{folder}: {loose[0].name} lies beside the folders of the splits; "
            "move it into one of them"
        )
    return {split: _unwrapped(places[0]) for split, places in found.items()}


def _split(name: str) -> str | None:
    """The split that a folder is called after."""
    return next((split for split, known in SPLITS.items() if name.lower() in known), None)


def _longer(names: Sequence[str]) -> dict[str, str]:
    """The splits of folders with longer names: seg_train and seg_test, trainA and testA, TestSet.

    Such names count where they differ in nothing but the word for the split, or where all folders
    have one; "toy train" and "test tube" are classes.
    """
    found: dict[str, tuple[str, str]] = {}  # name -> split, the name without its word
    for name in names:
        word = WORD.search(re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower())
        if word and (split := _split(word[0])):
            found[name] = split, f"{word.string[: word.start()]}*{word.string[word.end() :]}"
    if len(found) == len(names) and len({split for split, _ in found.values()}) > 1:
        return {name: split for name, (split, _) in found.items()}
    alike: dict[str, set[str]] = {}
    for split, pattern in found.values():
        alike.setdefault(pattern, set()).add(split)
    return {name: split for name, (split, pattern) in found.items() if {"train"} < alike[pattern]}


def _unwrapped(folder: Path) -> Path:
    """The folder itself, or the one in it where it only wraps others, as archives do."""
    entries = visible(folder)
    if len(entries) != 1 or not entries[0].is_dir() or _split(entries[0].name):
        return folder
    inside = visible(entries[0])
    wrapped = bool(inside) and all(entry.is_dir() for entry in inside)
    same = entries[0].name == folder.name
    return _unwrapped(entries[0]) if wrapped or same else folder


def part_of(folder: Path, notes: list[str]) -> Part:
    """The images of one folder: its own, or those of its sub-folders, which are classes."""
    with reading(folder, "folder"):
        entries = visible(folder)
        loose = [e for e in entries if e.is_file() and e.suffix.lower() in SUFFIXES]
        other = [e for e in entries if e.is_file() and e not in loose]
        classes = {e.name: _below(e) for e in entries if e.is_dir()}
    if other:
        kinds = ", ".join(sorted({e.suffix.lower() or e.name for e in other})[:4])
        notes.append(f"skipped in {folder.name}, other files: {len(other)} ({kinds})")
    filled = {}
    for name, files in classes.items():
        images = [path for path in files if path.suffix.lower() in SUFFIXES]
        if not files:
            notes.append(f"the empty folder {name} is skipped")
        elif not images:
            raise UserError(
                f"{folder / name}: contains no image that can be read (found {files[0].name}); "
                f"convert its files to one of {', '.join(SUFFIXES)}, or move the folder away"
            )
        else:
            filled[name] = images
            if len(images) < len(files):
                notes.append(f"skipped in {name}, other files: {len(files) - len(images)}")
    if loose and filled:
        raise UserError(
            f"{folder}: images beside sub-folders of images; "
            f"move {loose[0].name} and the like into one"
        )
    if not loose and not filled:
        raise UserError(f"{folder}: no usable file; put {', '.join(SUFFIXES)} or IDX files into it")
    if loose:
        return Part(loose, [""] * len(loose))
    order = sorted(filled, key=natural)
    return Part([p for n in order for p in filled[n]], [n for n in order for _ in filled[n]])


def _below(folder: Path) -> list[Path]:
    """All files below a folder, by name."""
    found: list[Path] = []
    for place, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        if (split := next(filter(_split, folders), None)) is not None:
            raise UserError(
                f"{Path(place, split)}: a split within {folder.name}; "
                "put the folders of the splits "
                "above those of the classes (train/CLASS, test/CLASS)"
            )
        found += [entry for entry in visible(Path(place)) if entry.is_file()]
    return sorted(found)
