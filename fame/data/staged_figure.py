"""The actor of the embedded benchmark: an articulated figure and the repertoire of what it does.

An action is *which joints move together and how*, added to a posture that every video draws for itself from one and the same
distribution (arms anywhere from hanging to raised, knees and hips bent or not). So a single frame, a single silhouette or a place
in the picture says little about the action; its course in time says it. What is not the action varies from video to video as the
`Manner`: speed, amplitude, rhythm, phase, handedness, size, posture, place.

Angles are in degrees. A limb's 0 points down and it grows outwards, away from the body's middle line; `lean` tips the trunk over
the hips, `roll` turns the whole body. Lengths are in units of the figure's standing height; y grows downwards, as in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

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


STOPS = 6  # of a wandering figure, before it comes back to where it began


@dataclass
class Pose:
    """Joint angles over time, each of shape (T,); index 0 is the active side (`Manner.mirror` says which one the viewer sees)."""

    shoulder: Array  # (2, T)
    elbow: Array  # (2, T)
    hip: Array  # (2, T)
    knee: Array  # (2, T), bends the shank back towards the middle line
    lean: Array
    roll: Array
    lift: Array  # height above the ground
    shift: Array  # sideways


@dataclass(frozen=True)
class Manner:
    """How one performance does its action; nothing of it depends on which action it is."""

    period: float  # frames a cycle
    phase: float  # of a cycle, 0..1
    amplitude: float
    rhythm: float  # share of a cycle spent on the way out, the rest on the way back
    mirror: bool
    scale: float  # of the world's figure height
    place: tuple[float, float]  # 0..1 of the room that the figure leaves across and down
    shoulder: tuple[float, float]  # the posture it keeps where the action does not move it
    elbow: tuple[float, float]
    hip: tuple[float, float]
    knee: tuple[float, float]
    lean: float
    idle: float  # phase of the slow sway of somebody who stands
    stops: tuple[tuple[float, float], ...]  # places, as `place`, that it goes to one after the other where it wanders

    @classmethod
    def draw(cls, rng: np.random.Generator, alike: float = 0.0) -> Manner:
        """One manner. Every video draws the same number of values, so performances never depend on one another.

        alike, 0..1: how far posture and size are drawn to the middle of their range; at 1 a still figure does not tell its video.
        """

        def uniform(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        def kept(low: float, high: float) -> float:
            return (1 - alike) * uniform(low, high) + alike * (low + high) / 2

        def pair(low: float, high: float) -> tuple[float, float]:
            return kept(low, high), kept(low, high)

        return cls(
            period=uniform(8.0, 14.0), phase=uniform(0, 1), amplitude=uniform(0.8, 1.2), rhythm=uniform(0.35, 0.65),
            mirror=bool(rng.integers(2)), scale=kept(0.85, 1.15), place=(uniform(0, 1), uniform(0, 1)), shoulder=pair(40, 85),
            elbow=pair(5, 30), hip=pair(5, 18), knee=pair(0, 20), lean=kept(-5, 5), idle=uniform(0, 1),
            stops=tuple((uniform(0, 1), uniform(0, 1)) for _ in range(STOPS)),
        )  # fmt: skip


class Clock:
    """The course of one cycle: `swing(lag)` runs 0 -> 1 -> 0 once a period, `turns()` counts periods."""

    def __init__(self, manner: Manner, frames: int) -> None:
        self.manner = manner
        self.time = np.arange(frames, dtype=np.float32)

    def turns(self) -> Array:
        return self.time / np.float32(self.manner.period) + np.float32(self.manner.phase)

    def swing(self, lag: float = 0.0, speed: float = 1.0) -> Array:
        share = np.mod(self.turns() * speed + lag, 1.0)
        out = self.manner.rhythm
        warped = np.where(share < out, share / (2 * out), 0.5 + (share - out) / (2 * (1 - out)))
        return np.float32(0.5) - np.float32(0.5) * np.cos(2 * np.pi * warped, dtype=np.float32)


Action = Callable[[Pose, Clock, float], None]


def _raise(pose: Pose, clock: Clock, amount: float) -> None:
    """One arm swings up and down from the shoulder."""
    pose.shoulder[0] += 105 * amount * (clock.swing() - 0.5)


def _flap(pose: Pose, clock: Clock, amount: float) -> None:
    """Both arms swing up and down together."""
    pose.shoulder += 95 * amount * (clock.swing() - 0.5)


def _crawl(pose: Pose, clock: Clock, amount: float) -> None:
    """Both arms swing, one up while the other goes down."""
    pose.shoulder[0] += 95 * amount * (clock.swing() - 0.5)
    pose.shoulder[1] += 95 * amount * (clock.swing(0.5) - 0.5)


def _wave(pose: Pose, clock: Clock, amount: float) -> None:
    """One forearm swings about the elbow."""
    pose.elbow[0] += 45 + 95 * amount * (clock.swing() - 0.5)


def _clap(pose: Pose, clock: Clock, amount: float) -> None:
    """Both forearms swing about the elbows together."""
    pose.elbow += 45 + 90 * amount * (clock.swing() - 0.5)


def _kick(pose: Pose, clock: Clock, amount: float) -> None:
    """One leg swings out and back, stretched."""
    pose.knee[0] *= 0.3
    pose.hip[0] += 78 * amount * clock.swing()


def _swing_legs(pose: Pose, clock: Clock, amount: float) -> None:
    """Both legs swing out in turns, stretched."""
    pose.knee *= 0.3
    pose.hip[0] += 62 * amount * np.maximum(0, 2 * clock.swing() - 1)
    pose.hip[1] += 62 * amount * np.maximum(0, 2 * clock.swing(0.5) - 1)


def _knee(pose: Pose, clock: Clock, amount: float) -> None:
    """One knee is pulled up and set down."""
    pose.hip[0] += 75 * amount * clock.swing()
    pose.knee[0] += 95 * amount * clock.swing()


def _march(pose: Pose, clock: Clock, amount: float) -> None:
    """The knees are pulled up in turns."""
    for side, lag in ((0, 0.0), (1, 0.5)):
        up = np.maximum(0, 2 * clock.swing(lag) - 1)
        pose.hip[side] += 75 * amount * up
        pose.knee[side] += 95 * amount * up


def _squat(pose: Pose, clock: Clock, amount: float) -> None:
    """The knees bend and stretch, the body sinks and rises over feet that stay."""
    down = clock.swing()
    pose.hip += 62 * amount * down
    pose.knee += 82 * amount * down


def _bow(pose: Pose, clock: Clock, amount: float) -> None:
    """The trunk tips over the hips and comes back."""
    pose.lean += 85 * amount * (clock.swing() - 0.25)


def _jump(pose: Pose, clock: Clock, amount: float) -> None:
    """The whole body leaves the ground and lands."""
    pose.lift += 0.27 * amount * np.maximum(0, clock.swing() * 1.15 - 0.15)


def _sidestep(pose: Pose, clock: Clock, amount: float) -> None:
    """The whole body goes aside and back."""
    pose.shift += 0.34 * amount * (clock.swing() - 0.5)


def _cartwheel(pose: Pose, clock: Clock, amount: float) -> None:
    """The whole body turns over."""
    pose.roll += 360 * clock.turns()


ACTIONS: dict[str, Action] = {
    "raise": _raise, "flap": _flap, "crawl": _crawl, "kick": _kick, "march": _march, "squat": _squat, "bow": _bow, "jump": _jump,
    "wave": _wave, "clap": _clap, "knee": _knee, "legs": _swing_legs, "sidestep": _sidestep, "cartwheel": _cartwheel,
}  # fmt: skip


def capsules(action: str, manner: Manner, frames: int) -> Array:
    """The figure's skeleton over time: (T, parts, 4), two end points x, y, x, y a part in the order of `PARTS`.

    Unit: standing height; the ground is y = 0 and the hips' rest is x = 0. The head is a capsule of length nought.
    """
    clock = Clock(manner, frames)
    pose = _posture(manner, frames)
    sway = np.sin(2 * np.pi * (clock.time / 31 + manner.idle), dtype=np.float32)  # nobody stands quite still
    pose.lean += 1.5 * sway
    ACTIONS[action](pose, clock, manner.amplitude)
    return _skeleton(pose, -1.0 if manner.mirror else 1.0)


def _posture(manner: Manner, frames: int) -> Pose:
    def both(values: tuple[float, float]) -> Array:
        return np.repeat(np.array(values, np.float32)[:, None], frames, axis=1)

    def flat(value: float) -> Array:
        return np.full(frames, value, np.float32)

    return Pose(
        both(manner.shoulder), both(manner.elbow), both(manner.hip), both(manner.knee),
        flat(manner.lean), flat(0), flat(0), flat(0),
    )  # fmt: skip


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
        for name, ends in (("arm", (shoulder, elbow)), ("forearm", (elbow, hand)), ("thigh", (hip, knee)), ("shank", (knee, foot))):
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
