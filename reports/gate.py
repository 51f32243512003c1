"""Tell whether the baseline learnt anything where a comparison stands (docs/rules.md).

It has to be 10 points of balanced accuracy above random initialisation in every world of a claim and every setting of a finding.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reports.evidence import Evidence, Side
from reports.statistics import NOTHING, Estimate
from studies.paper import links
from studies.paper.links import GATE_POINTS, gate_of
from studies.study import UNCHANGED, Changes, Measure, Method

OWN = "the scale's own setting"
TIMES = {"epochs_times": "epochs", "lr_times": "learning rate"}


@dataclass(frozen=True)
class Gate:
    """Hold baseline - random init of one setting, in points, and why nothing learnt is judged there ("" where it may be).

    "not asked": real videos have no balanced split, one given encoder no baseline.
    """

    where: str
    found: Estimate
    status: Literal["passed", "failed", "interim", "not run", "not asked"]
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        told = {"where": self.where, "status": self.status, "points": GATE_POINTS, "reason": self.reason}
        return told | asdict(self.found)


def gate(evidence: Evidence, changes: Changes = UNCHANGED, awaited: int | None = None) -> Gate:
    """Return the gate of a setting; the mean alone decides. `awaited`: replicates that have to be there; None: as for a verdict."""
    if evidence.about["real"] or evidence.about["pretrained"]:
        return Gate(OWN, NOTHING, "not asked")
    baseline, start = sides(evidence, changes)
    own = (baseline, start) == sides(evidence, UNCHANGED)
    where, there = (OWN, "") if own else (said(changes), f" at {said(changes)}")
    found, planned = evidence.difference(baseline, start), evidence.awaited if awaited is None else awaited
    if found.mean is None:
        lacks = "its balanced accuracy beside random init's has not run"
        return Gate(where, found, "not run", f"whether the baseline learnt anything{there} is unknown: {lacks}")
    if found.mean < GATE_POINTS:
        told = f"the baseline is {found.mean:+.1f} points of balanced accuracy from random init{there}"
        return Gate(where, found, "failed", f"{told}, under the {GATE_POINTS:g} that verdicts require")
    if found.n < planned:
        short = f"is known of {found.n} of {planned} replicates"
        return Gate(where, found, "interim", f"interim: whether the baseline learnt anything{there} {short}")
    return Gate(where, found, "passed")


def gates(evidence: Evidence, methods: Iterable[Method], awaited: int | None = None) -> list[Gate]:
    """Return the gates of the settings of these methods, each setting once, in order."""
    settings: dict[tuple[Side, Side], Changes] = {}
    for method in methods:
        settings.setdefault(sides(evidence, method.changes), method.changes)
    return [gate(evidence, changes, awaited) for changes in settings.values()]


def sides(evidence: Evidence, changes: Changes) -> tuple[Side, Side]:
    """Return the baseline's number and random init's, as runs: equal ones are of one setting, however it is worded."""
    link = gate_of(changes)
    return _number(evidence, link.greater), _number(evidence, link.lesser)


def _number(evidence: Evidence, side: links.Side) -> Side:
    assert isinstance(side.measure, Measure)
    return evidence.runs(side.method, side.measure), side.measure.metric


def said(changes: Changes) -> str:
    """Return a setting in words: `likeness 1`, `4x epochs`, `symmetric True`."""
    pairs = (*changes.world, *changes.optim, *changes.moco, *changes.augment)
    return ", ".join(
        f"{value:.3g}x {TIMES[name]}" if name in TIMES else f"{name} {value:.3g}" if type(value) is float else f"{name} {value}"
        for name, value in pairs
    )


def hollow(asked: Iterable[Gate]) -> str:
    """Return a caption's sentence on the settings whose gate is not passed; "" where there is none."""
    told = []
    for gate in dict.fromkeys(asked):
        mean = "" if gate.found.mean is None else f" ({gate.found.mean:+z.1f} points, n = {gate.found.n})"
        told += [f"gate {gate.status} at {gate.where}{mean}"] if gate.reason else []
    return f" Hollow points: that the baseline there learnt anything is not shown ({'; '.join(told)})." if told else ""
