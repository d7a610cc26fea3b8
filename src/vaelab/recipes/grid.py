"""The axes of a sweep, and the recipes of its runs: every combination of values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple, get_args, get_origin

from vaelab.errors import UserError
from vaelab.recipes.reading import check_name, override
from vaelab.recipes.schema import Field, Recipe, fields

MOST = 1000  # runs of a sweep: more are a slip of the keyboard
LONGEST = 100  # characters of a name, which is that of a folder
WIDE = 10  # a range whose ends differ by more than this factor is searched on a logarithmic scale

Over = Mapping[str, str | Sequence[Any]]  # setting -> values, as a sequence or as on a command line


class Values(NamedTuple):
    """A setting and the values that it takes."""

    key: str
    values: tuple[Any, ...]


class Range(NamedTuple):
    """A setting and the ends of the range from which a search takes its values."""

    key: str
    low: float
    high: float
    whole: bool

    @property
    def log(self) -> bool:
        """Whether the range is searched on a logarithmic scale."""
        return self.low > 0 and self.high > WIDE * self.low


Axis = Values | Range


def axes(recipe: Recipe, over: Over) -> list[Axis]:
    """Read what varies, and check that the recipe takes each of the values.

    Text is split at commas, or at semicolons if there are any, as values such as 512,256 have
    commas themselves; ``LOW..HIGH`` is the range of a number.

    >>> axes(Recipe(), {"objective.beta": "0.5,1", "train.learning_rate": "1e-4..1e-2"})
    [Values(key='objective.beta', values=(0.5, 1.0)), \
Range(key='train.learning_rate', low=0.0001, high=0.01, whole=False)]

    Raises:
        UserError: There is no such setting, or it does not take a value, or has none or one twice.
    """
    known = {field.key: field for field in fields()}
    ends = [_axis(check_name(key, known, ""), given) for key, given in over.items()]
    for one in ends:
        for value in (one.low, one.high) if isinstance(one, Range) else one.values:
            override(recipe, {one.key: value})
    return ends


def _axis(field: Field, given: str | Sequence[Any]) -> Axis:
    key = field.key
    if isinstance(given, str):
        low, dots, high = (field.parse(part.strip()) for part in given.partition(".."))
        if dots and field.base in (int, float):
            return _range(key, low, high, field.base is int)
        given = [part.strip() for part in given.split(";" if ";" in given else ",")]
    values = [field.parse(value) if isinstance(value, str) else value for value in given]
    names_alone = get_origin(field.base) is tuple and str in get_args(field.base)
    if not values or ("" in values and not names_alone):
        raise UserError(f"--over {key}: a value is missing; write the values as {key}=A,B")
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        raise UserError(f"--over {key}: has the value {text_of(twice[0])} twice; name each once")
    return Values(key, tuple(values))


def _range(key: str, low: Any, high: Any, whole: bool) -> Range:
    kind = int if whole else (int, float)
    if not (isinstance(low, kind) and isinstance(high, kind) and low < high):
        numbers = "whole numbers" if whole else "numbers"
        raise UserError(
            f"--over {key}: expected a range of {numbers} from low to high, got {low!r} and "
            f"{high!r}; write it as {key}=LOW..HIGH"
        )
    return Range(key, low, high, whole)


def grid(recipe: Recipe, over: Sequence[Axis], seeds: int = 0) -> dict[str, Recipe]:
    """Return the recipes of all combinations by readable names, which are safe for folders.

    >>> runs = grid(Recipe(), [Values("objective.beta", (0.5, 1.0))], seeds=2)
    >>> [*runs]
    ['beta-0.5-seed-42', 'beta-0.5-seed-43', 'beta-1-seed-42', 'beta-1-seed-43']
    """
    axes, first = [_values(one) for one in over], recipe.train.seed
    if seeds:
        axes.append(Values("train.seed", tuple(range(first, first + seeds))))
    keys = [one.key for one in axes]
    if doubled := {key for key in keys if keys.count(key) > 1}:
        raise UserError(f"{min(doubled)}: is varied twice, by --seeds and --over; leave one out")
    if not axes:
        raise UserError("sweep: nothing varies; add --seeds 8 or --over objective.beta=0.5,1,2")
    if (count := prod(len(one.values) for one in axes)) > MOST:
        raise UserError(f"sweep: {count:,} runs are more than {MOST:,}; name fewer values or seeds")
    runs: dict[str, Recipe] = {}
    for values in product(*(one.values for one in axes)):
        settings = dict(zip(keys, values, strict=True))
        runs[_free(name_of(settings), runs)] = override(recipe, settings)
    return runs


def _values(axis: Axis) -> Values:
    if isinstance(axis, Values):
        return axis
    key, low, high = axis.key, axis.low, axis.high
    raise UserError(
        f"--over {key}: a range is for a search; add --search 40, or name values as "
        f"{key}={low:g},{high:g}"
    )


def name_of(settings: Mapping[str, Any]) -> str:
    """The name of a run by the settings that set it apart.

    >>> name_of({"objective.beta": 0.5, "model.hidden": [512, 256], "train.seed": 42})
    'beta-0.5-hidden-512x256-seed-42'
    """
    lasts = [key.partition(".")[2] for key in settings]
    short = len(set(lasts)) == len(lasts)
    words = [f"{last if short else key}-{text_of(value)}"
        for last, (key, value) in zip(lasts, settings.items(), strict=True)]  # fmt: skip
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", "-".join(words))[:LONGEST].rstrip(".")


def setting_of(name: str, seed: int) -> str:
    """The name that all runs of a setting share, whatever their seed; "" where only seeds vary.

    >>> setting_of("beta-0.5-seed-42", 42), setting_of("seed-42", 42)
    ('beta-0.5', '')
    """
    return f"-{name}".removesuffix(f"-seed-{seed}")[1:]


def text_of(value: Any) -> str:
    """A value as a short text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _free(name: str, taken: Iterable[str]) -> str:
    """The name, with a number behind it if another run has it (folders may ignore the case)."""
    used = {other.casefold() for other in taken}
    return next(
        free
        for i in range(1, MOST + 2)
        if (free := f"{name}-{i}" if i > 1 else name).casefold() not in used
    )
