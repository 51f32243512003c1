"""p values of a mean over replicates, by Student's t and by flipped signs; and their adjustment where several are looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special, stats

from reports.statistics.intervals import ENOUGH, SEED

ALL_SIGNS = 12  # replicates up to which every pattern of signs is tried: 4096 of them


def moments(differences: Sequence[float]) -> tuple[int, float, float]:
    """Number of values, their mean and its standard error, in the values' unit; two values at least."""
    x = np.asarray(differences, dtype=float)
    return x.size, float(x.mean()), float(x.std(ddof=1)) / math.sqrt(x.size)


def below(bound: float, n: int, mean: float, error: float) -> float:
    """One-sided p of "the true mean is at least `bound`"."""
    if error == 0:
        return 0.0 if mean < bound else 1.0
    return float(special.stdtr(n - 1, (mean - bound) / error))


def outside(delta: float, n: int, mean: float, error: float) -> float:
    """p of "the true mean lies within +-delta": both tails, as a mean far out on either side speaks against it.

    One tail alone would be exceeded up to twice as often as it says where delta is small beside the error.
    """
    return min(1.0, below(-delta, n, -abs(mean), error) + below(delta, n, -abs(mean), error))


def t_p(values: Sequence[float]) -> float | None:
    """Two-sided p of "the true mean is 0" (Student's t); None under three values."""
    if len(values) < ENOUGH:
        return None
    n, mean, error = moments(values)
    return min(1.0, 2 * below(0.0, n, -abs(mean), error))


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


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: compare with the level that one test would have."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]
