"""The report's first lines: one sentence that answers, and a tally of the verdicts."""

from collections import Counter
from typing import Any

from reports.evidence import Evidence
from reports.headline import Decision, decision, gains, shown
from reports.statistics import NOTHING, Estimate
from reports.targets import sentence as measured
from reports.texts import number
from studies.paper.baseline import published_difference
from studies.paper.headline import CONTROL
from studies.paper.links import POINTS
from studies.paper.tables import AREA_RATIO
from studies.study import fame, moco, recall_at, top1

PLAIN = (top1("A"), top1("A", "probe"), recall_at(1, "A"))  # without the headline, the first that has run answers
DERANGED = "top-1 of a linear probe in deranged scenes, those of another action"
STATES = {
    "gain": "Decided, FAME gains",
    "loss": "Decided, FAME loses",
    "no gain": f"Decided, FAME does not gain {POINTS:g} points",
    "open": "Open whether FAME gains",
}
VERDICTS = ("reproduced", "not reproduced", "inconclusive", "not run")


def answer(evidence: Evidence, claims: list[dict[str, Any]], classes: int | None, targets: dict[str, Any] | None) -> dict[str, Any]:
    """Return the `answer` of report.json: sentence, tally of verdicts, and what a guess among `classes` scores, in percent."""
    tally = Counter(claim["verdict"] for claim in claims)
    return {
        "sentence": of_own(evidence, targets) if targets and not evidence.about["pretrained"] else sentence(evidence),
        "tally": {verdict: tally[verdict] for verdict in VERDICTS},
        "chance": 100 / classes if classes else None,
    }


def sentence(evidence: Evidence) -> str:
    """Say whether FAME beats the baseline, by how much, how sure that is, and what the paper reports."""
    about = evidence.about
    if about["pretrained"]:
        return f"One given encoder was measured; with a single one there is nothing to compare; {papers()}."
    if not about["real"]:
        found, control = (gains(evidence, name)["deranged"] for name in ("FAME", CONTROL))
        if found.mean is not None:
            return f"{said(decision(evidence, found, control), found, control)} ({DERANGED}); {papers()}."
    for measure in PLAIN:
        sides = ((evidence.runs(method, measure), measure.metric) for method in (fame(), moco()))
        found = evidence.difference(*sides)
        if found.mean is not None:
            return f"{said(decision(evidence, found), found)} ({measure.label}); {papers()}."
    return f"FAME and its baseline have not both been run here yet, so nothing is compared; {papers()}."


def of_own(evidence: Evidence, targets: dict[str, Any]) -> str:
    """Say the same of the user's own targets, over those where motion tells more than appearance."""
    found = Estimate(**targets["gain"])
    if found.mean is None:
        return f"No target here is known to tell more by motion than by appearance, so no gain of FAME is judged; {papers()}."
    more = f" (it would take n = {targets['needed']})" if targets["needed"] else ""
    return f"{said(decision(evidence, found), found)}{more} ({measured(targets)}); {papers()}."


def said(told: Decision, found: Estimate, control: Estimate = NOTHING) -> str:
    """Say what was decided, by which numbers, and whether a gain can be seen at all."""
    state = STATES.get(told.state, f"Not decided ({told.why})")
    over = " over these test videos" if found.over == "videos" else ""
    gain = f"FAME minus the baseline is {shown(found)}{over}, n = {found.n}"
    seen = f"; a perfect mask on empty scenes gains {shown(control)}, so a gain can be seen here" if told.seen else ""
    return f"{state}: {gain}{seen}"


def papers() -> str:
    """Say what the paper reports for the same comparison, on another dataset and network."""
    row, base = (next(row for row in AREA_RATIO.rows if row.method == method) for method in (fame(), moco()))
    column = top1("A").published
    return f"the paper reports {number(published_difference(AREA_RATIO, row, base, column), 1, True)} on {column}"
