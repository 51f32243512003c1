"""Tell beforehand what n replicates can show, by the spread on selection worlds."""

import math
from collections.abc import Mapping
from typing import Any

from scipy import optimize, stats

from reports.statistics import ENOUGH, LEVEL
from studies.paper.headline import TEXT

POWER = 0.8
OF_TARGET = 5.9  # points: sd of FAME minus baseline on one target, pooled over three of eleven runs each (docs/results/real)


def half_width(sd: float, n: int) -> float:
    """Return that of the 95 % t interval of a mean of `n` >= 2 values with sample standard deviation `sd`, in the unit of `sd`."""
    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)


def detectable(sd: float, n: int) -> float:
    """Return the smallest true difference, in the unit of `sd`, whose 95 % interval lies above 0 in a share POWER of experiments.

    An experiment is a paired t test of `n` >= 2 normal differences; by the noncentral t distribution.
    """
    needed = stats.t.ppf((1 + LEVEL) / 2, n - 1)
    shift = optimize.brentq(lambda shift: stats.nct.sf(needed, n - 1, shift) - POWER, 0.0, 20.0)
    return float(shift) * sd / math.sqrt(n)


def foretold(about: Mapping[str, Any], headline: bool = True) -> str:
    """Return a line for the plan: the smallest effect that the study's replicates find in the headline, or why that is unknown.

    "" at smoke scale, with a given encoder, where no `headline` is measured, and on real videos that are no own targets; but few
    replicates are told of everywhere. FameError where `file` is malformed.
    """
    targets, n = len(about["targets"]), len(about["replicates"])
    few, told = min(len(study["replicates"]) for study in about["studies"]), ""
    if about["scale"] == "smoke" or about["pretrained"]:
        return ""
    if few < ENOUGH:
        more = f"--replicates {ENOUGH}, or --scale mini"
        told = f"n = {few} shows numbers and decides no claim: a verdict needs {ENOUGH} replicates ({more})"
    if n < ENOUGH or not headline or (about["real"] and not targets):
        return told
    compared = f"FAME minus baseline, linear, mean of {targets} targets" if targets else TEXT
    asked = (told and f"{told}; ") + f"smallest effect that n = {n} can detect ({compared})"
    if about["overrides"]:
        return f"{asked}: unknown: the scale's network, clip or epochs were changed"
    sd, of = OF_TARGET / math.sqrt(targets or 1), f"sd {OF_TARGET:g} points on one target, docs/results/real"
    if not targets:
        sd, of = about["spread"], f"sd {about['spread']:g} points over selection worlds, docs/benchmark.md"
    effect = f"{detectable(sd, n):.1f} points with {100 * POWER:.0f} % power"
    return f"{asked}: {effect}; {100 * LEVEL:.0f} % half-width {half_width(sd, n):.1f} points ({of})"
