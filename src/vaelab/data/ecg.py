"""Electrocardiograms, generated: beats whose waves are Gaussians, with a heart rate that varies.

A beat at the time r is the sum over its waves of height exp(-(t - r - centre)^2 / (2 width^2)), as
in McSharry, Clifford, Tarassenko & Smith, A dynamical model for generating synthetic
electrocardiogram signals, 2003, doi:10.1109/TBME.2003.808805. No patient is in these data.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.schema import Array
from vaelab.data.windows import windowed
from vaelab.recipes import Data
from vaelab.seeding import numpy_generator

RATE = 128  # samples a second
MINUTES, WINDOW = 20, 256
NOISE = 0.02  # millivolts, of every sample


class Wave(NamedTuple):
    """One wave of a beat."""

    height: float  # millivolts
    centre: float  # seconds from the R peak at 60 beats a minute
    width: float  # standard deviation in seconds


P, Q, R = Wave(0.12, -0.17, 0.022), Wave(-0.12, -0.028, 0.009), Wave(1.1, 0.0, 0.011)
S, T = Wave(-0.22, 0.03, 0.010), Wave(0.28, 0.26, 0.045)
BEAT = (P, Q, R, S, T)


def load(settings: Data) -> Arrays:
    """`MINUTES` of one lead as windows (N, `WINDOW`), or of ``data.window`` steps."""
    signal = electrocardiogram(60.0 * MINUTES, numpy_generator(0, "ecg"))
    if settings.window:
        return Arrays(signal)
    return windowed(Arrays(signal), msgspec.structs.replace(settings, window=WINDOW), "ecg")


def electrocardiogram(seconds: float, rng: np.random.Generator) -> Array:
    """Return so many seconds of one lead, (T,), in millivolts."""
    signal = background(seconds, rng)
    peaks, lengths = rhythm(seconds, rng)
    for peak, length in zip(peaks, lengths, strict=True):
        add(signal, peak, length, rng)
    return signal


def rhythm(seconds: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the times of the R peaks, and the length of the beat before each, in seconds.

    The length of a beat is 0.85 s, and varies with breathing (0.25 Hz), with the slower waves of
    blood pressure (0.1 Hz), and at random.
    """
    phases, times, lengths = rng.uniform(0, 2 * np.pi, 2), [0.0], [0.85]
    while times[-1] < seconds:
        slow, breath = np.sin(2 * np.pi * np.array([0.1, 0.25]) * times[-1] + phases)
        lengths.append(0.85 + 0.05 * slow + 0.04 * breath + 0.015 * rng.standard_normal())
        times.append(times[-1] + lengths[-1])
    return np.array(times), np.array(lengths)


def background(seconds: float, rng: np.random.Generator) -> Array:
    """Return what there is beside the beats: the baseline, which wanders with breathing; noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    wander = 0.05 * np.sin(2 * np.pi * 0.25 * t + rng.uniform(0, 6))
    wander += 0.03 * np.sin(2 * np.pi * 0.07 * t + rng.uniform(0, 6))
    noise = NOISE * rng.standard_normal(len(t))
    return (wander + noise).astype(np.float32)


def add(
    signal: Array,
    peak: float,
    length: float,
    rng: np.random.Generator,
    waves: tuple[Wave, ...] = BEAT,
) -> None:
    """Add a beat to the signal in place: its R peak at a time, its heights within some per cent.

    The centres of P and T move with the square root of the beat's length (Bazett 1920).
    """
    first, last = (round((peak + side) * RATE) for side in (-0.6, 0.8))
    steps = np.arange(max(0, first), min(len(signal), last))
    t = steps / RATE - peak
    for height, centre, width in waves:
        about = centre * np.sqrt(length) if abs(centre) > 0.1 else centre
        height = height * (1 + 0.05 * rng.standard_normal())
        signal[steps] += height * np.exp(-0.5 * ((t - about) / width) ** 2)
