"""The first number of the page: FAME (beta 0.5, one view merged) against the baseline in scenes that go with another action."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from fame.evaluation.analysis.background_bias import CLOSED, gap_closed
from reports.evidence import Evidence, Side
from reports.gate import gate
from reports.statistics import ENOUGH, Estimate, estimate
from studies.paper.headline import CONTROLS, MEASURES, METHODS, TEXT
from studies.paper.links import GATE_POINTS
from studies.study import Measure, Method

NOT_WORSE = 3.0  # points of own-scene accuracy that a method may lose while it counts as closing the gap


def headline(evidence: Evidence) -> dict[str, Any] | None:
    """Return the `headline` of report.json; None on real videos, which have no counterfactuals, or with given weights."""
    if evidence.about["real"] or evidence.about["pretrained"]:
        return None
    gains = _gains(evidence, METHODS["FAME"])
    return {
        "text": TEXT,
        "levels": {name: _levels(evidence, method) for name, method in METHODS.items()},
        "differences": {key: asdict(found) for key, found in gains.items()},
        "closed": _closed(evidence, gains),
        "gate": {"points": GATE_POINTS, **asdict(gate(evidence).found)},
        "controls": [found for text, method in CONTROLS.items() if (found := _control(evidence, text, method))],
    }


def _control(evidence: Evidence, text: str, method: Method) -> dict[str, Any] | None:
    gains = _gains(evidence, method)
    if all(found.mean is None for found in gains.values()):
        return None
    told = {key: asdict(found) for key, found in gains.items()}
    return {"text": text, "levels": _levels(evidence, method), "differences": told}


def _levels(evidence: Evidence, method: Method) -> dict[str, Any]:
    return {key: asdict(evidence.estimate(*_side(evidence, method, measure))) for key, measure in MEASURES.items()}


def _gains(evidence: Evidence, method: Method) -> dict[str, Estimate]:
    """The method minus the baseline, by each measure."""
    baseline = METHODS["baseline"]
    return {
        key: evidence.difference(_side(evidence, method, measure), _side(evidence, baseline, measure))
        for key, measure in MEASURES.items()
    }


def _side(evidence: Evidence, method: Method, measure: Measure) -> Side:
    return evidence.runs(method, measure), measure.metric


def _closed(evidence: Evidence, gains: dict[str, Estimate]) -> dict[str, Any]:
    """The contrast 2/3 gap(baseline) - gap(FAME); a verdict from three replicates on (docs/rules.md)."""
    measure = MEASURES["gap"]
    base, other = (_side(evidence, METHODS[name], measure) for name in ("baseline", "FAME"))
    first, second = evidence.values(*base), evidence.values(*other)
    shared = [replicate for replicate in first if replicate in second]
    contrasts = gap_closed([first[r] for r in shared], [second[r] for r in shared])
    runs: list[np.ndarray] = []
    for replicate in shared:
        low, high = evidence.sample(*base, replicate), evidence.sample(*other, replicate)
        if low is not None and high is not None:
            low, high = pd.Series.align(low, high, join="inner")
            runs.append(gap_closed(low.tolist(), high.tolist()))
    found = estimate([float(value) for value in contrasts], runs)
    own, swapped = gains["own"].mean, gains["deranged"].mean
    verdict = "inconclusive"
    whole = found.n == evidence.awaited  # n is fixed beforehand: until all are there nothing is decided
    if whole and not gate(evidence).reason and found.n >= ENOUGH and found.interval and own is not None and swapped is not None:
        verdict = "closed" if found.interval[0] > 0 and swapped > 0 and own > -NOT_WORSE else "not shown"
    return {"share": CLOSED, **asdict(found), "cell": gains["gap"].cell, "verdict": verdict}
