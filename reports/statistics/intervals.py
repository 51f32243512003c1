"""Intervals of a mean, of two kinds, never mixed (docs/rules.md).

Over *replicates*: the t interval, which speaks of the method. Over *videos*: performances of the runs at hand are resampled, which
speaks of these runs only and stands in where there are fewer than three replicates. A difference is paired: by replicate in the
first, by performance in the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import stats

LEVEL = 0.95
ENOUGH = 3  # replicates; fewer give no verdict
RESAMPLES = 2000
SEED = 20220621

Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` replicates. `over` says what the interval speaks of; `videos` is the number of performances of a run."""

    mean: float | None
    interval: Interval | None
    n: int
    over: Literal["replicates", "videos", ""] = ""
    videos: int = 0


NOTHING = Estimate(None, None, 0)


@lru_cache(maxsize=256)
def _quantile(share: float, freedom: int) -> float:
    """Of Student's t."""
    return float(stats.t.ppf(share, freedom))


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """mean -+ t(n - 1) * sd / sqrt(n); None for fewer than two values."""
    x = np.asarray(values, dtype=float)
    if x.size < 2:
        return None
    half = _quantile((1 + level) / 2, x.size - 1) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return float(x.mean()) - half, float(x.mean()) + half


@lru_cache(maxsize=4)
def _weights(size: int, seed: int) -> np.ndarray:
    """float32 (RESAMPLES, size): each row the share of each of `size` units in one resample of that many, with replacement."""
    draws = np.random.default_rng([SEED, seed]).multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    return (draws / size).astype(np.float32)


def video_interval(runs: Sequence[np.ndarray], level: float = LEVEL) -> Interval | None:
    """Percentile interval of the mean over runs of each run's mean, performances resampled within each run.

    `runs` holds one vector a run, a value a performance. None where a run has fewer than two performances or where no value varies:
    then resampling can say nothing of what other videos would have given.
    """
    if not runs or any(values.size < 2 for values in runs) or all(np.ptp(values) == 0 for values in runs):
        return None
    means = np.zeros(RESAMPLES)
    for index, values in enumerate(runs):
        centre = float(values.mean())
        means += centre + _weights(values.size, index) @ (values - centre).astype(np.float32)
    low, high = np.quantile(means / len(runs), [(1 - level) / 2, (1 + level) / 2])
    return round(float(low), 6), round(float(high), 6)  # single precision in between


def estimate(values: Sequence[float], runs: Sequence[np.ndarray] = ()) -> Estimate:
    """From a value a replicate and, where they are known, a vector of per-performance values a replicate."""
    if not len(values):
        return NOTHING
    mean = float(np.mean(values))
    if len(values) >= ENOUGH:
        return Estimate(mean, t_interval(values), len(values), "replicates", runs[0].size if len(runs) else 0)
    interval = video_interval(runs) if len(runs) == len(values) else None
    return Estimate(mean, interval, len(values), "videos" if interval else "", runs[0].size if len(runs) else 0)
