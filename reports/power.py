"""What n replicates can show, told before anything is run: the smallest difference they find, and how precisely they place it.

The spread of the difference comes from selection worlds (studies/setting/spread.toml), which no verdict looks at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scipy import optimize, stats

from reports.statistics import ENOUGH, LEVEL
from studies.setting.spread import FILE, UNKNOWN, spread_at

POWER = 0.8
HEADLINE = "FAME (beta 0.5, single) minus baseline, linear probe on A, deranged scenes"


def half_width(sd: float, n: int, level: float = LEVEL) -> float:
    """Of the t interval of a mean of `n` values with sample standard deviation `sd`, in the unit of `sd`.

    ValueError for n < 2, a negative or infinite sd, or a level outside 0..1.
    """
    _check(sd, n, level)
    return float(stats.t.ppf((1 + level) / 2, n - 1)) * sd / math.sqrt(n)


def detectable(sd: float, n: int, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest true difference, in the unit of `sd`, whose interval lies above 0 in a share `power` of experiments.

    An experiment is `n` paired differences, normal with standard deviation `sd`: the paired t test, by the noncentral t
    distribution.
    ValueError as `half_width`, and where `power` is not between what chance alone gives, (1 - level) / 2, and 1.
    """
    _check(sd, n, level)
    if not (1 - level) / 2 < power < 1:
        raise ValueError(f"power = {power}: it lies between {(1 - level) / 2:g}, which chance alone gives, and 1")
    needed = float(stats.t.ppf((1 + level) / 2, n - 1))

    def short(shift: float) -> float:
        """By how much a true mean of `shift` standard errors misses the power."""
        return float(stats.nct.sf(needed, n - 1, shift)) - power

    high = 1.0
    while short(high) < 0:
        high *= 2
    return float(optimize.brentq(short, 0.0, high)) * sd / math.sqrt(n)


def _check(sd: float, n: int, level: float) -> None:
    if n < 2:
        raise ValueError(f"n = {n}: a spread needs two replicates at least")
    if not (math.isfinite(sd) and sd >= 0):
        raise ValueError(f"sd = {sd}: a standard deviation is a finite number from 0 on")
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: it lies between 0 and 1")


def foretold(about: Mapping[str, Any], file: Path = FILE) -> str:
    """A line for the plan: the smallest effect that the study's replicates find in the headline, or why that is unknown.

    `about` is study.json (studies/setting/recording.py); "" on real videos, with one given encoder, and at smoke scale, whose
    numbers mean nothing. FameError where `file` is not as it describes itself.
    """
    if about["scale"] == "smoke" or about["real"] or about["pretrained"]:
        return ""
    n = len(about["replicates"])
    asked = f"smallest effect that n = {n} can detect ({HEADLINE})"
    if n < ENOUGH:
        return f"{asked}: none, as a verdict needs {ENOUGH} replicates"
    if about["overrides"]:
        return f"{asked}: unknown: the scale's network, clip or epochs were changed"
    found = spread_at(about["scale"], file)
    if found is None:
        return f"{asked}: {UNKNOWN}"
    return (
        f"{asked}: {detectable(found.sd, n):.1f} points with {100 * POWER:.0f} % power; {100 * LEVEL:.0f} % half-width "
        f"{half_width(found.sd, n):.1f} points (sd {found.sd:g} points of {found.measure}, "
        f"{len(found.replicates)} selection worlds, {found.source})"
    )
