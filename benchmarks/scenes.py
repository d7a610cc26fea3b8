"""A folder of generated colour scenes: sky, sun, hills, water, trees and houses, no two alike.

    python benchmarks/scenes.py FOLDER                       # 4,000 scenes of 64 x 64 pixels
    python benchmarks/scenes.py FOLDER --count 500 --size 32

Sub-folders are the times of day, which a conditional model is told. The same seed gives the same
pixels. Scenes are drawn at four times their size and reduced, so edges are smooth.
"""

from __future__ import annotations

import argparse
import colorsys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

FINE = 4  # pixels drawn for a pixel of the scene
Colour = tuple[int, int, int]
TIMES = {  # hue, saturation and value of the zenith and of the horizon, light on the ground
    "dawn": ((0.72, 0.35, 0.65), (0.04, 0.55, 0.98), 0.75),
    "day": ((0.58, 0.65, 0.85), (0.55, 0.15, 1.0), 1.0),
    "dusk": ((0.68, 0.60, 0.40), (0.05, 0.80, 0.95), 0.55),
    "night": ((0.65, 0.70, 0.12), (0.63, 0.60, 0.30), 0.25),
}


def scene(time: str, size: int, rng: np.random.Generator) -> Image.Image:
    """Return a scene at a time of day."""
    zenith, low, light = TIMES[time]
    side = size * FINE
    horizon = int(side * rng.uniform(0.4, 0.75))
    shift = rng.normal(0, 0.015)
    image = _sky(side, horizon, _shifted(zenith, shift, rng), _shifted(low, shift, rng))
    draw = ImageDraw.Draw(image)
    _sun(draw, time, side, horizon, rng)
    for distance in np.sort(rng.uniform(0.2, 1, rng.integers(1, 4)))[::-1]:
        _hill(draw, side, horizon, float(distance), light, rng)
    _ground(draw, side, horizon, light, rng)
    for depth in np.sort(rng.uniform(0, 1, rng.integers(0, 7))):
        thing = _tree if rng.random() < 0.75 else _house
        thing(draw, side, horizon, float(depth), light, rng)
    return image.resize((size, size), Image.Resampling.BOX)


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    parts = colorsys.hsv_to_rgb(hue % 1, min(1, max(0, saturation)), min(1, max(0, value)))
    red, green, blue = (round(255 * part) for part in parts)
    return red, green, blue


def _shifted(
    colour: tuple[float, float, float], shift: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    hue, saturation, value = colour
    return hue + shift, saturation + rng.normal(0, 0.05), value + rng.normal(0, 0.04)


def _sky(
    side: int,
    horizon: int,
    zenith: tuple[float, float, float],
    low: tuple[float, float, float],
) -> Image.Image:
    above, below = np.array(_rgb(*zenith)), np.array(_rgb(*low))
    part = np.linspace(0, 1, side)[:, None] * side / horizon
    rows = above + (below - above) * part.clip(0, 1) ** 1.5
    pixels = np.broadcast_to(rows[:, None], (side, side, 3))
    return Image.fromarray(pixels.round().astype(np.uint8))


def _sun(
    draw: ImageDraw.ImageDraw, time: str, side: int, horizon: int, rng: np.random.Generator
) -> None:
    """The sun, or the moon and stars; low at dawn and dusk."""
    high = {"day": (0.1, 0.5), "night": (0.1, 0.6)}.get(time, (0.7, 1.0))
    x, y = rng.uniform(0.1, 0.9) * side, rng.uniform(*high) * horizon
    radius = rng.uniform(0.04, 0.09) * side
    if time == "night":
        for _ in range(rng.integers(5, 25)):
            at = rng.uniform(0, side), rng.uniform(0, horizon)
            draw.ellipse(
                [*at, at[0] + FINE, at[1] + FINE], fill=_rgb(0.15, 0.1, rng.uniform(0.6, 1))
            )
    fill = {"day": (0.15, 0.35, 1.0), "night": (0.15, 0.08, 0.92)}.get(time, (0.09, 0.6, 1.0))
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_rgb(*fill))


def _hill(
    draw: ImageDraw.ImageDraw,
    side: int,
    horizon: int,
    distance: float,
    light: float,
    rng: np.random.Generator,
) -> None:
    """A ridge of waves, bluer and paler the farther it is."""
    x = np.arange(side + 1)
    waves = sum(
        rng.uniform(0.2, 1)
        / n
        * np.sin(2 * np.pi * (n * x / side * rng.uniform(0.5, 1) + rng.random()))
        for n in (1, 2, 4)
    )
    top = horizon - side * 0.06 * (1.6 - distance) * (np.asarray(waves) + 1.3)
    hue, saturation = 0.3 + 0.3 * distance, 0.45 - 0.2 * distance
    fill = _rgb(hue, saturation, light * (0.35 + 0.35 * distance))
    draw.polygon([*zip(x.tolist(), top.tolist(), strict=True), (side, side), (0, side)], fill=fill)


def _ground(
    draw: ImageDraw.ImageDraw, side: int, horizon: int, light: float, rng: np.random.Generator
) -> None:
    """Meadow, sand, snow or water, darker towards the viewer."""
    grounds = ((0.29, 0.6, 0.62), (0.12, 0.42, 0.85), (0.58, 0.06, 0.97), (0.56, 0.55, 0.7))
    hue, saturation, value = _shifted(grounds[rng.integers(4)], rng.normal(0, 0.02), rng)
    for y in range(horizon, side):
        nearer = (y - horizon) / max(1, side - horizon)
        draw.line([0, y, side, y], fill=_rgb(hue, saturation, light * value * (1 - 0.35 * nearer)))


def _tree(
    draw: ImageDraw.ImageDraw,
    side: int,
    horizon: int,
    depth: float,
    light: float,
    rng: np.random.Generator,
) -> None:
    """A fir or a round tree, larger the nearer it stands."""
    x, foot = rng.uniform(0, side), horizon + depth * 0.8 * (side - horizon)
    tall = side * (0.08 + 0.3 * depth) * rng.uniform(0.7, 1.2)
    wide, trunk = tall * 0.3, tall * 0.06
    draw.rectangle(
        [x - trunk, foot - tall * 0.35, x + trunk, foot], fill=_rgb(0.07, 0.55, light * 0.4)
    )
    leaves = _rgb(rng.uniform(0.2, 0.4), 0.65, light * rng.uniform(0.3, 0.6))
    if rng.random() < 0.5:
        draw.polygon(
            [(x, foot - tall), (x - wide, foot - tall * 0.2), (x + wide, foot - tall * 0.2)],
            fill=leaves,
        )
    else:
        draw.ellipse([x - wide, foot - tall, x + wide, foot - tall * 0.3], fill=leaves)


def _house(
    draw: ImageDraw.ImageDraw,
    side: int,
    horizon: int,
    depth: float,
    light: float,
    rng: np.random.Generator,
) -> None:
    """A wall, a roof and a window, which is lit where it is dark."""
    x, foot = rng.uniform(0, side), horizon + depth * 0.7 * (side - horizon)
    wide = side * (0.06 + 0.16 * depth) * rng.uniform(0.8, 1.3)
    tall = wide * rng.uniform(0.6, 1.0)
    wall = _rgb(rng.uniform(0, 0.15), rng.uniform(0.05, 0.4), light * rng.uniform(0.6, 1))
    draw.rectangle([x - wide / 2, foot - tall, x + wide / 2, foot], fill=wall)
    roof = [(x - wide * 0.6, foot - tall), (x, foot - 1.6 * tall), (x + wide * 0.6, foot - tall)]
    draw.polygon(roof, fill=_rgb(rng.uniform(-0.03, 0.06), 0.7, light * 0.6))
    glass = _rgb(0.14, 0.7, 1.0) if light < 0.6 else _rgb(0.58, 0.3, 0.5)
    draw.rectangle([x - wide / 6, foot - tall * 0.7, x + wide / 6, foot - tall * 0.35], fill=glass)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    times = [*TIMES]
    for i in range(arguments.count):
        time = times[i % len(times)]
        path = arguments.folder / time / f"{i:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([arguments.seed, i])
        scene(time, arguments.size, rng).save(path)


if __name__ == "__main__":
    main()
