"""The gate: whether the baseline learnt anything where a comparison stands (docs/rules.md).

It is asked of every world that a claim's links touch, and of every setting of a finding: the baseline pretrained and tested there
has to be 10 points of balanced accuracy above random initialisation tested there. A comparison with a baseline that learnt nothing
says nothing, so where the gate is shut, or not known, nothing learnt is judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from reports.evidence import Evidence, Side
from reports.statistics import NOTHING, Estimate
from studies.paper import links
from studies.paper.links import GATE_POINTS, gate_of
from studies.study import UNCHANGED, Changes, Measure, Method

OWN = "the scale's own setting"
TIMES = {"epochs_times": "epochs", "lr_times": "learning rate"}
Status = Literal["passed", "failed", "interim", "not run", "not asked"]


@dataclass(frozen=True)
class Gate:
    """Of one setting: baseline - random init in points, and why nothing learnt is judged there ("" where it may be).

    `where` is "" for the scale's own setting. "not asked": real videos have no balanced split, one given encoder no baseline.
    """

    where: str
    found: Estimate
    status: Status
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        told = {"where": self.where or OWN, "status": self.status, "points": GATE_POINTS, "reason": self.reason}
        return told | {"mean": self.found.mean, "interval": self.found.interval, "over": self.found.over, "n": self.found.n}


def gate(evidence: Evidence, changes: Changes = UNCHANGED, awaited: int | None = None) -> Gate:
    """The gate of the scale's setting, changed so. `awaited` replicates have to be there: None is as many as a verdict waits for.

    The mean decides; its interval is shown and decides nothing.
    """
    if evidence.about["real"] or evidence.about["pretrained"]:
        return Gate("", NOTHING, "not asked")
    baseline, start = sides(evidence, changes)
    where = "" if (baseline, start) == sides(evidence, UNCHANGED) else said(changes)
    there = f" at {where}" if where else ""
    found, planned = evidence.difference(baseline, start), evidence.awaited if awaited is None else awaited
    if found.mean is None:
        lacks = "its balanced accuracy beside random init's has not run"
        return Gate(where, found, "not run", f"whether the baseline learnt anything{there} is unknown: {lacks}")
    if found.mean < GATE_POINTS:
        under = f"under the {GATE_POINTS:g} that verdicts require"
        return Gate(
            where,
            found,
            "failed",
            f"the baseline is {found.mean:+.1f} points of balanced accuracy from random init{there}, {under}",
        )
    if found.n < planned:
        short = f"is known of {found.n} of {planned} replicates"
        return Gate(where, found, "interim", f"interim: whether the baseline learnt anything{there} {short}")
    return Gate(where, found, "passed")


def gates(evidence: Evidence, methods: Iterable[Method], awaited: int | None = None) -> list[Gate]:
    """The gates of the settings of these methods, each setting once, in order."""
    found: dict[tuple[Side, Side], Gate] = {}
    for changes in dict.fromkeys(method.changes for method in methods):
        key = sides(evidence, changes)
        if key not in found:
            found[key] = gate(evidence, changes, awaited)
    return list(found.values())


def sides(evidence: Evidence, changes: Changes) -> tuple[Side, Side]:
    """The baseline's number and random init's, as runs: equal ones are of one setting, however it is worded."""
    link = gate_of(changes)
    return _number(evidence, link.greater), _number(evidence, link.lesser)


def _number(evidence: Evidence, side: links.Side) -> Side:
    assert isinstance(side.measure, Measure)
    return evidence.runs(side.method, side.measure), side.measure.metric


def said(changes: Changes) -> str:
    """A setting in words: `likeness 1`, `4x epochs`, `symmetric True`."""
    pairs = (*changes.world, *changes.optim, *changes.moco, *changes.augment)
    return ", ".join(
        f"{value:.3g}x {TIMES[name]}" if name in TIMES else f"{name} {value:.3g}" if type(value) is float else f"{name} {value}"
        for name, value in pairs
    )


def shut(asked: Iterable[Gate]) -> list[str]:
    """Those that are not passed, in short: `gate failed at likeness 1 (+4.0 points); gate not run at rho 0.5, rho 0.8`."""
    lines: dict[str, list[str]] = {}
    for gate in asked:
        if gate.reason:
            mean = "" if gate.found.mean is None else f" ({gate.found.mean:+z.1f} points, n = {gate.found.n})"
            lines.setdefault(gate.status, []).append((gate.where or OWN) + mean)
    return [f"gate {status} at {', '.join(found)}" for status, found in lines.items()]
