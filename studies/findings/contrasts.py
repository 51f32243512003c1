"""Declare findings: studies beyond the paper, with the differences between rows that their questions are answered by.

A contrast is a weighted sum of rows, a value a replicate: FAME - baseline, or half of one gain minus another gain. It is
declared in the study's file, before its runs are looked at; reports/contrasts.py computes it and adjusts all of a study's together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studies.study import Measure, Study, balanced, deranged, gap, top1

Place = tuple[str, str]  # a row of the study: its label and its column
State = Literal["above", "below", "negligible", "open", "withheld", "not run"]

# above, below   its mean differs from 0, after Holm's adjustment for all comparisons of the study
# negligible     its 95 % interval lies within the margin on both sides of 0
# open           neither: the interval is too wide to tell
# withheld       under three replicates, some of them missing, or in a setting whose gate is not passed
DECIDING = (deranged("A"), balanced("A"))  # every contrast is computed by both; the first decides
MEASURES = (top1("A", "probe"), *DECIDING, gap("A"))


@dataclass(frozen=True)
class Best:
    """Take the row of several that has the highest mean by a measure: equal tuning."""

    places: tuple[Place, ...]
    by: Measure


Terms = tuple[tuple[float, Place | Best], ...]  # weight and row


@dataclass(frozen=True)
class Contrast:
    """Declare a weighted sum of rows whose sign is tested. `measure`: None is each measure of `DECIDING`."""

    name: str
    terms: Terms
    measure: Measure | None = None


@dataclass(frozen=True, kw_only=True)
class Finding(Study):
    """Declare a study that goes beyond the paper: a question, answered by contrasts between rows of its table.

    `curve`: what the rows' `at` measure, the axis of the study's figure; "" where its rows are no series.
    `with_claims`: tests no claim, but runs with them, since they are read by it.
    """

    paper: str = "a finding"
    claims: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = MEASURES
    question: str
    contrasts: tuple[Contrast, ...]
    curve: str = ""
    with_claims: bool = False


def row(place: Place | Best) -> Terms:
    """Return the row itself, with weight 1."""
    return ((1.0, place),)


def times(factor: float, terms: Terms) -> Terms:
    """Return the terms, every weight multiplied by `factor`."""
    return tuple((factor * weight, place) for weight, place in terms)


def less(terms: Terms, others: Terms) -> Terms:
    """Return terms - others."""
    return (*terms, *times(-1.0, others))


def difference(greater: Place | Best, lesser: Place | Best) -> Terms:
    """Return greater - lesser."""
    return less(row(greater), row(lesser))
