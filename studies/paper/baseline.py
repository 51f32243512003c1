"""Find what a row of a table is compared with, and the unit of its numbers.

Levels differ between data sets; differences to a baseline can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from studies.paper.published import published
from studies.study import Measure, Method, Row, Study, moco, random_init


@dataclass(frozen=True)
class Reference:
    """Hold the baseline's method, and its row and column in our table ("" where it stands in another table)."""

    method: Method
    label: str
    column: str = ""


def reference(study: Study, row: Row) -> Reference | None:
    """Return the baseline of a row: random init in table 2 (as the paper prints no MoCo there), else MoCo on the same part.

    None for the row that is the baseline itself, for rows without an encoder, and for those that are there for the gate alone.
    Where a row differs from the scale (another world, schedule, loss), so does its baseline.
    """
    if row.method is None or row.gate:
        return None
    if study.name == "diving48":
        method, name = random_init(), "random init"
    else:
        method, name = replace(moco(_part(study, row.method)), changes=row.method.changes), "MoCo"
    if row.method == method:
        return None
    for other in study.rows:
        if other.method == method:
            return Reference(method, other.label, other.column)
    return Reference(method, f"{name}, pretrained on {row.method.on}")


def _part(study: Study, method: Method) -> Literal["A", "source"]:
    """Return what the baseline is pretrained on: as the row is; for random init, on nothing, as the table's own baseline."""
    if method.kind != "random":
        return method.on
    return next((other.method.on for other in study.rows if other.method in (moco("A"), moco("source"))), method.on)  # type: ignore[union-attr]


def published_difference(study: Study, row: Row, base: Reference, published_name: str) -> float | None:
    """Return the paper's own difference to its own baseline, in points; None where it prints only one of the two, or neither."""
    value = published(study.name, row.label, row.column, published_name)
    origin = published(study.name, base.label, base.column, published_name)
    return round(value.value - origin.value, 2) if value and origin else None


def unit(measure: Measure) -> str:
    """Return "%" for accuracies and recalls, "points" for the gap, "" for shares, AUROCs, ratios and raw weights."""
    if measure.metric.endswith("background_gap"):
        return "points"
    return "%" if measure.protocol in ("finetune", "probe", "retrieval") else ""
