"""The report's first lines: one sentence that answers, and a tally of the verdicts."""

from collections import Counter
from typing import Any

from reports.evidence import Evidence
from reports.gate import gate
from reports.statistics import ENOUGH, Estimate
from reports.targets import sentence as measured
from reports.texts import interval, number
from studies.paper.baseline import published_difference, reference
from studies.paper.registry import STUDIES
from studies.study import Measure, deranged, fame, moco, recall_at, top1

# the first that has run answers; where scenes can be exchanged, accuracy in another action's scene comes first
OF_STAGED = (deranged("A"), top1("A"))
OF_REAL = (top1("A"), top1("A", "probe"), recall_at(1, "A"))
WHERE = {"top1/deranged": "top-1 of a linear probe in deranged scenes, those of another action"}
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
    for measure in OF_REAL if about["real"] else OF_STAGED:
        sides = ((evidence.runs(method, measure), measure.metric) for method in (fame(), moco()))
        found = evidence.difference(*sides)
        if found.mean is not None:
            return f"{decided(evidence, found)} ({WHERE.get(measure.metric, measure.label)}); {papers()}."
    return f"FAME and its baseline have not both been run here yet, so nothing is compared; {papers()}."


def of_own(evidence: Evidence, targets: dict[str, Any]) -> str:
    """Say the same of the user's own targets, over those where motion tells more than appearance."""
    found = Estimate(**targets["gain"])
    if found.mean is None:
        return f"No target here is known to tell more by motion than by appearance, so no gain of FAME is judged; {papers()}."
    more = f" (it would take n = {targets['needed']})" if targets["needed"] else ""
    return f"{decided(evidence, found)}{more} ({measured(targets)}); {papers()}."


def decided(evidence: Evidence, found: Estimate) -> str:
    """Say what FAME minus baseline decides: nothing at smoke scale, while replicates are missing, or where the gate is shut."""
    assert found.mean is not None
    shown = f"{number(found.mean, 1, True)} points"
    shown += f", 95 % interval {interval(found.interval, 1, True)}" if found.interval else ""
    over = " over these test videos" if found.over == "videos" else ""
    if found.n < ENOUGH or found.n < evidence.awaited:
        return f"Not decided at n = {found.n}: FAME minus the baseline is {shown}{over}"
    shut = "smoke scale, whose numbers mean nothing" if evidence.about["scale"] == "smoke" else gate(evidence).reason
    if shut:
        return f"Not decided ({shut}): FAME minus the baseline is {shown}, n = {found.n} replicates"
    low, high = found.interval or (0.0, 0.0)
    verdict = "beat the baseline" if low > 0 else "fell behind the baseline" if high < 0 else "did not clearly beat the baseline"
    return f"FAME {verdict}: {shown}, n = {found.n} replicates"


def papers() -> str:
    """Say what the paper reports for the same comparison, on another dataset and network."""
    study = next(study for study in STUDIES if study.name == "area_ratio")
    row = next(row for row in study.rows if row.method == fame())
    base = reference(study, row)
    measure: Measure = top1("A")
    gain = published_difference(study, row, base, measure.published) if base else None
    return f"the paper reports {number(gain, 1, True)} on {measure.published}"
