"""Find what a row of a table is compared with, and the unit of its numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from studies.paper.published import published
from studies.study import Measure, Method, Row, Study, moco, random_init, top1


def reference(study: Study, row: Row) -> Row | None:
    """Return the baseline of a row: random init in table 2 (as the paper prints no MoCo there), else MoCo on the same part.

    None for the baseline itself, for rows without an encoder and for the gate's rows. The baseline has the world, schedule and loss
    of its row; random init's is pretrained as the table's own baseline is.
    """
    if row.method is None or row.gate:
        return None
    part = row.method.on
    if row.method.kind == "random":
        own = (other.method.on for other in study.rows if other.method and other.method in (moco("A"), moco("source")))
        part = next(own, part)
    found = Row(f"MoCo, pretrained on {row.method.on}", replace(moco(part), changes=row.method.changes))
    if study.name == "diving48":
        found = Row(f"random init, pretrained on {row.method.on}", random_init())
    if row.method == found.method:
        return None
    return next((other for other in study.rows if other.method == found.method), found)


def published_difference(study: Study, row: Row, base: Row, published_name: str) -> float | None:
    """Return the paper's own difference to its own baseline, in points; None where it prints only one of the two, or neither."""
    value = published(study.name, row.label, row.column, published_name)
    origin = published(study.name, base.label, base.column, published_name)
    return round(value.value - origin.value, 2) if value and origin else None


def published_gains(studies: Iterable[Study]) -> dict[Method, float]:
    """Return what the studies' tables print as gain over the baseline on UCF101, finetuned, in points; the baseline's own is 0."""
    found = {moco(): 0.0}
    for study in studies:
        for row in study.rows:
            base = reference(study, row)
            gain = published_difference(study, row, base, top1("A").published) if base and base.method == moco() else None
            if row.method and gain is not None:
                found.setdefault(row.method, gain)
    return found


def unit(measure: Measure) -> str:
    """Return "%" for accuracies and recalls, "points" for the gap, "" for shares, AUROCs, ratios and raw weights."""
    if measure.metric.endswith("background_gap"):
        return "points"
    return "%" if measure.protocol in ("finetune", "probe", "retrieval") else ""
