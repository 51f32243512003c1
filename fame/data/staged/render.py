"""Render one performance in one scene to frames and true masks, a pure function of its recipe, and write both to files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fame.config import StagedWorld
from fame.data.staged.actions import Manner
from fame.data.staged.figure import STANDING, Array, Mask, capsules, outline_of, paint
from fame.data.staged.scene import CLOTHES, backdrop, palette

Frames = NDArray[np.uint8]
CODECS: dict[str, tuple[str, str, dict[str, str]]] = {  # file ending, pixel format, options; a codec leaves out its version
    "mpeg4": ("avi", "yuv420p", {"qmin": "2", "qmax": "3", "flags": "+bitexact"}),
    "libx264": ("mp4", "yuv420p", {"preset": "ultrafast", "crf": "18", "flags": "+bitexact"}),
    "ffv1": ("avi", "bgr0", {"flags": "+bitexact"}),
}


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


def render_performance(recipes: Sequence[Recipe], world: StagedWorld) -> Iterator[tuple[Recipe, Frames, Mask]]:
    """Yield a performance in each of its conditions: uint8 (T, H, W, 3) frames before coding, bool (T, H, W) true masks."""
    first = recipes[0]
    manner = Manner.draw(np.random.default_rng(first.motion), world.alike)
    points, unit = _place(capsules(first.action, manner, world.frames), manner, world)
    cameras = _camera(np.random.default_rng(first.sensor), world)
    mask, outline = outline_of(points + np.tile(cameras, 2)[:, None], unit, world.size)
    clothes = CLOTHES  # one set for the world, or drawn from a video's or an action's seed
    if world.clothes != "alike":
        clothes = np.random.default_rng(first.clothes).uniform(0.05, 0.95, CLOTHES.shape).astype(np.float32)
    for recipe in recipes:
        planes = _film(_background(recipe, world, clothes), cameras)
        if recipe.condition != "scene_only":
            paint(planes, outline, clothes)
        planes *= 255
        _add_noise(planes, world.noise, recipe.sensor)
        np.clip(planes, 0, 255, out=planes)
        planes += np.float32(0.5)
        yield recipe, np.ascontiguousarray(planes.astype(np.uint8).transpose(1, 2, 3, 0)), mask


def _place(skeleton: Array, manner: Manner, world: StagedWorld) -> tuple[Array, float]:
    """Skeleton in pixels, (T, parts, 4), wholly inside the frame where it fits; and the figure's height in pixels."""
    height = world.figure * world.size * manner.scale
    unit = height / STANDING
    margin = 0.06 * unit
    points = skeleton * np.float32(unit)
    for axis in (0, 1):
        line = points[..., axis::2]
        low, high = float(line.min()) - margin, float(line.max()) + margin
        share = 0.5 if world.placement == "centre" else manner.place[axis]
        points[..., axis::2] += np.float32(share * (world.size - (high - low)) - low)
    return points, unit


def _camera(rng: np.random.Generator, world: StagedWorld) -> Array:
    """The view's displacement in pixels, (T, 2): `world.camera` pixels a frame in one direction that bends slowly."""
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.15, world.frames))
    path = world.camera * np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=-1), axis=0)
    return (path - path.mean(axis=0)).astype(np.float32)


def _background(recipe: Recipe, world: StagedWorld, clothes: Array) -> Array:
    rng = np.random.default_rng(recipe.scene)
    if recipe.condition == "figure_only":
        return np.full((world.size, world.size, 3), 0.5, np.float32)
    colours = palette(rng, clothes, recipe.hue, world)
    return backdrop(recipe.family, world.size, world.objects, colours, rng)


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


def write_video(path: Path, frames: Frames, codec: str, fps: int) -> None:
    """Encode uint8 (T, H, W, 3) RGB into a file; the same frames give the same bytes, on one build of the codec."""
    _, pixels, options = CODECS[codec]
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=fps, options=options))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        stream.bit_rate = 4_000_000  # never the limit: the quantiser's range decides
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_masks(path: Path, masks: Mask) -> None:
    """Write bool (T, H, W) as an `.npy` file, packed to bits along the width."""
    np.save(path, np.packbits(masks, axis=-1))


@functools.lru_cache(maxsize=256)
def read_masks(path: Path, width: int) -> Mask:
    """Return the true masks of one performance, bool (T, H, width)."""
    return np.unpackbits(np.load(path), axis=-1, count=width).astype(np.bool_)
