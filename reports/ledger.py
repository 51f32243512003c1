"""The claims' verdicts, computed from the runs and from real video as measured: one entry a claim and kind, with every link."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fame.errors import FameError
from reports.evidence import Evidence, Gain
from reports.evidence import Side as Number
from reports.gate import Gate, gates
from reports.statistics import ENOUGH, LinkResult, Pooled, judge_claim, judge_equality, judge_link, random_effects
from studies.paper.claims import EQUAL_AT_MOST, GAIN, Claim, Link, Side, Test, claims_on
from studies.paper.links import RealMask
from studies.paper.registry import FOR_CLAIMS
from studies.real_masks import SEQUENCES
from studies.study import MEAN, Measure, moco

MEASURE = "python -m studies.real_masks REAL OUT"
COLUMNS = [
    "sequence",
    "camera",
    "size",
    "variant",
    "beta",
    "flavour",
    "recall_still",
    "recall_lift",
    "box_recall_lift",
]
CAMERAS = ("still", "moving")
UNITS = {"runs": "replicates", "real video": "sequences"}  # what an interval is over, by the test's source


def ledger(evidence: Evidence, claims: tuple[Claim, ...] | None = None, real: pd.DataFrame | None = None) -> list[dict[str, Any]]:
    """Return the `claims` of report.json, what decides each first, `mechanism` last; `real` None: as measured on real video."""
    real = measured() if real is None else real
    if claims is None:
        targets, tested = (
            evidence.about.get("targets", []),
            {name for study in evidence.about["studies"] for name in study["claims"]},
        )
        claims = tuple(claim for claim in claims_on(targets) if claim.id in tested or not targets)
    return [_entry(evidence, real, claim, test) for claim in claims for test in claim.tests]


def _entry(evidence: Evidence, real: pd.DataFrame, claim: Claim, test: Test) -> dict[str, Any]:
    results, beside = ([_link(evidence, real, link, test) for link in links] for links in (test.links, test.beside))
    units = UNITS[test.source]
    verdict, reason = judge_claim(results), ""
    fewest = min(result.estimate.n for result in results)
    missing = sum(result.verdict == "not run" for result in results)
    asked = gates_of(evidence, test)
    shut = "; ".join(gate.reason for gate in asked if gate.reason)
    if verdict == "not run":
        reason = _why_not_run(evidence, test)
    elif test.source == "runs" and evidence.about["undecided"]:
        verdict, reason = "inconclusive", evidence.about["undecided"]
    elif any(_interim(evidence, link, result) for link, result in zip(test.links, results, strict=True)):
        awaited = max(_awaited(evidence, link) for link in test.links)
        verdict, reason = "inconclusive", f"interim: {fewest} of {awaited} replicates; all are needed"
    elif verdict != "inconclusive" and shut:
        verdict, reason = "inconclusive", shut
    elif missing:
        reason = f"{missing} of {len(results)} links have no runs"
    elif fewest < ENOUGH:
        reason = f"n = {fewest}; a verdict needs {ENOUGH} {units}"
    elif verdict == "inconclusive":
        reason = _why_open(evidence, results, test)
    weakest = _weakest(test, results, verdict)
    shown = results[weakest].estimate
    return {
        "id": claim.id,
        "verdict": verdict,
        "kind": test.kind,
        "effect": shown.mean,
        "interval": shown.interval,
        "n": shown.n,
        "cell": shown.cell,
        "rule": _rule(test),
        "reason": reason,
        "text": claim.text,
        "where": claim.where,
        "metric": test.metric,
        "weakest": test.links[weakest].text,
        "over": units if shown.over == "replicates" else shown.over,
        "gates": [gate.to_json() for gate in asked],
        "supported": sum(result.verdict == "supported" for result in results),
        "margin": test.margin_of(test.links[weakest]),
        "links": [_link_json(evidence, link, result, test) for link, result in zip(test.links, results, strict=True)],
        "beside": [_link_json(evidence, link, result, test) for link, result in zip(test.beside, beside, strict=True)],
    }


def _link(evidence: Evidence, real: pd.DataFrame, link: Link, test: Test) -> LinkResult:
    margin = test.margin_of(link)
    if isinstance(link.greater.measure, RealMask) and isinstance(link.lesser.measure, RealMask):
        high, low = _of_sequences(real, link.greater.measure), _of_sequences(real, link.lesser.measure)
        return judge_link((high - low.reindex(high.index)).dropna().tolist(), margin)
    greater, lesser = _side(evidence, link.greater), _side(evidence, link.lesser)
    differences = list(evidence.differences(greater, lesser).values())
    found = evidence.difference(greater, lesser)
    if link.relation == "equal":
        result = judge_equality(differences, equality_delta(evidence, _run(link.greater)), found)
    else:
        result = judge_link(differences, margin, found)
    return replace(result, verdict="inconclusive") if _interim(evidence, link, result) else result


def _of_sequences(real: pd.DataFrame, asked: RealMask) -> pd.Series:
    """Return the measure of every sequence that defines it, by the sequence's name."""
    of = (real["variant"] == asked.variant) & (real["flavour"] == asked.flavour) & (real["size"] == asked.size)
    same = of & np.isclose(real["beta"], asked.beta) & real["camera"].isin([asked.camera] if asked.camera != "all" else CAMERAS)
    return real[same].set_index("sequence")[asked.measure].dropna()


def measured(path: Path = SEQUENCES) -> pd.DataFrame:
    """Read real video's masks, a line a sequence, size and mask; empty without a file, FameError where a column is missing."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS, dtype=float)
    try:
        return pd.read_csv(path, usecols=COLUMNS)
    except ValueError as error:
        raise FameError(f"{path.name}: {error}; measure again with {MEASURE}") from None


def _interim(evidence: Evidence, link: Link, result: LinkResult) -> bool:
    """Return whether replicates of a link from runs are still missing: nothing is decided by those that happen to be there."""
    return isinstance(link.greater.measure, Measure) and 0 < result.estimate.n < _awaited(evidence, link)


def _awaited(evidence: Evidence, link: Link) -> int:
    """Return the replicates that all sides of a link are planned with, and at least those that a verdict waits for."""
    sides = (part for side in (link.greater, link.lesser) for part in side.parts)
    return max(evidence.awaited, min(evidence.planned(evidence.runs(part.method, _run(part))) for part in sides))


def _side(evidence: Evidence, side: Side) -> Number | Gain:
    given = side.encoders and evidence.about["pretrained"]  # every method would resolve to the one given encoder, and equal itself
    number = None if given else evidence.runs(side.method, _run(side)), _run(side).metric
    return Gain(number, _side(evidence, side.minus)) if side.minus else number


def _run(side: Side) -> Measure:
    """The measure of a side whose number comes from runs."""
    assert isinstance(side.measure, Measure)
    return side.measure


def equality_delta(evidence: Evidence, measure: Measure) -> float | None:
    """min(3 points, a third of FAME's mean gain on selection worlds); None where no selection world has run or there is no gain."""
    gains = _selection_gains(evidence, measure)
    gain = sum(gains) / len(gains) if gains else 0.0
    return min(EQUAL_AT_MOST, gain / 3) if gain > 0 else None


def _selection_gains(evidence: Evidence, measure: Measure) -> list[float]:
    sides = [(evidence.runs(method, measure), measure.metric) for method in GAIN]
    return list(evidence.differences(sides[0], sides[1], evidence.selection).values())


def gates_of(evidence: Evidence, test: Test) -> list[Gate]:
    """The gate of the scale's own world and of every other in which an encoder of the test's links stands; none where none does."""
    encoders = [method for link in test.links for side in (link.greater, link.lesser) for method in side.encoders]
    return gates(evidence, (moco(), *encoders)) if encoders else []


def _ordered(test: Test) -> bool:
    return all(link.relation == "greater" for link in test.links)


def _rule(test: Test) -> str:
    """In words, with the margin: one, or each link's where they differ."""
    if not _ordered(test):
        return test.rule
    margins = [test.margin_of(link) for link in test.links]
    if len(set(margins)) == 1:
        return f"{test.rule}; m = {margins[0]:g}"
    return f"{test.rule}; m = {', '.join(f'{margin:g}' for margin in margins)}, link by link"


def _weakest(test: Test, results: list[LinkResult], verdict: str) -> int:
    """Return the index of the link that decides, in margins; of refuted ones only where the claim is not reproduced."""
    run = [index for index, result in enumerate(results) if result.estimate.mean is not None]
    if verdict == "not reproduced":
        run = [index for index in run if results[index].verdict == "refuted"]
    if not run:
        return 0
    means = {index: float(results[index].estimate.mean or 0.0) / (test.margin_of(test.links[index]) or 1.0) for index in run}
    return min(run, key=means.__getitem__) if _ordered(test) else max(run, key=lambda index: abs(means[index]))


def _why_not_run(evidence: Evidence, test: Test) -> str:
    if test.source == "real video":
        return f"{SEQUENCES.name} is not in studies/real_masks: measure with {MEASURE}"
    if evidence.about["pretrained"]:
        return "one encoder was given, so no two methods can be compared"
    sides = [part for link in test.links for side in (link.greater, link.lesser) for part in side.parts]
    if not any(evidence.runs(side.method, _run(side)) for side in sides):
        return evidence.about["absent"] or f"the dataset {evidence.about['dataset']} has no part for it"
    return f"needs the study {test.needs} (--only {FOR_CLAIMS})" if test.needs else ""


def _why_open(evidence: Evidence, results: list[LinkResult], test: Test) -> str:
    """Return why all replicates together decide nothing: no delta, intervals that are too wide, or Holm's adjustment."""
    undecided = sum(result.verdict == "inconclusive" for result in results)
    if not undecided:
        return "a link is refuted, but not after Holm's adjustment"
    if not _ordered(test):
        gains = {_run(link.greater).label: _selection_gains(evidence, _run(link.greater)) for link in test.links}
        if not all(gains.values()):
            return "delta is fixed on selection worlds, of which none has run"
        told = "; ".join(f"{sum(found) / len(found):+.1f} points, {label}" for label, found in gains.items())
        if all(sum(found) <= 0 for found in gains.values()):
            return f"the rule has no delta: FAME gains nothing on the selection worlds ({told})"
    return f"{undecided} of {len(results)} links have intervals that are too wide to tell"


def _between(evidence: Evidence, link: Link) -> Pooled | None:
    """Return a link on the mean over targets as seen with these as a sample of targets; None for another link."""
    measure = link.greater.measure
    on_mean = isinstance(measure, Measure) and measure.target == MEAN
    of_targets = []
    for name in evidence.about["targets"] if on_mean else ():
        high, low = (
            _side(evidence, replace(side, measure=replace(_run(side), target=name))) for side in (link.greater, link.lesser)
        )
        of_targets.append(list(evidence.differences(high, low).values()))
    return random_effects(of_targets)


def _link_json(evidence: Evidence, link: Link, result: LinkResult, test: Test) -> dict[str, Any]:
    between = _between(evidence, link)
    return {
        "link": link.text,
        "verdict": result.verdict,
        "effect": result.estimate.mean,
        "interval": result.estimate.interval,
        "over": UNITS[test.source] if result.estimate.over == "replicates" else result.estimate.over,
        "n": result.estimate.n,
        "cell": result.estimate.cell,
        "between": asdict(between) if between else None,
        "margin": test.margin_of(link),
        "no_gain": result.no_gain,
        "p_sign_flip": result.p_sign_flip,
    }
