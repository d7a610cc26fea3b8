"""What the rows of a data set are: images, signals or rows of a table."""

from __future__ import annotations

from typing import cast

import numpy as np

from vaelab.data.schema import Array
from vaelab.errors import UserError
from vaelab.recipes.parts import Form

CHANNELS, MANY = 12, 64  # at most, of a signal and of a long one; a wider array is an image
FEATURES = 24  # at most, of a table that was no file of one; a longer row is a signal

LAYOUTS: dict[Form, str] = {
    "image": "(N, H, W), (N, C, H, W) or (N, H, W, C)",
    "signal": "(N, L), (N, C, L) or (N, L, C)",
    "table": "(N, D)",
}


def guess(shape: tuple[int, ...]) -> Form:
    """Return what data of this shape are taken for where neither their source nor a setting tells.

    (D,)        a table of D features, from `FEATURES` on a signal of D steps
    (A, B)      a signal where one side is at most `CHANNELS` and the other 3 times as long, or at
                most `MANY` and 8 times as long (the longer side is time), else an image
    (C, H, W)   an image; a signal of C channels where H or W is 1

    >>> guess((28, 28)), guess((3, 128)), guess((128, 3)), guess((22, 500)), guess((10,))
    ('image', 'signal', 'signal', 'signal', 'table')
    """
    if len(shape) == 1:
        return "table" if shape[0] <= FEATURES else "signal"
    if len(shape) == 2:
        few, long = sorted(shape)
        signal = (few <= CHANNELS and long >= 3 * few) or (few <= MANY and long >= 8 * few)
        return "signal" if signal else "image"
    return "signal" if min(shape[1:]) == 1 < max(shape[1:]) else "image"


def form_of(shape: tuple[int, ...], asked: str, known: Form | None, origin: str) -> Form:
    """Return what rows of this shape are.

    Args:
        shape: The shape of a row, images and channels first.
        asked: The setting ``data.form``.
        known: What the source knows itself to hold, if it does.
        origin: What messages call the source.

    Raises:
        UserError: Rows of this shape cannot be what the setting asks for.
    """
    form = known or guess(shape) if asked == "auto" else cast("Form", asked)
    if not fits(shape, form):
        raise UserError(
            f"data.form: rows of shape {shape} in {origin} are no {form}s, which are stored as "
            f"{LAYOUTS[form]}; store them so, or set data.form to auto"
        )
    return form


def fits(shape: tuple[int, ...], form: Form) -> bool:
    """Return whether rows of this shape can be of the form."""
    match form:
        case "image":
            return len(shape) > 1
        case "signal":
            return len(shape) < 3 or 1 in shape[1:]
        case "table":
            return len(shape) == 1


def channels_first(x: Array, known: bool, notes: list[str]) -> Array:
    """Return signals of any layout as (N, L) or (N, C, L).

    Of (N, A, B) the longer axis is time, unless the channels are known to be the first; of
    (N, C, 1, L) and (N, C, L, 1) the first is that of the channels.
    """
    if x.ndim == 4:
        x = x.reshape(*x.shape[:2], -1)
    elif known:
        pass
    elif x.ndim == 3 and x.shape[1] > x.shape[2]:
        x = np.moveaxis(x, 1, 2)
        notes.append(f"axes (N, time, channels): {x.shape[2]} steps of {x.shape[1]} channels")
    elif x.ndim == 3 and x.shape[1] == x.shape[2]:
        notes.append(f"axes (N, channels, time): both have length {x.shape[1]}")
    return x[:, 0] if x.ndim == 3 and x.shape[1] == 1 else x
