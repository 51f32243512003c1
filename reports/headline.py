"""The first number of the page: FAME (beta 0.5, one view merged) against the baseline in scenes that go with another action."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from fame.evaluation.analysis.background_bias import CLOSED, gap_closed
from reports.evidence import Evidence
from reports.gate import gate, side
from reports.statistics import ENOUGH, NOTHING, Estimate, estimate
from reports.texts import interval, number
from studies.paper.headline import CONTROL, CONTROLS, MEASURES, METHODS, TEXT
from studies.paper.links import POINTS

NOT_WORSE = 3.0  # points of own-scene accuracy that a method may lose while it counts as closing the gap


@dataclass(frozen=True)
class Decision:
    """Hold what FAME minus the baseline decides, why it decides nothing, and whether the positive control gains (None: not run)."""

    state: Literal["gain", "loss", "no gain", "open", "not decided"]
    why: str = ""
    seen: bool | None = None


def decide(found: Estimate, awaited: int, shut: str = "", control: Estimate = NOTHING) -> Decision:
    """Decide by the rule of docs/rules.md; `shut`: why a comparison without a control that gains decides nothing."""
    seen = None if control.interval is None or control.n < max(awaited, ENOUGH) else control.interval[0] > 0
    if found.interval is None or found.n < max(awaited, ENOUGH):
        return Decision("not decided", f"n = {found.n} of {max(awaited, ENOUGH)}", seen)
    if shut and not seen:
        return Decision("not decided", shut, seen)
    low, high = found.interval
    if low > 0:
        return Decision("gain", seen=seen)
    if seen is False:
        return Decision("not decided", f"not even a perfect mask is shown to gain here: {shown(control)}", seen)
    return Decision("loss" if high < 0 else "no gain" if high < POINTS else "open", seen=seen)


def shown(found: Estimate) -> str:
    """Return `+1.2 points, 95 % [-3.4, +5.8]`."""
    return f"{number(found.mean, 1, True)} points" + (f", 95 % {interval(found.interval, 1, True)}" if found.interval else "")


def decision(evidence: Evidence, found: Estimate, control: Estimate = NOTHING) -> Decision:
    """Decide what FAME minus the baseline says here, beside a positive control minus the baseline, where one was run."""
    if evidence.about["scale"] == "smoke":
        return Decision("not decided", "smoke scale, whose numbers mean nothing")
    return decide(found, evidence.deciding, gate(evidence).reason, control)


def headline(evidence: Evidence) -> dict[str, Any] | None:
    """Return the `headline` of report.json; None on real videos, which have no counterfactuals, or with given weights."""
    if evidence.about["real"] or evidence.about["pretrained"]:
        return None
    found = {name: gains(evidence, name) for name in (*METHODS, *CONTROLS)}
    told = {
        name: {
            "text": name,
            "levels": {measure: asdict(evidence.estimate(*side(evidence, name, measure))) for measure in MEASURES},
            "differences": {measure: asdict(one) for measure, one in of.items()},
        }
        for name, of in found.items()
    }
    decided = decision(evidence, found["FAME"]["deranged"], found[CONTROL]["deranged"])
    return {
        "text": TEXT,
        "levels": {name: told[name]["levels"] for name in METHODS},
        "differences": told["FAME"]["differences"],
        "decision": asdict(decided),
        "closed": _closed(evidence, found["FAME"], decided),
        "gate": gate(evidence).to_json(),
        "controls": [told[name] for name in CONTROLS if any(one.n for one in found[name].values())],
    }


def gains(evidence: Evidence, name: str) -> dict[str, Estimate]:
    """Return a method minus the baseline, by each measure."""
    return {
        measure: evidence.difference(side(evidence, name, measure), side(evidence, "baseline", measure)) for measure in MEASURES
    }


def _closed(evidence: Evidence, gains: dict[str, Estimate], decided: Decision) -> dict[str, Any]:
    """Return the contrast 2/3 gap(baseline) - gap(FAME), with a verdict where the headline decides something (docs/rules.md)."""
    base, other = (side(evidence, name, "gap") for name in ("baseline", "FAME"))
    first, second = evidence.values(*base), evidence.values(*other)
    shared = [replicate for replicate in first if replicate in second]
    contrasts = gap_closed([first[r] for r in shared], [second[r] for r in shared])
    pairs = ((evidence.sample(*base, r), evidence.sample(*other, r)) for r in shared)
    both = (low.align(high, join="inner") for low, high in pairs if low is not None and high is not None)
    runs = [gap_closed(low.tolist(), high.tolist()) for low, high in both]
    found = estimate([float(value) for value in contrasts], runs)
    own, swapped = gains["own"].mean, gains["deranged"].mean
    verdict = "inconclusive"
    if decided.state != "not decided" and found.interval and own is not None and swapped is not None:
        verdict = "closed" if found.interval[0] > 0 and swapped > 0 and own > -NOT_WORSE else "not shown"
    return {"share": CLOSED, **asdict(found), "cell": gains["gap"].cell, "verdict": verdict}
