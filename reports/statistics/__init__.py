"""Intervals, links and verdicts (docs/rules.md): intervals -> p_values -> links, contrasts. Others import from here."""

from __future__ import annotations

from reports.statistics.contrasts import ContrastResult, ContrastState, judge_contrasts
from reports.statistics.intervals import (
    ENOUGH,
    LEVEL,
    NOTHING,
    RESAMPLES,
    SEED,
    Estimate,
    Interval,
    estimate,
    t_interval,
    video_interval,
)
from reports.statistics.links import (
    MOST_REPLICATES,
    ONE_SIDE,
    LinkResult,
    LinkVerdict,
    Verdict,
    judge_claim,
    judge_equality,
    judge_link,
    replicates_needed,
)
from reports.statistics.p_values import ALL_SIGNS, holm, sign_flip_p, t_p

__all__ = [
    "ALL_SIGNS",
    "ENOUGH",
    "LEVEL",
    "MOST_REPLICATES",
    "NOTHING",
    "ONE_SIDE",
    "RESAMPLES",
    "SEED",
    "ContrastResult",
    "ContrastState",
    "Estimate",
    "Interval",
    "LinkResult",
    "LinkVerdict",
    "Verdict",
    "estimate",
    "holm",
    "judge_claim",
    "judge_contrasts",
    "judge_equality",
    "judge_link",
    "replicates_needed",
    "sign_flip_p",
    "t_interval",
    "t_p",
    "video_interval",
]
