"""Intervals, links and verdicts (DESIGN.md, "Statistics").

Two kinds of interval, never mixed. Over *replicates*: the t interval, which speaks of the method. Over *videos*: performances of
the runs at hand are resampled, which speaks of these runs only and stands in where there are fewer than three replicates. A
difference is paired: by replicate in the first, by performance in the second.

How often a verdict may be false, where differences are normal (tests/test_coverage.py simulates it): "supported" at a true
difference of 0 or less, 2.5 %; "refuted" at one of the margin or more, 2.5 %; "equal" at one of delta or more either way, 5 %; its
refutation within delta, 2.5 %. A claim is judged wrongly no more often than that: all links must hold for "reproduced", and Holm's
adjustment keeps chance among many links from making "not reproduced". Skewed differences shift errors from one side of an interval
to the other: at n = 6 and a skewness of 0.5 (of 1) its sides miss in 3.9 and 1.6 % (in 5.7 and 1.0 %) instead of 2.5 and 2.5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special, stats

LEVEL = 0.95
ENOUGH = 3  # replicates; fewer give no verdict
RESAMPLES = 2000
SEED = 20220621
MOST_REPLICATES = 1000  # a search for the number needed ends here
ONE_SIDE = (1 - LEVEL) / 2
ALL_SIGNS = 12  # replicates up to which every pattern of signs is tried: 4096 of them

Interval = tuple[float, float]
LinkVerdict = Literal["supported", "refuted", "inconclusive", "not run"]
ContrastState = Literal["above", "below", "negligible", "open", "withheld", "not run"]
Verdict = Literal["reproduced", "not reproduced", "inconclusive", "not run"]


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


# ---------------------------------------------------------------- links


@dataclass(frozen=True)
class LinkResult:
    """A link's estimate and verdict; where that is open, how many replicates it would take (None: unknown, or too many)."""

    estimate: Estimate
    verdict: LinkVerdict
    p_refuted: float = 1.0  # one-sided, not adjusted
    negligible: bool = False  # the upper bound lies below the margin
    needed: int | None = None
    p_sign_flip: float | None = None  # shown beside the verdict, which it does not decide


def _spread(differences: Sequence[float]) -> tuple[int, float, float]:
    x = np.asarray(differences, dtype=float)
    return x.size, float(x.mean()), float(x.std(ddof=1)) / math.sqrt(x.size)


def _below(bound: float, n: int, mean: float, error: float) -> float:
    """One-sided p of "the true mean is at least `bound`"."""
    if error == 0:
        return 0.0 if mean < bound else 1.0
    return float(special.stdtr(n - 1, (mean - bound) / error))


def _outside(delta: float, n: int, mean: float, error: float) -> float:
    """p of "the true mean lies within +-delta": both tails, as a mean far out on either side speaks against it.

    One tail alone would be exceeded up to twice as often as it says where delta is small beside the error.
    """
    return min(1.0, _below(-delta, n, -abs(mean), error) + _below(delta, n, -abs(mean), error))


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Two-sided p in 0..1 of "each difference could as well have had the other sign", of the mean; None for fewer than two values.

    Exact up to ALL_SIGNS values, by all 2^n patterns of signs; above that by as many seeded random ones as ALL_SIGNS values have.
    It assumes no normal distribution, only symmetry, and is information that decides nothing: its smallest value is 2 / 2^n, so
    under six replicates it never falls below 0.05.
    """
    x = np.asarray(differences, dtype=float)
    if x.size < 2:
        return None
    random = np.random.default_rng(SEED)
    found = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", vectorized=True, n_resamples=2**ALL_SIGNS, random_state=random
    )
    return float(found.pvalue)


def judge_link(differences: Sequence[float], margin: float, found: Estimate | None = None) -> LinkResult:
    """a > b from paired differences a - b, a value a replicate: supported if L > 0; refuted if L <= 0 and U < m; else inconclusive.

    Under three replicates it is inconclusive whatever they are; `found` is then the estimate to show (over videos).
    """
    shown = found or estimate(differences)
    if not len(differences):
        return LinkResult(shown, "not run")
    if len(differences) < ENOUGH:
        return LinkResult(shown, "inconclusive")
    interval = t_interval(differences)
    assert interval is not None
    low, high = interval
    p = _below(margin, *_spread(differences)) if low <= 0 else 1.0
    verdict: LinkVerdict = "supported" if low > 0 else "refuted" if high < margin else "inconclusive"
    needed = replicates_needed(differences, margin) if verdict == "inconclusive" else None
    return LinkResult(shown, verdict, p, high < margin, needed, sign_flip_p(differences))


def judge_equality(differences: Sequence[float], delta: float | None, found: Estimate | None = None) -> LinkResult:
    """a = b within +-delta, two one-sided tests: supported if the 90 % interval lies inside.

    Refuted if "within +-delta" has p < 0.025, which is as good as a 95 % interval that lies outside. Without a delta (it is
    fixed on selection worlds) it stays inconclusive.
    """
    shown = found or estimate(differences)
    if not len(differences):
        return LinkResult(shown, "not run")
    if len(differences) < ENOUGH:
        return LinkResult(shown, "inconclusive")
    flipped = sign_flip_p(differences)
    if delta is None or delta <= 0:
        return LinkResult(shown, "inconclusive", p_sign_flip=flipped)
    inner = t_interval(differences, 0.90)
    assert inner is not None
    n, mean, error = _spread(differences)
    p = _outside(delta, n, mean, error)
    if -delta < inner[0] and inner[1] < delta:
        return LinkResult(shown, "supported", p, p_sign_flip=flipped)
    if p < ONE_SIDE:
        return LinkResult(shown, "refuted", p, p_sign_flip=flipped)
    needed = _first_n(differences, lambda t90, t95: (t90 < delta - abs(mean)) | (t95 < abs(mean) - delta))
    return LinkResult(shown, "inconclusive", p, needed=needed, p_sign_flip=flipped)


def replicates_needed(differences: Sequence[float], margin: float) -> int | None:
    """The smallest n at which the observed mean and spread would decide the link a > b; None above MOST_REPLICATES."""
    mean = float(np.mean(differences))
    return _first_n(differences, lambda t90, t95: (t95 < mean) | ((mean - t95 <= 0) & (mean + t95 < margin)))


@lru_cache(maxsize=1)
def _halves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of replicates, and the half-widths of the 90 % and 95 % interval that go with each at a spread of 1."""
    sizes = np.arange(ENOUGH, MOST_REPLICATES + 1)
    narrow, wide = (stats.t.ppf(share, sizes - 1) / np.sqrt(sizes) for share in (0.95, 0.975))
    return sizes, narrow, wide


def _first_n(differences: Sequence[float], decided: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> int | None:
    """Smallest n >= the present one for which decided(half-widths of the 90 % intervals, of the 95 % intervals) holds."""
    sd = float(np.std(differences, ddof=1))
    sizes, narrow, wide = _halves()
    right = sizes[(sizes >= len(differences)) & decided(sd * narrow, sd * wide)]
    return int(right[0]) if right.size else None


# ---------------------------------------------------------------- claims


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: compare with the level that one test would have."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def judge_claim(links: Sequence[LinkResult]) -> Verdict:
    """All links supported: reproduced. One refuted after Holm's adjustment: not reproduced. None has run: not run. Else open."""
    if all(link.verdict == "not run" for link in links):
        return "not run"
    if all(link.verdict == "supported" for link in links):
        return "reproduced"
    adjusted = holm([link.p_refuted for link in links])
    if any(link.verdict == "refuted" and p < ONE_SIDE for link, p in zip(links, adjusted, strict=True)):
        return "not reproduced"
    return "inconclusive"


# ---------------------------------------------------------------- contrasts


@dataclass(frozen=True)
class ContrastResult:
    """A contrast's mean; its two-sided p, alone and adjusted for all that were looked at with it; what it says.

    above, below: the adjusted p is under 0.05; negligible: the 95 % interval lies within the margin on both sides of 0, which needs
    no adjustment where it is asked of several at once; open: neither. withheld: too few replicates.
    """

    estimate: Estimate
    p: float | None
    adjusted: float | None
    state: ContrastState


def t_p(values: Sequence[float]) -> float | None:
    """Two-sided p of "the true mean is 0" (Student's t); None under three values."""
    if len(values) < ENOUGH:
        return None
    n, mean, error = _spread(values)
    return min(1.0, 2 * _below(0.0, n, -abs(mean), error))


def judge_contrasts(found: Sequence[tuple[Sequence[float], float]]) -> list[ContrastResult]:
    """One family of comparisons: a value a replicate, and the margin, of each. What has no p counts as one more comparison."""
    ps = [t_p(values) for values, _ in found]
    results = []
    for (values, margin), p, adjusted in zip(found, ps, holm([1.0 if p is None else p for p in ps]), strict=True):
        shown = estimate(values)
        if p is None or shown.mean is None or shown.interval is None:
            results.append(ContrastResult(shown, None, None, "withheld" if len(values) else "not run"))
            continue
        low, high = shown.interval
        differs: ContrastState = "above" if shown.mean > 0 else "below"
        within = -margin < low and high < margin
        results.append(ContrastResult(shown, p, adjusted, differs if adjusted < 1 - LEVEL else "negligible" if within else "open"))
    return results
