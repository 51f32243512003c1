"""What the findings answer: their declared contrasts, computed and adjusted for their number, and the first outcome that holds.

Everything said here is chosen by numbers: the sentences stand in the studies' files, with the states of contrasts under which they
hold (studies/findings/contrasts.py). One finding is one family: all its contrasts by all its measures are adjusted together (Holm).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from reports.evidence import Evidence, Values
from reports.gate import Gate, gates, shut
from reports.statistics import ENOUGH, ContrastResult, judge_contrasts
from reports.texts import interval, number
from studies.findings.contrasts import Best, Contrast, Place, Question, Terms
from studies.paper.claims import POINTS, SHARE
from studies.paper.registry import questions
from studies.study import Measure, Row, Study

NOTHING_SAID = "Nothing can be said"


@dataclass(frozen=True)
class Found:
    """A contrast by one measure: its values a replicate, the gates of the settings it stands in, and what comes of them."""

    contrast: Contrast
    measure: Measure
    values: Values
    chosen: tuple[str, ...]  # the rows that `Best` took
    asked: tuple[Gate, ...]
    result: ContrastResult

    @property
    def points(self) -> bool:
        """Whether it is in points of an accuracy; else a share."""
        return self.measure.protocol != "masks"

    @property
    def said(self) -> str:
        """`FAME - baseline +1.2 [-3.4, +5.8]`."""
        shown, places = self.result.estimate, 1 if self.points else 3
        took = f" ({', '.join(self.chosen)})" if self.chosen else ""
        return f"{self.contrast.name}{took} {number(shown.mean, places, True)} {interval(shown.interval, places, True)}".strip()


def answers(evidence: Evidence, studies: tuple[Study, ...]) -> dict[str, dict[str, Any]]:
    """The `answers` of report.json, by study; none on one given encoder, which leaves nothing to compare."""
    if evidence.setting.pretrained:
        return {}
    return {study.name: answer(evidence, study, study.question) for study in studies if study.question}


def answer(evidence: Evidence, study: Study, question: Question) -> dict[str, Any]:
    """The question, a sentence a measure (the first decides), how many comparisons were looked at, and each of them."""
    found = contrasts(evidence, study, question)
    states = Counter(one.result.state for one in found)
    asked = list(dict.fromkeys(gate for one in found for gate in one.asked))
    return {
        "question": questions().get(study.name, study.title),
        "answers": [sentence(evidence, question, found, measure) for measure in question.measures],
        "replicates": len(evidence.replicates),
        "compared": len(found),
        "differ": states["above"] + states["below"],
        "negligible": states["negligible"],
        "contrasts": [_json(one) for one in found],
        "gates": [gate.to_json() for gate in asked],
    }


def contrasts(evidence: Evidence, study: Study, question: Question) -> list[Found]:
    """Every contrast by every measure, judged together; those of a shut or unknown gate, or short of replicates, are withheld."""
    rows = {(row.label, row.column): row for row in study.rows}
    found = []
    for contrast in question.contrasts:
        for measure in (contrast.measure,) if contrast.measure else question.measures:
            values, taken = weighted(evidence, rows, contrast.terms, measure)
            chosen = tuple(
                " ".join(place) for (_, term), place in zip(contrast.terms, taken, strict=False) if isinstance(term, Best)
            )
            methods = [row.method for place in taken if (row := rows.get(place)) and row.method and measure.protocol != "masks"]
            asked = tuple(gates(evidence, methods, len(evidence.replicates)))
            found.append((contrast, measure, values, chosen, asked))
    results = judge_contrasts([(list(values.values()), _margin(measure)) for _, measure, values, _, _ in found])
    return [
        Found(*one, replace(result, state="withheld") if _withheld(evidence, one[2], one[4]) else result)
        for one, result in zip(found, results, strict=True)
    ]


def weighted(evidence: Evidence, rows: dict[Place, Row], terms: Terms, measure: Measure) -> tuple[Values, list[Place]]:
    """The sum of every replicate that has all of its rows, and the rows that it is of; nothing where a best one is unknown."""
    taken = [place for _, term in terms if (place := best(evidence, rows, term) if isinstance(term, Best) else term)]
    if len(taken) < len(terms):
        return {}, []
    known = [values_of(evidence, rows, place, measure) for place in taken]
    shared = [replicate for replicate in evidence.replicates if all(replicate in values for values in known)]
    weights = [weight for weight, _ in terms]
    return {r: sum(w * values[r] for w, values in zip(weights, known, strict=True)) for r in shared}, taken


def values_of(evidence: Evidence, rows: dict[Place, Row], place: Place, measure: Measure) -> Values:
    """A row's number by replicate; empty where the study was reduced to other rows, or the dataset lacks it."""
    row = rows.get(place)
    return evidence.values(evidence.setting.stage(row, measure), measure.metric) if row else {}


def best(evidence: Evidence, rows: dict[Place, Row], choice: Best) -> Place | None:
    """The row of the highest mean; None while one of them lacks a replicate, which could make it the best."""
    found = {place: values_of(evidence, rows, place, choice.by) for place in choice.places}
    if any(len(values) < len(evidence.replicates) for values in found.values()):
        return None
    return max(found, key=lambda place: sum(found[place].values()))


def sentence(evidence: Evidence, question: Question, found: Sequence[Found], measure: Measure) -> dict[str, Any]:
    """The first outcome that holds by this measure, with the contrasts it rests on; else why nothing can be said.

    Contrasts with a measure of their own (masks) stand in the sentences by every measure.
    """
    mine = {one.contrast.name: one for one in found if one.contrast.measure or one.measure == measure}
    states = {name: one.result.state for name, one in mine.items()}
    told: dict[str, Any] = {"measure": measure.label, "decides": measure == question.measures[0]}
    outcome = (
        None if evidence.setting.scale.name == "smoke" else next((one for one in question.outcomes if one.holds(states)), None)
    )
    if outcome is None:
        return told | {"answered": False, "text": f"{NOTHING_SAID}: {_why(evidence, list(mine.values()))}."}
    grounds = [name for name, wanted in (*outcome.every, *outcome.some) if states[name] in wanted]
    text = f"{outcome.sentence(states)} {'; '.join(mine[name].said for name in grounds)}."
    return told | {"answered": True, "text": text}


def _why(evidence: Evidence, found: Sequence[Found]) -> str:
    """Why no outcome holds."""
    planned, most = len(evidence.replicates), max(len(one.values) for one in found)
    fewest = min(len(one.values) for one in found)
    if evidence.setting.scale.name == "smoke":
        return "smoke scale, whose numbers mean nothing"
    if not most:
        real = evidence.setting.dataset if evidence.setting.videos else ""
        return f"the dataset {real} has no scenes that mislead" if real else "not run"
    if planned < ENOUGH:
        return f"n = {most}, and three replicates are needed"
    gates_shut = shut(dict.fromkeys(gate for one in found for gate in one.asked))
    short = [one for one in found if len(one.values) < planned]
    interim = [f"{len(short)} of {len(found)} comparisons lack replicates (one has {fewest} of {planned})"] if short else []
    wide = [one for one in found if one.result.state == "open"]
    widest = max(
        (high - low for one in wide if one.points and (bounds := one.result.estimate.interval) for low, high in [bounds]), default=0
    )
    reach = f", up to {widest:.1f} points wide" if widest else ""
    many = f"{len(wide)} of {len(found)} intervals are too wide to tell{reach}"
    return "; ".join([*interim, *gates_shut, *([many] if wide else [])]) or "no outcome that was declared beforehand holds"


def _withheld(evidence: Evidence, values: Values, asked: Sequence[Gate]) -> bool:
    return bool(values) and (len(values) < len(evidence.replicates) or any(gate.reason for gate in asked))


def _margin(measure: Measure) -> float:
    return SHARE if measure.protocol == "masks" else POINTS


def _json(one: Found) -> dict[str, Any]:
    result = one.result
    return {
        "contrast": one.contrast.name,
        "chosen": list(one.chosen),
        "measure": one.measure.label,
        "unit": "points" if one.points else "",
        "effect": result.estimate.mean,
        "interval": result.estimate.interval,
        "over": result.estimate.over,
        "n": result.estimate.n,
        "margin": _margin(one.measure),
        "p": result.p,
        "p_adjusted": result.adjusted,
        "state": result.state,
        "withheld": "; ".join(gate.reason for gate in one.asked if gate.reason),
    }
