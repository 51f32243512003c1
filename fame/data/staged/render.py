"""From one performance in one scene to frames and true masks.

The figure's outline is computed once for all conditions of a performance (outline.py). Everything is a pure function of the
recipe: no global state, no clock.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fame.data.staged.actions import Manner
from fame.data.staged.figure import STANDING, capsules
from fame.data.staged.outline import Array, Mask, outline_of
from fame.data.staged.scene import CLOTHES, backdrop, palette

Frames = NDArray[np.uint8]
LEG = 16  # frames from one stop of a wandering figure to the next


@dataclass(frozen=True)
class Look:
    """What all videos of a world share."""

    size: int
    frames: int
    fps: int
    noise: float
    camera: float
    likeness: float
    placement: str
    clothes: str
    figure: float  # standing height as a share of the frame
    contrast: float
    tint: float
    objects: int
    alike: float
    wander: float
    codec: str


@dataclass(frozen=True)
class Recipe:
    """One video: all its randomness is in its seeds. Conditions of one performance share `motion`, `sensor` and `clothes`."""

    file: str  # below the root
    mask: str  # "" where no mask is to be written
    action: str
    condition: str  # own, deranged, neutral, scene_only, figure_only
    family: int | None
    hue: float | None  # of the family in this world
    motion: int
    sensor: int
    clothes: int
    scene: int


def render_performance(recipes: Sequence[Recipe], look: Look) -> Iterator[tuple[Recipe, Frames, Mask]]:
    """One performance in each of its conditions: uint8 (T, H, W, 3) frames before coding, bool (T, H, W) true masks.

    The figure's outline is computed once; the mask is given even where the figure is not shown.
    """
    first = recipes[0]
    if any((r.action, r.motion, r.sensor, r.clothes) != (first.action, first.motion, first.sensor, first.clothes) for r in recipes):
        raise ValueError("recipes of several performances; give those of one")
    manner = Manner.draw(np.random.default_rng(first.motion), look.alike)
    points, unit = _place(capsules(first.action, manner, look.frames), manner, look)
    cameras = _camera(np.random.default_rng(first.sensor), look)
    outline = outline_of(points + np.tile(cameras, 2)[:, None], unit, look.size)
    clothes = clothes_of(first.clothes, look)
    for recipe in recipes:
        planes = _film(_background(recipe, look, clothes), cameras)
        if recipe.condition != "scene_only":
            outline.paint(planes, clothes)
        planes *= 255
        _add_noise(planes, look.noise, recipe.sensor)
        np.maximum(planes, 0, out=planes)
        np.minimum(planes, 255, out=planes)
        planes += np.float32(0.5)
        yield recipe, np.ascontiguousarray(planes.astype(np.uint8).transpose(1, 2, 3, 0)), outline.mask


def clothes_of(seed: int, look: Look) -> Array:
    """Colours (3, 3) of trousers, shirt and skin: one set for the world, or drawn from `seed` (a video's or an action's)."""
    if look.clothes == "alike":
        return CLOTHES
    return np.random.default_rng(seed).uniform(0.05, 0.95, (3, 3)).astype(np.float32)


def _place(skeleton: Array, manner: Manner, look: Look) -> tuple[Array, float]:
    """Skeleton in pixels, (T, parts, 4), wholly inside the frame where it fits; and the figure's height in pixels."""
    height = look.figure * look.size * manner.scale
    unit = height / STANDING
    margin = 0.06 * unit
    points = skeleton * np.float32(unit)
    for axis in (0, 1):
        line = points[..., axis::2]
        low, high = float(line.min()) - margin, float(line.max()) + margin
        share = np.full(look.frames, 0.5) if look.placement == "centre" else _whereabouts(manner, axis, look)
        points[..., axis::2] += (share * (look.size - (high - low)) - low).astype(np.float32)[:, None, None]
    return points, unit


def _whereabouts(manner: Manner, axis: int, look: Look) -> Array:
    """Where the figure is, 0..1 of the room it leaves along an axis, (T,): from its place to a stop every `LEG` frames, smoothly.

    `wander` says how far towards each stop it goes: at 0 it keeps its place.
    """
    place = manner.place[axis]
    stops = np.array([place, *(place + look.wander * (stop[axis] - place) for stop in manner.stops)])
    legs, done = np.divmod(np.arange(look.frames) / LEG, 1.0)
    here, there = (stops[(legs.astype(np.intp) + k) % len(stops)] for k in (0, 1))
    return here + (0.5 - 0.5 * np.cos(np.pi * done)) * (there - here)


def _camera(rng: np.random.Generator, look: Look) -> Array:
    """The view's displacement in pixels, (T, 2): `look.camera` pixels a frame in one direction that bends slowly."""
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.15, look.frames))
    path = look.camera * np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=-1), axis=0)
    return (path - path.mean(axis=0)).astype(np.float32)


def _background(recipe: Recipe, look: Look, clothes: Array) -> Array:
    rng = np.random.default_rng(recipe.scene)
    if recipe.condition == "figure_only":
        return np.full((look.size, look.size, 3), 0.5, np.float32)
    colours = palette(rng, clothes, hue=recipe.hue, tint=look.tint, likeness=look.likeness, contrast=look.contrast)
    return backdrop(recipe.family, look.size, look.objects, colours, rng)


def _film(picture: Array, cameras: Array) -> Array:
    """The picture seen by the camera, as colour planes (3, T, H, W): bilinear, edges repeated."""
    if not np.any(cameras):
        return np.repeat(picture.transpose(2, 0, 1)[:, None], len(cameras), axis=1)
    ticks = np.arange(picture.shape[0], dtype=np.float32)
    planes = np.empty((3, len(cameras), *picture.shape[:2]), np.float32)
    for frame, (dx, dy) in enumerate(cameras):
        rows = _between(picture, ticks - dy)
        planes[:, frame] = _between(rows.swapaxes(0, 1), ticks - dx).transpose(2, 1, 0)
    return planes


def _between(rows: Array, at: Array) -> Array:
    at = np.clip(at, 0, len(rows) - 1)
    low = np.minimum(at.astype(np.intp), len(rows) - 2)
    share = (at - low).astype(np.float32)[:, None, None]
    return rows[low] * (1 - share) + rows[low + 1] * share


@functools.lru_cache(maxsize=2)
def _noise_bank(noise: float) -> Array:
    return (np.random.default_rng(7).standard_normal(1 << 20, dtype=np.float32) * np.float32(noise)).astype(np.float32)


def _add_noise(planes: Array, noise: float, seed: int) -> None:
    """Normal noise, in place: stretches of one long bank, begun where the seed says; a hundredth of the price of fresh values."""
    bank, flat, stretch = _noise_bank(noise), planes.reshape(-1), 1 << 13
    begins = np.random.default_rng(seed + 1).integers(0, len(bank) - stretch, -(-len(flat) // stretch))
    for at, begin in zip(range(0, len(flat), stretch), begins, strict=True):
        part = flat[at : at + stretch]
        part += bank[begin : begin + len(part)]
