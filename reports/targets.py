"""Answer for the user's own targets: what can be read off without a network, FAME's gain on each, and over those about motion."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from fame.errors import FameError
from reports.evidence import Evidence, Side
from reports.power import half_width
from reports.statistics import ENOUGH, Estimate, agreement, random_effects
from studies.paper.baseline import published_gains
from studies.paper.tables import STUDIES
from studies.records import Runs
from studies.setting.fields import method_of
from studies.study import FLOORS, Measure, Method, fame, floor, moco, random_init, top1

MOST = 200  # replicates that are worth naming
TO = {"to_baseline": moco(), "to_FAME": fame()}
ORDERED = 5  # rows that make an order
NAMED = 3  # targets that a sentence can name


def of_targets(evidence: Evidence) -> dict[str, Any] | None:
    """Return the `targets` of report.json; None where the study has none.

    `chance` is what always saying the largest class scores. `about_motion` names the targets where the frame difference tells more
    than the mean frame; `gain` is the mean over them with an interval over replicates, `between` by random effects over targets.
    `rows` are all encoders by the same mean, each with the paper's gain; `order` is Kendall's tau of the two, over replicates.
    """
    names = evidence.about.get("targets", [])
    if not names:
        return None
    found = {name: _of_target(evidence, name) for name in names}
    known = {name: one for name, one in found.items() if None not in (one["frame_difference"], one["mean_frame"])}
    moving = [name for name, one in known.items() if one["frame_difference"] > one["mean_frame"]]
    merged, baseline = (_over(evidence, method.text, moving) for method in (fame(), moco()))
    gain = evidence.difference(merged, baseline)
    of_each = [evidence.differences(_side(evidence, fame(), name), _side(evidence, moco(), name)) for name in moving]
    between = random_effects([list(values.values()) for values in of_each])
    rows, order = _rows(evidence, moving)
    return {
        "by_target": found,
        "about_motion": moving,
        "gain": asdict(gain),
        "between": asdict(between) if between else None,
        "rows": rows,
        "order": order,
        "needed": _needed(gain, list(evidence.differences(merged, baseline).values())) if gain.n >= evidence.deciding else None,
    }


def _rows(evidence: Evidence, moving: list[str]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return each encoder of the studies' tables once, by its mean over `moving`, and how far they come in the paper's order."""
    floors = {floor(reads).text for reads in FLOORS}
    found: dict[str, str] = {}
    for cell in evidence.records.cells:
        if cell.study and cell.evaluation == "probe" and cell.method not in floors:
            found.setdefault(cell.method, f"{cell.row} {cell.column}".strip())
    sides = {method: _over(evidence, method, moving) for method in dict.fromkeys((*found, moco().text, fame().text))}
    known = published_gains(STUDIES)
    gains = {text: known.get(method) if (method := _method(text)) else None for text in found}
    rows = [
        {"row": row, "level": asdict(evidence.estimate(*sides[method])), "published": gains[method]}
        | {
            name: None if method == other.text else asdict(evidence.difference(sides[method], sides[other.text]))
            for name, other in TO.items()
        }
        for method, row in found.items()
    ]
    printed = {method: values for method in found if gains[method] is not None and (values := evidence.values(*sides[method]))}
    shared = sorted(set.intersection(*map(set, printed.values()))) if printed else []
    if len(printed) < ORDERED or len(shared) < ENOUGH:
        return rows, None
    ours = np.array([[[values[r] for r in shared]] for values in printed.values()])
    tau, interval = agreement(ours, np.array([[gains[method]] for method in printed], dtype=float))
    return rows, {"tau": tau, "interval": interval, "rows": len(printed), "n": len(shared)}


def _method(text: str) -> Method | None:
    """Return the method that a row declares; None of what no paper prints, as a plugin's that is not here."""
    try:
        return method_of(text)
    except FameError:
        return None


def _of_target(evidence: Evidence, name: str) -> dict[str, Any]:
    classes = next(one["classes"] for one in evidence.about["sets"] if one["part"] == name)
    methods = {reads: floor(reads) for reads in FLOORS} | {
        "random_init": random_init(),
        "baseline": moco(),
        "FAME": fame(),
    }
    found = {said: evidence.estimate(*_side(evidence, method, name)) for said, method in methods.items()}
    levels = {said: one.mean for said, one in found.items()}
    gain = evidence.difference(_side(evidence, fame(), name), _side(evidence, moco(), name))
    largest = 100 * max(classes.values()) / sum(classes.values())
    cells = {said: one.cell for said, one in found.items()}
    return {"videos": sum(classes.values()), "chance": largest, **levels, "gain": asdict(gain), "cells": cells}


def _measure(name: str) -> Measure:
    return replace(top1("A", "probe"), target=name)


def _side(evidence: Evidence, method: Method, name: str) -> Side:
    return evidence.runs(method, _measure(name)), "top1"


def _over(evidence: Evidence, method: str, names: list[str]) -> Side:
    """Return the mean over some targets, as a side: of no one sample, so that its interval is over replicates."""
    runs = [evidence.records.runs(method, "probe", name) for name in names]
    return Runs("", tuple(stage for one in runs if one for stage in one.ids)) if runs and all(runs) else None, "top1"


def _needed(gain: Estimate, differences: list[float]) -> int | None:
    """Return the fewest replicates of this spread whose interval leaves out 0; None where it does already, or none would do."""
    if gain.mean is None or gain.interval is None or gain.n < ENOUGH or gain.interval[0] > 0 or gain.interval[1] < 0:
        return None
    spread = float(np.std(differences, ddof=1))
    return next((n for n in range(gain.n + 1, MOST) if half_width(spread, n) < abs(gain.mean)), None)


def sentence(found: dict[str, Any]) -> str:
    """Say what was measured and where, and what appearance and motion alone read there."""
    known = [found["by_target"][name] for name in found["about_motion"]]
    still, motion = (sum(one[floor] for one in known) / len(known) for floor in ("mean_frame", "frame_difference"))
    names = ", ".join(found["about_motion"]) if len(known) <= NAMED else f"{len(known)} targets"
    return f"top-1 of a linear probe on {names}, where motion alone reads {motion:.0f} %, appearance {still:.0f} %"
