"""Verdicts on links, a > b or a = b, and on claims, which consist of them (docs/rules.md).

How often a verdict may be false, where differences are normal (tests/reports/test_coverage.py simulates it): "supported" at a true
difference of 0 or less, 2.5 %; "refuted" at one of the margin or more, 2.5 %; "equal" at one of delta or more either way, 5 %; its
refutation within delta, 2.5 %. A claim is judged wrongly no more often than that: all links must hold for "reproduced", and Holm's
adjustment keeps chance among many links from making "not reproduced". Skewed differences shift errors from one side of an interval
to the other: at n = 6 and a skewness of 0.5 (of 1) its sides miss in 3.9 and 1.6 % (in 5.7 and 1.0 %) instead of 2.5 and 2.5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import stats

from reports.statistics.intervals import ENOUGH, LEVEL, Estimate, estimate, t_interval
from reports.statistics.p_values import below, holm, moments, outside, sign_flip_p

MOST_REPLICATES = 1000  # a search for the number needed ends here
ONE_SIDE = (1 - LEVEL) / 2

LinkVerdict = Literal["supported", "refuted", "inconclusive", "not run"]
Verdict = Literal["reproduced", "not reproduced", "inconclusive", "not run"]


@dataclass(frozen=True)
class LinkResult:
    """A link's estimate and verdict; where that is open, how many replicates it would take (None: unknown, or too many)."""

    estimate: Estimate
    verdict: LinkVerdict
    p_refuted: float = 1.0  # one-sided, not adjusted
    no_gain: bool = False  # the upper bound lies below the margin
    needed: int | None = None
    p_sign_flip: float | None = None  # shown beside the verdict, which it does not decide


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
    p = below(margin, *moments(differences)) if low <= 0 else 1.0
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
    n, mean, error = moments(differences)
    p = outside(delta, n, mean, error)
    if -delta < inner[0] and inner[1] < delta:
        return LinkResult(shown, "supported", p, p_sign_flip=flipped)
    if p < ONE_SIDE:
        return LinkResult(shown, "refuted", p, p_sign_flip=flipped)
    needed = _first_n(differences, lambda t90, t95: (t90 < delta - abs(mean)) | (t95 < abs(mean) - delta))
    return LinkResult(shown, "inconclusive", p, needed=needed, p_sign_flip=flipped)


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
