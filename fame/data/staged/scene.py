"""Draw the scenes of the embedded benchmark: families of backdrops, each video with its own palette, layout and objects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fame.config import StagedWorld

Array = NDArray[np.float32]
Labels = NDArray[np.intp]
OVERSAMPLING = 2  # samples a pixel and direction: soft edges, as a lens gives them
CLOTHES = np.array([[0.16, 0.20, 0.42], [0.80, 0.22, 0.20], [0.93, 0.74, 0.60]], np.float32)  # trousers, shirt, skin
COLOURS = 4
TINT_SPREAD = 0.05  # standard deviation of a tinted colour's hue, in turns


def _panels(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    return np.floor(x / rng.uniform(7, 11)).astype(np.intp)


def _planks(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    return np.floor(y / rng.uniform(7, 11)).astype(np.intp)


def _tiles(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    side = rng.uniform(8, 12)
    return (np.floor(x / side) + 2 * np.floor(y / side)).astype(np.intp)


def _dots(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    side = rng.uniform(10, 14)
    inside = np.hypot(np.mod(x, side) - side / 2, np.mod(y, side) - side / 2) < side * 0.32
    return np.where(inside, 1 + np.mod(np.floor(x / side) + np.floor(y / side), 3), 0).astype(np.intp)


def _diagonals(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    return np.floor((x + (1 if rng.integers(2) else -1) * y) / rng.uniform(10, 15)).astype(np.intp)


def _rings(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    return np.floor(np.hypot(x - rng.uniform(10, 60), y - rng.uniform(10, 60)) / rng.uniform(6, 9)).astype(np.intp)


def _hills(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    wave = rng.uniform(5, 7) * np.sin(2 * np.pi * (x / rng.uniform(18, 26) + rng.uniform()))
    return np.floor((y + wave) / rng.uniform(8, 12)).astype(np.intp)


def _rubble(x: Array, y: Array, rng: np.random.Generator) -> Labels:
    points = rng.uniform(0, 80, (60, 2)).astype(np.float32)
    kinds = rng.integers(0, COLOURS, 60)
    nearness = np.stack([x, y], axis=-1) @ points.T - (points**2).sum(axis=1) / 2  # largest where the distance is smallest
    return kinds[np.argmax(nearness, axis=-1)].astype(np.intp)


FAMILIES: dict[str, Callable[[Array, Array, np.random.Generator], Labels]] = {
    "panels": _panels, "planks": _planks, "tiles": _tiles, "dots": _dots,
    "diagonals": _diagonals, "rings": _rings, "hills": _hills, "rubble": _rubble,
}  # fmt: skip


def hues(seed: int) -> list[float]:
    """The hue of each family in one world, in turns: evenly spread, in an order and from a beginning that the seed draws."""
    rng = np.random.default_rng(seed)
    return [float(hue) for hue in np.mod(rng.permutation(len(FAMILIES)) / len(FAMILIES) + rng.uniform(), 1.0)]


def palette(rng: np.random.Generator, clothes: Array, hue: float | None, world: StagedWorld) -> Array:
    """Draw colours in [0, 1], (COLOURS, 3), apart from each other and from the clothes; `contrast` draws them to their mean.

    A share `tint` of the candidates is near `hue` (turns). With probability `likeness` each is a colour of the clothes (claim C10).
    """
    turn = rng.uniform(size=48)
    near = np.mod((hue or 0.0) + rng.normal(0, TINT_SPREAD, 48), 1.0)
    tinted = (rng.uniform(size=48) < world.tint) & (hue is not None)
    candidates = _rgb(np.where(tinted, near, turn), rng.uniform(0.25, 0.95, 48), rng.uniform(0.2, 0.95, 48))
    apart_by = np.linalg.norm(candidates[:, None] - candidates, axis=-1)
    from_clothes = np.linalg.norm(candidates[:, None] - clothes, axis=-1).min(axis=1)
    chosen: list[int] = []
    for apart in (0.45, 0.35, 0.25, -1.0):  # as far apart as the candidates allow
        for index in np.flatnonzero(from_clothes > 0.75 * apart):
            if len(chosen) < COLOURS and (apart_by[index, chosen] > apart).all():
                chosen.append(int(index))
    colours = candidates[chosen]
    colours = colours.mean(axis=0) + np.float32(world.contrast) * (colours - colours.mean(axis=0))
    alike = rng.uniform(size=COLOURS) < world.likeness
    worn = clothes[rng.integers(0, len(clothes), COLOURS)]
    return np.where(alike[:, None], worn, colours).astype(np.float32)


def _rgb(hue: NDArray[np.float64], saturation: NDArray[np.float64], value: NDArray[np.float64]) -> Array:
    """Hue in turns, saturation and value in 0..1, each (N,) -> (N, 3)."""
    sector = np.mod(hue[:, None] * 6 + np.array([5.0, 3.0, 1.0]), 6)
    return (value[:, None] * (1 - saturation[:, None] * np.clip(np.minimum(sector, 4 - sector), 0, 1))).astype(np.float32)


def backdrop(family: int | None, size: int, objects: int, colours: Array, rng: np.random.Generator) -> Array:
    """Draw a still picture (size, size, 3) in [0, 1]: a texture with `objects` before it; without a family, a wall and a floor."""
    step = np.float32(48 / size)  # lengths are in pixels of a 48 pixel frame
    ticks = (np.arange(size * OVERSAMPLING, dtype=np.float32) + 0.5) / OVERSAMPLING * step
    x, y = (axis.astype(np.float32) for axis in np.meshgrid(ticks, ticks))
    if family is None:
        labels = (y > rng.uniform(30, 42)).astype(np.intp)
    else:
        shift = rng.uniform(0, 24, 2).astype(np.float32)
        labels = np.mod(tuple(FAMILIES.values())[family](x + shift[0], y + shift[1], rng), len(colours))
        labels = np.asarray(rng.permutation(len(colours)))[labels]
        _place_objects(labels, x, y, objects, len(colours), rng)
    picture = colours[labels].reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3)
    return picture.mean(axis=(1, 3), dtype=np.float32)


def _place_objects(labels: Labels, x: Array, y: Array, objects: int, colours: int, rng: np.random.Generator) -> None:
    """Discs, boxes, wedges and bars of random size and place, drawn over `labels`."""
    kinds, paints = rng.integers(0, 4, objects), rng.integers(0, colours, objects)
    draws = rng.uniform(size=(objects, 5))
    samples = len(x)
    for kind, paint, (across, down, large, flat, turn) in zip(kinds, paints, draws, strict=True):
        reach, squeeze = 2.5 + 3 * large, 0.6 + flat
        c, s = np.float32(np.cos(np.pi * turn)), np.float32(np.sin(np.pi * turn))
        extent = 1.7 * reach * max(1.0, 1 / squeeze) / 48  # of the frame
        rows = slice(max(0, int((down - extent) * samples)), int((down + extent) * samples) + 1)
        columns = slice(max(0, int((across - extent) * samples)), int((across + extent) * samples) + 1)
        dx, dy = x[rows, columns] - np.float32(48 * across), y[rows, columns] - np.float32(48 * down)
        u, v = c * dx + s * dy, np.float32(squeeze) * (c * dy - s * dx)
        if kind == 0:
            inside = u * u + v * v < reach * reach
        elif kind == 1:
            inside = np.maximum(np.abs(u), np.abs(v)) < reach * 0.85
        elif kind == 2:
            inside = (v > -reach * 0.7) & (2 * np.abs(u) + v < reach)
        else:
            inside = (np.abs(u) < reach * 1.6) & (np.abs(v) < reach * 0.4)
        labels[rows, columns][inside] = paint
