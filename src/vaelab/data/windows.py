"""Windows of a long signal, in contiguous blocks of time: no window reaches into two splits."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.schema import Array
from vaelab.data.storage import MEMORY, Storage
from vaelab.errors import UserError
from vaelab.recipes import Data


def starts(steps: int, window: int, stride: int, *, whole: bool = False) -> Array:
    """Return the first steps of the windows that fit into so many steps.

    If `whole`, one more window covers the last steps.

    >>> starts(11, 4, 3).tolist(), starts(11, 4, 3, whole=True).tolist()
    ([0, 3, 6], [0, 3, 6, 7])
    """
    found = np.arange(0, steps - window + 1, stride)
    return np.union1d(found, [steps - window]) if whole else found


def cut(x: Array, window: int, stride: int) -> Array:
    """Return the windows (N, C, window) of a signal (T, C), as a view of it."""
    return np.lib.stride_tricks.sliding_window_view(x, window, axis=0)[::stride]


def stride_of(settings: Data) -> int:
    """Return the steps from one window to the next: a quarter of a window where none are given."""
    return settings.stride or max(1, settings.window // 4)


def windowed(arrays: Arrays, settings: Data, origin: str, storage: Storage = MEMORY) -> Arrays:
    """Return the windows of a long signal (T,) or (T, C), split in the order of time.

    The last ``data.test`` of the time are for testing, and before them the last
    ``data.validation`` of the rest for validation, where the source has no such sets of its own.
    Raises `UserError` where a block is shorter than a window.
    """
    notes: list[str] = []
    blocks = {"x": series(arrays.x, origin, notes, storage)}
    for key, fraction in (("x_test", settings.test), ("x_validation", settings.validation)):
        own: Array | None = getattr(arrays, key)
        rest, held = blocks["x"], round(fraction * len(blocks["x"]))
        if own is not None:
            blocks[key] = series(own, f"{origin}: {key}", notes, storage)
        elif held:
            blocks |= {"x": rest[:-held], key: rest[-held:]}
    window, stride = settings.window, stride_of(settings)
    for key, block in blocks.items():
        if len(block) < window:
            part = {"x": "training", "x_test": "test", "x_validation": "validation"}[key]
            raise UserError(
                f"data.window: the {len(block):,} {part} steps of {origin} are fewer than a window "
                f"of {window}; set data.window to {max(1, len(block) // 4)}, or hold out another "
                "fraction"
            )
    shares = ", ".join(
        f"{len(blocks[key]):,} {name}"
        for key, name in (("x", "training"), ("x_validation", "validation"), ("x_test", "test"))
        if key in blocks
    )
    notes.append(
        f"windows of {window} steps, one every {stride}, within blocks of time: {shares} steps"
    )
    if arrays.y is not None:
        notes.append("labels of steps are left out")
    found: dict[str, Any] = {
        key: storage.windows(cut(block, window, stride)) for key, block in blocks.items()
    }
    no_labels: dict[str, Any] = dict.fromkeys(("y", "y_validation", "y_test"))
    return arrays._replace(
        class_names=(),
        features=(),
        form="signal",
        channels_first=True,
        notes=(*arrays.notes, *notes),
        **found,
        **no_labels,
    )


def series(x: Array, origin: str, notes: list[str], storage: Storage = MEMORY) -> Array:
    """Return a long signal as (T, C), of real values; its longer axis is time."""
    if x.ndim not in (1, 2):
        raise UserError(
            f"data.window: {origin} has shape {x.shape}, and cuts one long signal (T,) or (T, C); "
            "set data.window to 0 if these are windows already"
        )
    x = x[:, None] if x.ndim == 1 else x
    if x.shape[0] < x.shape[1]:
        x = x.T
        notes.append(f"axes (channels, time): {x.shape[1]} channels of {x.shape[0]:,} steps")
    return storage.real(x) if x.dtype.kind in "biuf" else x
