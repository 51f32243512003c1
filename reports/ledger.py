"""The claims' verdicts, computed from the runs: one entry a claim and kind, with every link behind it."""

from __future__ import annotations

from typing import Any

from reports.evidence import Evidence
from reports.statistics import ENOUGH, LinkResult, judge_claim, judge_equality, judge_link
from studies.cell import Stage
from studies.claims import CLAIMS, EQUAL_AT_MOST, GAIN, GATE, GATE_POINTS, Claim, Link, Side, Test
from studies.study import Measure


def ledger(evidence: Evidence, claims: tuple[Claim, ...] = CLAIMS) -> list[dict[str, Any]]:
    """The `claims` of report.json, in order: `as published` before `mechanism` where a claim has both."""
    gate = gate_verdict(evidence)
    return [entry for claim in claims for entry in judge(evidence, claim, gate)]


def judge(evidence: Evidence, claim: Claim, gate: str) -> list[dict[str, Any]]:
    """A claim's entries; `gate` is the reason why nothing learnt is judged, "" where that is sound."""
    if not claim.tests:
        nothing = {
            "verdict": "not run",
            "kind": "mechanism",
            "effect": None,
            "interval": None,
            "n": 0,
            "rule": "",
            "reason": claim.missing,
        }
        return [{"id": claim.id, "text": claim.text, "where": claim.where, "metric": "", "links": [], **nothing}]
    return [_entry(evidence, claim, test, gate) for test in claim.tests]


def _entry(evidence: Evidence, claim: Claim, test: Test, gate: str) -> dict[str, Any]:
    results = [_link(evidence, link, test) for link in test.links]
    verdict, reason = judge_claim(results), ""
    fewest = min(result.estimate.n for result in results)
    missing = sum(result.verdict == "not run" for result in results)
    learnt = any(link.greater.method for link in test.links)
    if verdict == "not run":
        reason = _why_not_run(evidence, test)
    elif evidence.setting.scale.name == "smoke":
        verdict, reason = "inconclusive", "smoke scale: its numbers mean nothing"
    elif verdict != "inconclusive" and learnt and gate:
        verdict, reason = "inconclusive", gate
    elif missing and verdict == "inconclusive":
        reason = f"{missing} of {len(results)} links have no runs"
    elif fewest < ENOUGH:
        reason = f"n = {fewest}; a verdict needs {ENOUGH} replicates"
    elif verdict == "inconclusive":
        reason = _how_many(results, test)
    weakest = _weakest(test, results)
    shown = results[weakest].estimate
    return {
        "id": claim.id,
        "verdict": verdict,
        "kind": test.kind,
        "effect": shown.mean,
        "interval": shown.interval,
        "n": fewest,
        "rule": f"{test.rule}; m = {test.margin:g}" if _ordered(test) else test.rule,
        "reason": reason,
        "text": claim.text,
        "where": claim.where,
        "metric": test.metric,
        "weakest": test.links[weakest].text,
        "over": shown.over,
        "supported": sum(result.verdict == "supported" for result in results),
        "links": [_link_json(link, result) for link, result in zip(test.links, results, strict=True)],
    }


def _link(evidence: Evidence, link: Link, test: Test) -> LinkResult:
    greater, lesser = _side(evidence, link.greater), _side(evidence, link.lesser)
    differences = list(evidence.differences(greater, lesser).values())
    found = evidence.difference(greater, lesser)
    if link.relation == "equal":
        return judge_equality(differences, equality_delta(evidence, link.greater.measure), found)
    return judge_link(differences, test.margin, found)


def _side(evidence: Evidence, side: Side) -> tuple[Stage | None, str]:
    if side.method and evidence.setting.pretrained:  # every method would resolve to the one given encoder, and equal itself
        return None, side.measure.metric
    return evidence.stage(side.method, side.measure), side.measure.metric


def equality_delta(evidence: Evidence, measure: Measure) -> float | None:
    """min(3 points, a third of FAME's mean gain on selection worlds); None where no selection world has run or there is no gain."""
    sides = [(evidence.stage(method, measure), measure.metric) for method in GAIN]
    gains = evidence.differences(sides[0], sides[1], evidence.selection)
    gain = sum(gains.values()) / len(gains) if gains else 0.0
    return min(EQUAL_AT_MOST, gain / 3) if gain > 0 else None


def gate_verdict(evidence: Evidence) -> str:
    """Why verdicts on what was learnt are withheld: "" if the baseline beats random init by 10 points of balanced accuracy.

    Real videos have no balanced split; there the gate cannot be asked.
    """
    if evidence.setting.videos or evidence.setting.pretrained:
        return ""
    differences = evidence.differences(_side(evidence, GATE.greater), _side(evidence, GATE.lesser))
    if not differences:
        return "whether the baseline learnt anything is unknown: its balanced accuracy beside random init's has not run"
    gain = sum(differences.values()) / len(differences)
    if gain >= GATE_POINTS:
        return ""
    return (
        f"the baseline is {gain:+.1f} points of balanced accuracy from random init, under the {GATE_POINTS:g} that verdicts require"
    )


def _ordered(test: Test) -> bool:
    return all(link.relation == "greater" for link in test.links)


def _weakest(test: Test, results: list[LinkResult]) -> int:
    """The link that decides a conjunction: the lowest difference, or the largest where sides should be equal."""
    run = [index for index, result in enumerate(results) if result.estimate.mean is not None]
    if not run:
        return 0
    means = {index: float(results[index].estimate.mean or 0.0) for index in run}
    return min(run, key=means.__getitem__) if _ordered(test) else max(run, key=lambda index: abs(means[index]))


def _why_not_run(evidence: Evidence, test: Test) -> str:
    if evidence.setting.pretrained:
        return "one encoder was given, so no two methods can be compared"
    stages = [evidence.stage(side.method, side.measure) for link in test.links for side in (link.greater, link.lesser)]
    return "" if any(stages) else f"the dataset {evidence.setting.dataset} has no part for it"


def _how_many(results: list[LinkResult], test: Test) -> str:
    open_links = [result for result in results if result.verdict == "inconclusive"]
    if not _ordered(test) and all(result.needed is None for result in open_links):
        return "delta is fixed on selection worlds, of which none has run (or FAME gains nothing there)"
    if not open_links:
        return "a link is refuted, but not after Holm's adjustment"
    if any(result.needed is None for result in open_links):
        return "at this mean and spread more than 1000 replicates would not decide it"
    return f"at this mean and spread about {max(result.needed or 0 for result in open_links)} replicates would decide it"


def _link_json(link: Link, result: LinkResult) -> dict[str, Any]:
    return {
        "link": link.text,
        "verdict": result.verdict,
        "effect": result.estimate.mean,
        "interval": result.estimate.interval,
        "over": result.estimate.over,
        "n": result.estimate.n,
        "negligible": result.negligible,
        "needed": result.needed,
    }
