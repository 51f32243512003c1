"""Declare findings: studies beyond the paper, with the differences between rows that their questions are answered by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from studies.paper.headline import CONTROL, methods
from studies.study import UNCHANGED, Changes, Measure, Row, Study, balanced, deranged, fame, gap, moco, top1

Place = tuple[str, str]  # a row of the study: its label and its column
State = Literal["above", "below", "negligible", "open", "withheld", "not run"]  # docs/rules.md

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
    """Declare a question and its contrasts; `curve` is what the rows' `at` measure, and `with_claims` runs it with the claims."""

    paper: str = "a finding"
    claims: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = MEASURES
    question: str
    contrasts: tuple[Contrast, ...]
    curve: str = ""
    with_claims: bool = False


def difference(greater: Place | Best, lesser: Place | Best) -> Terms:
    """Return greater - lesser."""
    return ((1.0, greater), (-1.0, lesser))


def less(terms: Terms, others: Terms) -> Terms:
    """Return terms - others."""
    return (*terms, *times(-1.0, others))


def times(factor: float, terms: Terms) -> Terms:
    """Return the terms, every weight multiplied by `factor`."""
    return tuple((factor * weight, place) for weight, place in terms)


BASELINE, FAME, RANDOM = "baseline", "FAME", "random init"  # rows; the setting is the column
MASK_MEASURES = tuple(
    Measure(f"{variant}/0.5/paper/{measure}", "masks", "A", f"{word} mask, {said}", kind="mechanism")
    for variant, word in (("fame", "FAME"), ("seed", "Seed"))
    for measure, said in (("recall_lift", "recall lift"), ("auroc", "AUROC"))
)
MASK_LIFT, SEED_LIFT = MASK_MEASURES[0], MASK_MEASURES[2]


def gate_rows(changes: Changes = UNCHANGED, column: str = "", at: float | None = None) -> tuple[Row, ...]:
    """Return random initialisation and the positive control in a world, for its gate alone."""
    return tuple(Row(name, methods(changes)[name], column, at, gate=True) for name in (RANDOM, CONTROL))


START = gate_rows()  # of the scale's own world


def in_worlds(field: str, columns: Mapping[str, float], betas: Mapping[str, float | None] = {FAME: None}) -> tuple[Row, ...]:
    """Return baseline and FAME (rows of several betas) in each changed world, where they are tested too, and that world's gate."""
    return tuple(
        row
        for column, value in columns.items()
        for row in (
            Row(BASELINE, moco(world={field: value}), column, value),
            *(Row(label, fame(beta, world={field: value}), column, value) for label, beta in betas.items()),
            *gate_rows(Changes.of(world={field: value}), column, value),
        )
    )


def in_schedules(field: str, columns: Mapping[str, float]) -> tuple[Row, ...]:
    """Return both methods, pretrained with each value of a field of `Optim`."""
    methods = ((BASELINE, moco), (FAME, fame))
    return tuple(
        Row(label, method(optim={field: value}), column, value) for column, value in columns.items() for label, method in methods
    )


def gain(column: str, row: str = FAME) -> Terms:
    """Return by how much a row is above the baseline of its column."""
    return difference((row, column), (BASELINE, column))


def gains(columns: Iterable[str]) -> tuple[Contrast, ...]:
    """Return FAME's gain in each column."""
    return tuple(Contrast(f"FAME - baseline at {column}", gain(column)) for column in columns)
