"""Sprites: white shapes on black with known factors, rendered here: no download is needed.

The factors are those of dSprites (Matthey, Higgins, Hassabis & Lerchner, dSprites: disentanglement
testing sprites dataset, 2017, github.com/google-deepmind/dsprites-dataset). As there, a square
looks the same after every quarter turn and an ellipse after every half turn. Rotation goes around
without repeating its first angle, and edges are anti-aliased, so that small images too tell
neighbouring values apart.
"""

from __future__ import annotations

import math

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.schema import Array
from vaelab.recipes import Data
from vaelab.seeding import numpy_generator

FACTORS = {"shape": 3, "scale": 6, "rotation": 40, "x": 32, "y": 32}  # how many values each has
COUNT = math.prod(FACTORS.values())  # 737,280 images
RADIUS = (
    14 / 64
)  # of the circle about its centroid that holds a shape at its largest, in sides of the image

HEART_UP = (
    (math.pi + 4 / 3) / (math.pi + 4) / math.sqrt(2)
)  # height of a heart's centroid above its square's centre
HEART = 1 / (
    math.sqrt(2) + HEART_UP
)  # half a side of that square, for a tip at 1 from the centroid


def load(settings: Data) -> Arrays:
    """The first `images` in one fixed random order: (N, size, size), labelled by shape."""
    index = numpy_generator(0, "sprites").permutation(COUNT)[: settings.images]
    factors = np.stack(np.unravel_index(index, tuple(FACTORS.values())), 1)  # (N, 5)
    x = [
        render(factors[start : start + 256], settings.size) for start in range(0, len(factors), 256)
    ]  # fits a cache
    return Arrays(
        np.concatenate(x), factors[:, 0], levels=256, factors=factors, names=tuple(FACTORS)
    )


def render(factors: Array, size: int) -> Array:
    """Images (N, size, size) uint8 of factor indices (N, 5): white where a shape covers a pixel.

    Shapes are square, ellipse and heart; scale goes from half to full size, rotation anticlockwise
    in steps of 9 degrees, x to the right and y down over the middle half of the image, so that
    nothing is cut off.
    """
    shape, scale, rotation, x, y = factors.T[:, :, None, None]  # (N, 1, 1) each
    centres = (np.arange(size) + 0.5) / size
    right, up = (
        centres - (0.25 + x / 62),
        (0.25 + y / 62) - centres[:, None],
    )  # (N, 1, size), (N, size, 1)
    angle, radius = rotation * (2 * math.pi / 40), RADIUS * (0.5 + scale / 10)
    parts = (right, up, np.cos(angle) / radius, np.sin(angle) / radius, radius * size)
    right, up, cos, sin, pixels = (
        part.astype(np.float32) for part in parts
    )  # no machine's own last digit is left
    u, v = cos * right + sin * up, cos * up - sin * right  # along the shape's own axes, in radii
    distance = np.empty_like(u)
    for number, outside in enumerate((_square, _ellipse, _heart)):
        these = shape[:, 0, 0] == number
        distance[these] = outside(u[these], v[these])
    covered = np.clip(0.5 - distance * pixels, 0, 1)  # exact for an edge along the pixels
    images: Array = np.rint(255 * covered).astype(np.uint8)
    return images


def _square(u: Array, v: Array) -> Array:
    """How far outside the square whose corners are at 1; inside, negative."""
    distance: Array = np.maximum(abs(u), abs(v)) - math.sqrt(0.5)
    return distance


def _ellipse(u: Array, v: Array) -> Array:
    """How far outside the ellipse of half axes a = 1, b = 0.6, to first order: f / |grad f|.

    f = (u/a)^2 + (v/b)^2 - 1
    """
    gradient = 2 * np.sqrt(u**2 + (v / 0.36) ** 2)
    distance: Array = (u**2 + (v / 0.6) ** 2 - 1) / np.maximum(gradient, 1e-6)
    return distance


def _heart(u: Array, v: Array) -> Array:
    """How far outside the heart: a square on its tip, half a disc on each upper side."""
    v = v + HEART_UP * HEART
    p, q = (
        (v + abs(u)) * math.sqrt(0.5),
        (v - abs(u)) * math.sqrt(0.5),
    )  # across the upper side and along it
    disc = np.sqrt((p - HEART) ** 2 + q**2) - HEART
    distance: Array = np.minimum(np.maximum(abs(p), abs(q)) - HEART, disc)
    return distance
