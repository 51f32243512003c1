"""Move the embedded benchmark's actor: what it does, and in what manner.

An action is added to a posture drawn from one distribution: its course in time tells the action, a single frame hardly does.

Angles are in degrees; a limb's 0 points down and it grows outwards. Lengths are in units of the figure's standing height.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


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

    @classmethod
    def draw(cls, rng: np.random.Generator, alike: float = 0.0) -> Manner:
        """Draw a manner; `alike` (0..1) pulls posture and size to their middle: at 1 a still figure does not tell its video."""

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
        )  # fmt: skip


class Clock:
    """The course of one cycle: `swing(lag)` runs 0 -> 1 -> 0 once a period, `turns()` counts periods."""

    def __init__(self, manner: Manner, frames: int) -> None:
        self.manner = manner
        self.time = np.arange(frames, dtype=np.float32)

    def turns(self) -> Array:
        return self.time / np.float32(self.manner.period) + np.float32(self.manner.phase)

    def swing(self, lag: float = 0.0) -> Array:
        share = np.mod(self.turns() + lag, 1.0)
        out = self.manner.rhythm
        warped = np.where(share < out, share / (2 * out), 0.5 + (share - out) / (2 * (1 - out)))
        return np.float32(0.5) - np.float32(0.5) * np.cos(2 * np.pi * warped, dtype=np.float32)


Action = Callable[[Pose, Clock, float], None]


def _raise(pose: Pose, clock: Clock, amount: float) -> None:
    pose.shoulder[0] += 105 * amount * (clock.swing() - 0.5)


def _flap(pose: Pose, clock: Clock, amount: float) -> None:
    pose.shoulder += 95 * amount * (clock.swing() - 0.5)


def _crawl(pose: Pose, clock: Clock, amount: float) -> None:
    pose.shoulder[0] += 95 * amount * (clock.swing() - 0.5)
    pose.shoulder[1] += 95 * amount * (clock.swing(0.5) - 0.5)


def _wave(pose: Pose, clock: Clock, amount: float) -> None:
    pose.elbow[0] += 45 + 95 * amount * (clock.swing() - 0.5)


def _clap(pose: Pose, clock: Clock, amount: float) -> None:
    pose.elbow += 45 + 90 * amount * (clock.swing() - 0.5)


def _kick(pose: Pose, clock: Clock, amount: float) -> None:
    pose.knee[0] *= 0.3
    pose.hip[0] += 78 * amount * clock.swing()


def _swing_legs(pose: Pose, clock: Clock, amount: float) -> None:
    pose.knee *= 0.3
    pose.hip[0] += 62 * amount * np.maximum(0, 2 * clock.swing() - 1)
    pose.hip[1] += 62 * amount * np.maximum(0, 2 * clock.swing(0.5) - 1)


def _knee(pose: Pose, clock: Clock, amount: float) -> None:
    pose.hip[0] += 75 * amount * clock.swing()
    pose.knee[0] += 95 * amount * clock.swing()


def _march(pose: Pose, clock: Clock, amount: float) -> None:
    for side, lag in ((0, 0.0), (1, 0.5)):
        up = np.maximum(0, 2 * clock.swing(lag) - 1)
        pose.hip[side] += 75 * amount * up
        pose.knee[side] += 95 * amount * up


def _squat(pose: Pose, clock: Clock, amount: float) -> None:
    down = clock.swing()
    pose.hip += 62 * amount * down
    pose.knee += 82 * amount * down


def _bow(pose: Pose, clock: Clock, amount: float) -> None:
    pose.lean += 85 * amount * (clock.swing() - 0.25)


def _jump(pose: Pose, clock: Clock, amount: float) -> None:
    pose.lift += 0.27 * amount * np.maximum(0, clock.swing() * 1.15 - 0.15)


def _sidestep(pose: Pose, clock: Clock, amount: float) -> None:
    pose.shift += 0.34 * amount * (clock.swing() - 0.5)


def _cartwheel(pose: Pose, clock: Clock, amount: float) -> None:
    pose.roll += 360 * clock.turns()


ACTIONS: dict[str, Action] = {
    "raise": _raise, "flap": _flap, "crawl": _crawl, "kick": _kick, "march": _march, "squat": _squat, "bow": _bow, "jump": _jump,
    "wave": _wave, "clap": _clap, "knee": _knee, "legs": _swing_legs, "sidestep": _sidestep, "cartwheel": _cartwheel,
}  # fmt: skip
