"""Tell whether a world is fit for verdicts on what is learnt there (docs/rules.md).

A perfect mask on empty scenes has to learn motion, 10 points of balanced accuracy more than random initialisation has, and the
baseline has to follow the scene: its background gap is at least 10 points.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from reports.evidence import Evidence, Side
from reports.statistics import NOTHING, Estimate
from studies.paper.headline import GATE, MEASURES, methods
from studies.paper.links import GATE_POINTS
from studies.study import UNCHANGED, Changes, Method

OWN = "the scale's own world"
Status = Literal["failed", "not run", "interim", "passed", "not asked"]  # the first of two numbers' is the gate's


@dataclass(frozen=True)
class Gate:
    """Hold the control - random init and the baseline's gap, in points, and why nothing learnt is judged there ("": it is).

    "not asked": real videos have no balanced split, one given encoder no baseline.
    """

    where: str
    control: Estimate
    gap: Estimate
    status: Status
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"points": GATE_POINTS}


def gate(evidence: Evidence, changes: Changes = UNCHANGED, awaited: int | None = None) -> Gate:
    """Return the gate of a world; the means alone decide. `awaited`: replicates that have to be there; None: as for a verdict."""
    if evidence.about["real"] or evidence.about["pretrained"]:
        return Gate(OWN, NOTHING, NOTHING, "not asked")
    control, start, gap = asked = sides(evidence, changes)
    where = OWN if asked == sides(evidence, UNCHANGED) else f"the world with {said(changes)}"
    learnt, followed = evidence.difference(control, start), evidence.estimate(*gap)
    planned = evidence.awaited if awaited is None else awaited
    told = (
        _told(learnt, f"a perfect mask's balanced accuracy above random init's in {where}", planned),
        _told(followed, f"the baseline's background gap in {where}", planned),
    )
    status = min((status for status, _ in told), key=get_args(Status).index)
    return Gate(where, learnt, followed, status, "; ".join(reason for _, reason in told if reason))


def _told(found: Estimate, what: str, planned: int) -> tuple[Status, str]:
    """Return the status of one of the gate's two numbers, and the reason where it is not passed."""
    if found.mean is None:
        return "not run", f"{what} is unknown: it has not run"
    if found.mean < GATE_POINTS:
        return "failed", f"{what} is {found.mean:+z.1f} points, under the {GATE_POINTS:g} that verdicts require"
    if found.n < planned:
        return "interim", f"interim: {what} is known of {found.n} of {planned} replicates"
    return "passed", ""


def gates(evidence: Evidence, encoders: Iterable[Method], awaited: int | None = None) -> list[Gate]:
    """Return the gates of the worlds of these methods, each world once, in order."""
    worlds: dict[tuple[Side, ...], Changes] = {}
    for method in encoders:
        worlds.setdefault(sides(evidence, method.changes), method.changes)
    return [gate(evidence, changes, awaited) for changes in worlds.values()]


def sides(evidence: Evidence, changes: Changes) -> tuple[Side, ...]:
    """Return the control's, random init's and the baseline's numbers in a world: equal ones are of one world, however worded."""
    return tuple(side(evidence, name, measure, Changes(world=changes.world)) for name, measure in GATE)


def side(evidence: Evidence, name: str, measure: str, changes: Changes = UNCHANGED) -> Side:
    """Return a number as runs and metric, by the names of studies/paper/headline.py: of the headline, or so changed."""
    asked = MEASURES[measure]
    text = methods(changes)[name].text if changes else evidence.about["headline"][name]
    return evidence.records.runs(text, asked.protocol, asked.target), asked.metric


def said(changes: Changes) -> str:
    """Return a changed world in words: `likeness 1`."""
    return ", ".join(f"{name} {value:.3g}" if type(value) is float else f"{name} {value}" for name, value in changes.world)


def hollow(asked: Iterable[Gate]) -> str:
    """Return a caption's sentence on the worlds whose gate is not passed; "" where there is none."""
    told = [f"gate {gate.status}: {gate.reason}" for gate in dict.fromkeys(asked) if gate.reason]
    return f" Hollow points: that their world is fit for verdicts is not shown ({'; '.join(told)})." if told else ""
