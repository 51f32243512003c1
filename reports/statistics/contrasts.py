"""The findings' contrasts, a family of comparisons judged together: which differ from 0, and which are too small to matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reports.statistics.intervals import LEVEL, Estimate, estimate
from reports.statistics.p_values import holm, t_p

ContrastState = Literal["above", "below", "negligible", "open", "withheld", "not run"]


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
