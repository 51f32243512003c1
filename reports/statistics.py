"""Judge means over replicates or videos: intervals, links a > b or a = b, claims, and contrasts (docs/rules.md has the rules).

Over *replicates*: the t interval, which speaks of the method. Over *videos*: performances are resampled, which speaks of the runs
at hand only and stands in where there are fewer than three replicates. The two are never mixed.

How often a verdict may be false, where differences are normal (tests/reports/test_coverage.py simulates it): "supported" at a true
difference of 0 or less, 2.5 %; "refuted" at one of the margin or more, 2.5 %; "equal" at one of delta or more either way, 5 %; its
refutation within delta, 2.5 %. Skewed differences shift errors from one side of an interval to the other: at n = 6 and a skewness
of 0.5 (of 1) its sides miss in 3.9 and 1.6 % (in 5.7 and 1.0 %) instead of 2.5 and 2.5 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from statsmodels.stats.meta_analysis import combine_effects

from studies.findings.contrasts import State

LEVEL = 0.95
ENOUGH = 3  # replicates; fewer give no verdict
RESAMPLES = 2000
SEED = 20220621
ALL_SIGNS = 12  # replicates up to which every pattern of signs is tried: 4096 of them
ONE_SIDE = (1 - LEVEL) / 2

Interval = tuple[float, float]
LinkVerdict = Literal["supported", "refuted", "inconclusive", "not run"]
Verdict = Literal["reproduced", "not reproduced", "inconclusive", "not run"]


@dataclass(frozen=True)
class Estimate:
    """Hold a mean over `n` replicates; `over` says what the interval speaks of, `videos` how many performances a run has.

    `cell` is the stage that the page opens for it: the tested one of a difference; None where no one stage was estimated.
    """

    mean: float | None
    interval: Interval | None
    n: int
    over: Literal["replicates", "videos", ""] = ""
    videos: int = 0
    cell: str | None = None


NOTHING = Estimate(None, None, 0)


@dataclass(frozen=True)
class Pooled:
    """Hold the mean over targets as a sample of such targets, and how far these differ: `tau`, their standard deviation, and I2."""

    mean: float
    interval: Interval
    tau: float
    i2: float  # share of the spread that replicates do not explain


@dataclass(frozen=True)
class LinkResult:
    """Hold a link's estimate and verdict."""

    estimate: Estimate
    verdict: LinkVerdict
    p_refuted: float = 1.0  # one-sided, not adjusted
    no_gain: bool = False  # the upper bound lies below the margin
    p_sign_flip: float | None = None  # shown beside the verdict, which it does not decide


@dataclass(frozen=True)
class ContrastResult:
    """Hold a contrast's mean, its two-sided p, that p adjusted for all that were looked at with it, and what it says."""

    estimate: Estimate
    p: float | None
    adjusted: float | None
    state: State


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Return mean -+ t(n - 1) * sd / sqrt(n), of two values at least."""
    x = np.asarray(values, dtype=float)
    half = float(special.stdtrit(x.size - 1, (1 + level) / 2)) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return float(x.mean()) - half, float(x.mean()) + half


@lru_cache(maxsize=4)
def _weights(size: int, seed: int) -> np.ndarray:
    """float32 (RESAMPLES, size): each row the share of each of `size` units in one resample of that many, with replacement."""
    draws = np.random.default_rng([SEED, seed]).multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    return (draws / size).astype(np.float32)


def video_interval(runs: Sequence[np.ndarray], level: float = LEVEL) -> Interval | None:
    """Return the percentile interval of the mean over runs of each run's mean, performances resampled within each run.

    `runs` holds a vector a run, a value a performance. None where a run has fewer than two or no value varies.
    """
    if not runs or any(values.size < 2 for values in runs) or all(np.ptp(values) == 0 for values in runs):
        return None
    means = np.zeros(RESAMPLES)
    for index, values in enumerate(runs):
        centre = float(values.mean())
        means += centre + _weights(values.size, index) @ (values - centre).astype(np.float32)
    low, high = np.quantile(means / len(runs), [(1 - level) / 2, (1 + level) / 2])
    return round(float(low), 4), round(float(high), 4)  # single precision in between


def estimate(values: Sequence[float], runs: Sequence[np.ndarray] = ()) -> Estimate:
    """Estimate from a value a replicate and, where they are known, a vector of per-performance values a replicate."""
    if not len(values):
        return NOTHING
    mean, videos = float(np.mean(values)), runs[0].size if len(runs) else 0
    if len(values) >= ENOUGH:
        return Estimate(mean, t_interval(values), len(values), "replicates", videos)
    interval = video_interval(runs) if len(runs) == len(values) else None
    return Estimate(mean, interval, len(values), "videos" if interval else "", videos)


def moments(values: Sequence[float]) -> tuple[int, float, float]:
    """Return the number of values, their mean and its standard error; two values at least."""
    x = np.asarray(values, dtype=float)
    return x.size, float(x.mean()), float(x.std(ddof=1)) / math.sqrt(x.size)


def below(bound: float, n: float, mean: float, error: float) -> float:
    """Return the one-sided p of "the true mean is at least `bound`"."""
    if error == 0:
        return 0.0 if mean < bound else 1.0
    return float(special.stdtr(n - 1, (mean - bound) / error))


def outside(delta: float, n: float, mean: float, error: float) -> float:
    """Return the p of "the true mean lies within +-delta": both tails, as a mean far out on either side speaks against it."""
    return min(1.0, below(-delta, n, -abs(mean), error) + below(delta, n, -abs(mean), error))


def random_effects(targets: Sequence[Sequence[float]]) -> Pooled | None:
    """Pool targets, each a value a replicate: Paule and Mandel's tau, Hartung and Knapp's interval.

    None under two targets, and where one has under three replicates or no spread.
    """
    found = [moments(values) for values in targets if len(values) >= ENOUGH]
    means, errors = np.array([mean for _, mean, _ in found]), np.array([error for *_, error in found])
    if len(found) < max(2, len(targets)) or not errors.all():
        return None
    with np.errstate(divide="ignore"):  # of I2, where all targets are equal
        # its own tolerance, 1e-5, is seen in an interval's third decimal; a much smaller one would take rounding for a tau of 0
        pooled = combine_effects(means, errors**2, method_re="iterated", use_t=True, atol=1e-6)
    low, high = map(float, pooled.conf_int()[1])
    return Pooled(float(pooled.mean_effect_re), (low, high), math.sqrt(max(pooled.tau2, 0.0)), max(float(pooled.i2), 0.0))


def t_p(values: Sequence[float]) -> float | None:
    """Return the two-sided p of "the true mean is 0" (Student's t); None under three values."""
    return outside(0.0, *moments(values)) if len(values) >= ENOUGH else None


def welch(here: Sequence[float], there: Sequence[float]) -> tuple[Estimate, float]:
    """Estimate mean(here) - mean(there) of unpaired values, two a side at least, and its two-sided p (Welch's t)."""
    (n, one, error_one), (m, other, error_other) = moments(here), moments(there)
    mean, error = one - other, math.hypot(error_one, error_other)
    freedom = error**4 / (error_one**4 / (n - 1) + error_other**4 / (m - 1)) if error else n + m - 2.0
    half = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return Estimate(mean, (mean - half, mean + half), min(n, m), "replicates"), outside(0.0, freedom + 1, mean, error)


def apart(here: Estimate, there: Estimate) -> Estimate:
    """Estimate here - there of two means with intervals over videos, as of independent samples (Newcombe's square-and-add)."""
    if here.mean is None or there.mean is None:
        return NOTHING
    mean, n = here.mean - there.mean, min(here.n, there.n)
    if not here.interval or not there.interval or not here.over == there.over == "videos":
        return Estimate(mean, None, n)
    (low, high), (lower, higher) = here.interval, there.interval
    bounds = mean - math.hypot(here.mean - low, higher - there.mean), mean + math.hypot(high - here.mean, there.mean - lower)
    return Estimate(mean, bounds, n, "videos")


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p of "each difference could as well have had the other sign", of the mean; None under two values.

    Exact up to ALL_SIGNS values, by all 2^n patterns of signs; above that by as many seeded random ones as ALL_SIGNS values have.
    It assumes symmetry only. Its smallest value is 2 / 2^n, so under six replicates it never falls below 0.05.
    """
    x = np.asarray(differences, dtype=float)
    if x.size < 2:
        return None
    random = np.random.default_rng(SEED)
    found = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", vectorized=True, n_resamples=2**ALL_SIGNS, random_state=random
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust by Holm's step-down method, in the order given: compare with the level that one test would have.

    Not statsmodels' `multipletests`, which collects garbage in each call: 50 ms.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted.tolist()


def judge_link(differences: Sequence[float], margin: float, found: Estimate | None = None) -> LinkResult:
    """Judge a > b from paired differences: supported if L > 0; refuted if L <= 0 and U < m; inconclusive under three replicates."""
    shown = found or estimate(differences)
    if len(differences) < ENOUGH:
        return LinkResult(shown, "inconclusive" if len(differences) else "not run")
    low, high = t_interval(differences)
    p = below(margin, *moments(differences)) if low <= 0 else 1.0
    verdict: LinkVerdict = "supported" if low > 0 else "refuted" if high < margin else "inconclusive"
    return LinkResult(shown, verdict, p, high < margin, sign_flip_p(differences))


def judge_equality(differences: Sequence[float], delta: float | None, found: Estimate | None = None) -> LinkResult:
    """Judge a = b within +-delta by two one-sided tests: supported if the 90 % interval lies inside.

    Refuted if "within +-delta" has p < 0.025. Without a delta it stays inconclusive.
    """
    shown = found or estimate(differences)
    if len(differences) < ENOUGH:
        return LinkResult(shown, "inconclusive" if len(differences) else "not run")
    flipped = sign_flip_p(differences)
    if delta is None:
        return LinkResult(shown, "inconclusive", p_sign_flip=flipped)
    low, high = t_interval(differences, 0.90)
    p = outside(delta, *moments(differences))
    verdict: LinkVerdict = "supported" if -delta < low and high < delta else "refuted" if p < ONE_SIDE else "inconclusive"
    return LinkResult(shown, verdict, p, p_sign_flip=flipped)


def judge_claim(links: Sequence[LinkResult]) -> Verdict:
    """Judge by all links: all supported, reproduced; one refuted after Holm's adjustment, not reproduced; else open."""
    if all(link.verdict == "not run" for link in links):
        return "not run"
    if all(link.verdict == "supported" for link in links):
        return "reproduced"
    adjusted = holm([link.p_refuted for link in links])
    if any(link.verdict == "refuted" and p < ONE_SIDE for link, p in zip(links, adjusted, strict=True)):
        return "not reproduced"
    return "inconclusive"


def agreement(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, Interval]:
    """Return Kendall's tau-b of two orders and its interval: (methods, targets, replicates) against (methods, replicates).

    Resampling adds noise and so draws tau towards 0: where tau itself would lie outside, the interval is widened to it.
    """

    def tau(targets: NDArray[np.intp], here: NDArray[np.intp], there: NDArray[np.intp]) -> float:
        order = ours[:, targets][:, :, here].mean(axis=(1, 2)), theirs[:, there].mean(axis=1)
        return float(np.nan_to_num(stats.kendalltau(*order).statistic))  # all methods tied: no order to agree with

    every = [np.arange(size) for size in (*ours.shape[1:], theirs.shape[1])]
    random = np.random.default_rng(SEED)
    point = tau(*every)
    drawn = [tau(*(random.choice(places, len(places)) for places in every)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return point, (min(float(low), point), max(float(high), point))


def judge_contrasts(found: Sequence[tuple[Sequence[float], float]]) -> list[ContrastResult]:
    """Judge one family of comparisons: a value a replicate, and the margin, of each."""
    return judge_family([(estimate(values), t_p(values), margin) for values, margin in found])


def judge_family(found: Sequence[tuple[Estimate, float | None, float]]) -> list[ContrastResult]:
    """Judge comparisons together: estimate, p and margin of each. What has no p counts as one more comparison.

    "negligible" needs no adjustment where it is asked of several at once.
    """
    results = []
    for (shown, p, margin), adjusted in zip(found, holm([1.0 if p is None else p for _, p, _ in found]), strict=True):
        if p is None or shown.mean is None or shown.interval is None:
            results.append(ContrastResult(shown, None, None, "withheld" if shown.n else "not run"))
            continue
        low, high = shown.interval
        differs: State = "above" if shown.mean > 0 else "below"
        within = -margin < low and high < margin
        results.append(ContrastResult(shown, p, adjusted, differs if adjusted < 1 - LEVEL else "negligible" if within else "open"))
    return results
