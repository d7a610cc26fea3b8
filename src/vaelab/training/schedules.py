"""Schedules: functions of time alone, so a checkpoint holds nothing about them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from vaelab.errors import UserError
from vaelab.recipes import NUMBERS, Objective, Train, code


def numbers(settings: Objective, time: float, epochs: int) -> dict[str, float]:
    """The weights of an objective after `time` epochs (a fraction counts) of `epochs`.

    Those that `settings.grows` names are multiplied by a ramp from 0 to 1; the others are constant.

    >>> numbers(Objective(beta=4.0, warmup=10.0), 5.0, 20)["beta"]
    2.0
    """
    share = ramp(settings, time, epochs)
    return {
        name: getattr(settings, name) * (share if name in settings.grows else 1) for name in NUMBERS
    }


def ramp(settings: Objective, time: float, epochs: int) -> float:
    """The share, in [0, 1], of its value that a growing weight has after `time` epochs of `epochs`.

    Linear warm-up: min(1, time / warmup) (Bowman et al. 2016, arXiv:1511.06349). Cyclical: each
    of the cycles rises over its first half and stays at 1 over its second (Fu et al. 2019,
    arXiv:1903.10145).

    >>> ramp(Objective(warmup=10.0), 5.0, 20)
    0.5
    """
    if settings.warmup:
        return min(1.0, time / settings.warmup)
    if settings.cycles:
        return min(1.0, 2.0 * ((time * settings.cycles / epochs) % 1.0))
    return 1.0


def learning_rate(settings: Train) -> Callable[[float], float]:
    """The learning rate as a function of the fraction, in [0, 1), of all steps that is done.

    A training asks for it once, so a file that changes meanwhile does not change its schedule.

    >>> learning_rate(Train(learning_rate=1e-3, schedule="cosine"))(0.5)
    0.0005
    """
    return partial(code("train.schedule", settings.schedule), settings.learning_rate)


def check(settings: Train) -> None:
    """Raise `UserError` if a custom schedule leaves [0, train.learning_rate]."""
    if ".py:" not in settings.schedule:
        return
    peak, rate_at = settings.learning_rate, learning_rate(settings)
    for progress in (i / 1000 for i in range(1000)):
        rate = rate_at(progress)
        if not 0 <= rate <= peak * (1 + 1e-9):
            raise UserError(
                f"train.schedule: {settings.schedule} gives the learning rate {rate:g} at progress "
                f"{progress:g}; return values from 0 to the peak {peak:g}"
            )


def constant(peak: float, progress: float) -> float:
    """The same rate from the first step to the last."""
    return peak


def cosine(peak: float, progress: float) -> float:
    """lr (1 + cos(pi progress)) / 2, to 0 at the end.

    Loshchilov & Hutter, SGDR, 2017, arXiv:1608.03983.
    """
    return _cosine(peak, 0.0, progress)


def linear(peak: float, progress: float) -> float:
    """lr (1 - progress), to 0 at the end.

    Defazio et al., Optimal linear decay learning rate schedules, 2023, arXiv:2310.07831.
    """
    return peak * (1 - progress)


def one_cycle(peak: float, progress: float) -> float:
    """From lr / 25 up over the first 30 %, then down to almost 0, both along a cosine.

    Smith & Topin, Super-convergence, 2018, arXiv:1708.07120.
    """
    start, rise = peak / 25, 0.3
    if progress < rise:
        return _cosine(start, peak, progress / rise)
    return _cosine(peak, start * 1e-4, (progress - rise) / (1 - rise))


def warmup_stable_decay(peak: float, progress: float) -> float:
    """From lr / 25 up to lr over the first 5 %, there up to 60 %, then down to 0, straight lines.

    Haegele et al., Scaling laws and compute-optimal training beyond fixed training durations, 2024,
    arXiv:2405.18392.
    """
    start, rise, fall = peak / 25, 0.05, 0.6
    if progress < rise:
        return start + (peak - start) * progress / rise
    return peak * min(1.0, (1 - progress) / (1 - fall))


def _cosine(begin: float, end: float, progress: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * progress)) / 2
