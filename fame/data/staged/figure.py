"""Paint the embedded benchmark's actor as capsules (segments with a radius), in units of its standing height; y grows downwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fame.data.staged.actions import ACTIONS, Clock, Manner, Pose

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Outline = tuple[tuple[slice, slice, slice], Array, Array]  # a box of frames, rows, columns; what garments cover; what is left

HEAD, NECK, TRUNK, HIPS = 0.088, 0.06, 0.30, 0.05  # radius of the head; lengths; half the hips' width
UPPER_ARM, FOREARM, THIGH, SHANK, SHOULDERS = 0.19, 0.20, 0.225, 0.235, 0.085
STANDING = THIGH + SHANK + TRUNK + NECK + 2 * HEAD

# The capsules a figure is made of, far ones first: name, radius, and which of the clothes' colours it wears.
TROUSERS, SHIRT, SKIN = 0, 1, 2
PARTS = (
    ("thigh0", 0.056, TROUSERS), ("thigh1", 0.056, TROUSERS), ("shank0", 0.046, TROUSERS), ("shank1", 0.046, TROUSERS),
    ("trunk", 0.100, SHIRT), ("arm0", 0.042, SKIN), ("arm1", 0.042, SKIN), ("forearm0", 0.038, SKIN), ("forearm1", 0.038, SKIN),
    ("head", HEAD, SKIN),
)  # fmt: skip


def capsules(action: str, manner: Manner, frames: int) -> Array:
    """Return (T, parts, 4): the two ends x, y, x, y of each of `PARTS` over time; the ground is y = 0, the hips' rest x = 0."""

    def both(values: tuple[float, float]) -> Array:
        return np.repeat(np.array(values, np.float32)[:, None], frames, axis=1)

    clock = Clock(manner, frames)
    limbs = (both(manner.shoulder), both(manner.elbow), both(manner.hip), both(manner.knee))
    lean, *still = (np.full(frames, value, np.float32) for value in (manner.lean, 0, 0, 0))
    pose = Pose(*limbs, lean, *still)
    sway = np.sin(2 * np.pi * (clock.time / 31 + manner.idle), dtype=np.float32)  # nobody stands quite still
    pose.lean += 1.5 * sway
    ACTIONS[action](pose, clock, manner.amplitude)
    return _skeleton(pose, -1.0 if manner.mirror else 1.0)


def _skeleton(pose: Pose, facing: float) -> Array:
    frames = len(pose.lean)
    out = np.zeros((frames, len(PARTS), 2, 2), np.float32)
    index = {name: at for at, (name, _, _) in enumerate(PARTS)}

    def limb(start: Array, length: float, angle: Array, side: float) -> Array:
        radians = np.deg2rad(angle)
        return (start + length * np.stack([side * np.sin(radians), np.cos(radians)], axis=-1)).astype(np.float32)

    middle = np.zeros((frames, 2), np.float32)
    lean = pose.lean * facing
    neck = limb(middle, TRUNK, 180 - lean, 1.0)
    out[:, index["trunk"], 0], out[:, index["trunk"], 1] = middle, limb(middle, TRUNK * 0.8, 180 - lean, 1.0)
    out[:, index["head"], 0] = out[:, index["head"], 1] = limb(neck, NECK + HEAD, 180 - lean, 1.0)
    across = np.stack([np.cos(np.deg2rad(lean)), np.sin(np.deg2rad(lean))], axis=-1)
    feet = []
    for number, side in enumerate((facing, -facing)):
        shoulder = (limb(middle, TRUNK * 0.92, 180 - lean, 1.0) + side * SHOULDERS * across).astype(np.float32)
        raised = pose.shoulder[number] - side * lean  # the arms hang from the trunk and tip with it
        elbow = limb(shoulder, UPPER_ARM, raised, side)
        hand = limb(elbow, FOREARM, raised + pose.elbow[number], side)
        hip = (middle + side * np.array([HIPS, 0])).astype(np.float32)
        knee = limb(hip, THIGH, pose.hip[number], side)
        foot = limb(knee, SHANK, pose.hip[number] - pose.knee[number], side)
        feet.append(foot[:, 1])
        for name, ends in (
            ("arm", (shoulder, elbow)),
            ("forearm", (elbow, hand)),
            ("thigh", (hip, knee)),
            ("shank", (knee, foot)),
        ):
            out[:, index[f"{name}{number}"], 0], out[:, index[f"{name}{number}"], 1] = ends
    turn = np.deg2rad(pose.roll) * facing
    if np.any(turn):  # about the hips, before the feet would be set down
        c, s = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
        out = np.stack([c * out[..., 0] - s * out[..., 1], s * out[..., 0] + c * out[..., 1]], axis=-1)
        ground = np.full(frames, THIGH + SHANK, np.float32)
    else:
        ground = np.maximum(feet[0], feet[1])  # the lower foot carries
    out[..., 1] -= (ground + pose.lift)[:, None, None]
    out[..., 0] += (facing * pose.shift)[:, None, None]
    return out.reshape(frames, len(PARTS), 4).astype(np.float32)


def outline_of(points: Array, unit: float, size: int) -> tuple[Mask, Outline]:
    """Rasterise skeletons (T, parts, 4) to a mask (T, size, size) and outline; points and `unit`, the height, are in pixels."""
    radius = np.array([r for _, r, _ in PARTS], np.float32) * np.float32(unit)
    ticks = np.arange(size, dtype=np.float32) + np.float32(0.5)
    corners = points.reshape(len(points), len(PARTS), 2, 2)
    low = np.floor(corners.min(axis=(0, 2)) - radius[:, None] - 1).astype(int).clip(0, size)
    high = np.ceil(corners.max(axis=(0, 2)) + radius[:, None] + 1).astype(int).clip(0, size)
    depth = np.full((3, len(points), size, size), -1, np.float32)  # inside each garment, far ones first; pixels
    for part, (_, _, garment) in enumerate(PARTS):
        (x0, y0), (x1, y1) = low[part], high[part]
        inside = radius[part] - _distance(ticks[None, None, x0:x1], ticks[None, y0:y1, None], points[:, part])
        within = depth[garment, :, y0:y1, x0:x1]
        np.maximum(within, inside, out=within)
    (left, top), (right, bottom) = low.min(axis=0), high.max(axis=0)
    cover = np.clip(depth[:, :, top:bottom, left:right] + np.float32(0.5), 0, 1)
    clear = 1 - cover
    cover[1] *= clear[2]
    clear[1] *= clear[2]
    cover[0] *= clear[1]
    return depth.max(axis=0) > 0, (
        (slice(None), slice(top, bottom), slice(left, right)),
        cover,
        clear[0] * clear[1],
    )


def paint(planes: Array, outline: Outline, clothes: Array) -> None:
    """Put the figure into colour planes (3, T, H, W), in place."""
    box, cover, through = outline
    for plane, levels in zip(planes, clothes.T, strict=True):
        view = plane[box]
        view *= through
        for garment, level in enumerate(levels):
            view += cover[garment] * level


def _distance(x: Array, y: Array, segment: Array) -> Array:
    """Return the distance of every pixel to a segment a frame: x (1, 1, w), y (1, h, 1), segment (T, 4) -> (T, h, w)."""
    ax, ay, bx, by = (segment[:, k, None, None] for k in range(4))
    ux, uy = bx - ax, by - ay
    px, py = x - ax, y - ay
    length = np.maximum(ux * ux + uy * uy, np.float32(1e-6))
    share = np.clip(px * (ux / length) + py * (uy / length), 0, 1)
    dx, dy = px - share * ux, py - share * uy
    return np.sqrt(dx * dx + dy * dy)
