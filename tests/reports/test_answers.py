"""Answers of the findings: declared beforehand, and withheld where runs are missing, are too few, or a gate is shut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reports.answers import answer
from reports.evidence import Evidence
from reports.figures import curves
from reports.findings import counted
from reports.tables import entries
from studies.findings import camera, schedules, shortcut, twins
from studies.findings.contrasts import Best
from studies.harness.store import Store
from studies.paper.registry import FINDINGS, STUDIES
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK, SMOKE, Scale
from studies.study import Row, Study
from tests.filled import result

SETTING = Setting(QUICK)
SCENES, BALANCED, VALIDATED = "top1/deranged", "balanced/top1/deranged", "balanced/val/balanced/top1"
Levels = Callable[[Row], float]  # accuracy in deranged scenes, either head
RIPPLE = (0.0, 0.3, -0.3, 0.1)  # of every row but the baseline's, so that differences have a spread


def filled(
    out: Path,
    study: Study,
    level: Levels,
    *,
    replicates: int = 4,
    planned: int = 4,
    ripple: float = 1.0,
    start: float | None = 10.0,
    validated: Levels | None = None,
    lift: Levels = lambda row: 0.5,
    leave_out: frozenset[tuple[str, str, int]] = frozenset(),
    scale: Scale = QUICK,
) -> Evidence:
    """Runs of one study, level(row) a row; `start` is random init's level, None leaves it out."""
    store, setting = Store(out).prepare(), Setting(scale)
    for replicate in range(replicates):
        stages: dict[str, tuple] = {}
        for row, measure, stage in setting.cells(study):
            if (row.label, row.column, replicate) in leave_out or (row.gate and start is None):
                continue
            assert stage is not None and row.method is not None
            noise = ripple * RIPPLE[replicate] if row.method.merge else 0.0
            value = float(start or 0) if row.gate else level(row) + noise
            metrics = {SCENES: value, BALANCED: value, VALIDATED: (validated or level)(row)}
            if measure.protocol == "masks":
                metrics = {measure.metric: lift(row) + 0.001 * RIPPLE[replicate]}
            stages.setdefault(stage.id, (stage, {}))[1].update(metrics)
        for stage, metrics in stages.values():
            store.finish(stage, replicate, result(stage, replicate, metrics, store.begin(stage, replicate)))
    return Evidence(store, setting, range(planned))


def gains(**by_column: float) -> Levels:
    """Baselines at 40; FAME above them by what its column says ("x1" is `1x epochs`)."""

    def level(row: Row) -> float:
        return 40.0 + (by_column["x" + row.column.split("x")[0].replace(".", "_")] if row.method and row.method.merge else 0.0)

    return level


def told(evidence: Evidence, study: Study) -> dict:
    assert study.question
    return answer(evidence, study, study.question)


def states(found: dict, measure: str = "A deranged scenes, linear") -> dict[str, str]:
    return {one["contrast"]: one["state"] for one in found["contrasts"] if one["measure"] == measure}


# ---------------------------------------------------------------- the questions


@pytest.mark.parametrize("study", FINDINGS, ids=lambda study: study.name)
def test_every_finding_declares_how_it_is_answered(study: Study) -> None:
    """Terms are rows of the table; outcomes ask of contrasts that are looked at; weights of a difference add up to nothing."""
    question = study.question
    assert question and question.measures[0].metric == SCENES and all(measure in study.measures for measure in question.measures)
    rows = {(row.label, row.column) for row in study.rows if not row.gate}
    names = [contrast.name for contrast in question.contrasts]
    assert len(set(names)) == len(names)
    for contrast in question.contrasts:
        for _, term in contrast.terms:
            assert set(term.places if isinstance(term, Best) else (term,)) <= rows, contrast.name
        if not contrast.measure:
            assert sum(weight for weight, _ in contrast.terms) == pytest.approx(0), contrast.name
    for outcome in question.outcomes:
        assert outcome.every or outcome.some
        assert {name for name, _ in (*outcome.every, *outcome.some)} <= set(names), outcome.says
        assert ("{which}" in outcome.says) == bool(outcome.some)
    assert not any(study.question for study in STUDIES)


CAUGHT, KEPT = "The baseline catches up", "The baseline does not"
NONE, LATE = "There is nothing to catch up", "FAME has no advantage at 1x"


@pytest.mark.parametrize(
    ("once", "long", "words"), [(10, 3, CAUGHT), (10, 9, KEPT), (-8, -5, NONE), (0.0, 0.0, NONE), (-4, 6, LATE)]
)
def test_the_rule_of_schedules(tmp_path: Path, once: float, long: float, words: str) -> None:
    evidence = filled(tmp_path, schedules.STUDY, gains(x0_5=0.0, x1=once, x2=1.0, x4=long))
    found = told(evidence, schedules.STUDY)
    first, beside = found["answers"]
    assert first["decides"] and not beside["decides"] and first["answered"] and first["text"].startswith(words)
    halved = next(one for one in found["contrasts"] if one["contrast"] == schedules.HALVED)
    ripple = sum(RIPPLE) / 4
    assert halved["effect"] == pytest.approx(0.5 * (once + ripple) - (long + ripple)) and halved["n"] == 4
    assert f"{once + ripple:+z.1f}".replace("-", "\N{MINUS SIGN}") in first["text"]  # the numbers it rests on
    assert found["compared"] == 10 and "10 comparisons were looked at" in counted(found)


def test_wide_intervals_say_nothing(tmp_path: Path) -> None:
    found = told(filled(tmp_path, schedules.STUDY, gains(x0_5=0, x1=6, x2=1, x4=1), ripple=30), schedules.STUDY)
    assert not found["answers"][0]["answered"] and found["differ"] == 0
    assert found["answers"][0]["text"].startswith("Nothing can be said: 5 of 5 intervals are too wide to tell, up to 2")


@pytest.mark.parametrize(
    ("replicates", "planned", "why"), [(2, 2, "n = 2, and three"), (3, 4, "(one has 3 of 4)"), (0, 4, "not run")]
)
def test_too_few_replicates_say_nothing(tmp_path: Path, replicates: int, planned: int, why: str) -> None:
    evidence = filled(tmp_path, schedules.STUDY, gains(x0_5=9, x1=9, x2=9, x4=9), replicates=replicates, planned=planned)
    found = told(evidence, schedules.STUDY)
    assert not any(one["answered"] for one in found["answers"]) and why in found["answers"][0]["text"]
    assert set(states(found).values()) <= {"withheld", "not run"} and found["differ"] == 0


def test_smoke_says_nothing(tmp_path: Path) -> None:
    evidence = filled(tmp_path, schedules.STUDY, gains(x0_5=9, x1=9, x2=9, x4=9), scale=SMOKE)
    assert "smoke scale" in told(evidence, schedules.STUDY)["answers"][0]["text"]


def test_a_row_that_lacks_a_replicate_withholds_its_contrasts_alone(tmp_path: Path) -> None:
    gone = frozenset({(twins.FAME, "0.5x epochs", 2)})
    evidence = filled(tmp_path, schedules.STUDY, gains(x0_5=9, x1=10, x2=9, x4=1), leave_out=gone)
    found = told(evidence, schedules.STUDY)
    assert states(found)[schedules.GAIN[0.5]] == "withheld" and states(found)[schedules.GAIN[1.0]] == "above"
    assert found["answers"][0]["text"].startswith(CAUGHT)


# ---------------------------------------------------------------- the gate


def test_without_random_init_nothing_learnt_is_said(tmp_path: Path) -> None:
    found = told(filled(tmp_path, schedules.STUDY, gains(x0_5=9, x1=9, x2=9, x4=9), start=None), schedules.STUDY)
    assert set(states(found).values()) == {"withheld"} and "gate not run at" in found["answers"][0]["text"]
    assert {gate["status"] for gate in found["gates"]} == {"not run"}


def test_a_setting_whose_baseline_learnt_nothing_is_left_out(tmp_path: Path) -> None:
    """The shortest schedule's baseline is 4 points from random init: FAME's gain over it says nothing, the others' do."""

    def level(row: Row) -> float:
        short = row.column == "0.5x epochs"
        return (14.0 if short else 40.0) + (10.0 if row.method and row.method.merge else 0.0)

    evidence = filled(tmp_path, schedules.STUDY, level)
    found = told(evidence, schedules.STUDY)
    assert states(found)[schedules.GAIN[0.5]] == "withheld" and states(found)[schedules.GAIN[2.0]] == "above"
    assert found["answers"][0]["text"].startswith(KEPT)
    shut = next(one for one in found["contrasts"] if one["contrast"] == schedules.GAIN[0.5])
    assert "+4.0 points of balanced accuracy from random init at 0.5x epochs, under the 10" in shut["withheld"]
    assert [(gate["where"], gate["status"]) for gate in found["gates"]] == [
        ("0.5x epochs", "failed"),
        ("the scale's own setting", "passed"),
        ("2x epochs", "passed"),
        ("4x epochs", "passed"),
    ]
    drawn = curves.panels(evidence, schedules.STUDY, entries(evidence, schedules.STUDY))
    points = {at: gate.status for panel in drawn[:3] for found in panel.lines.values() for at, _, gate in found if gate}
    assert points == {0.5: "failed", 1.0: "passed", 2.0: "passed", 4.0: "passed"}
    figure = curves.draw(evidence, "schedules", entries(evidence, schedules.STUDY), tmp_path)
    assert figure and "Hollow points" in figure.caption and "0.5 (failed)" in figure.caption
    assert ",failed" in figure.csv.read_text(encoding="utf-8")


def test_every_world_of_a_finding_has_its_own_gate(tmp_path: Path) -> None:
    """One world's random init is left out: contrasts that touch that world are withheld, the others are not."""
    level = lambda row: 40.0 + (5.0 if row.method and row.method.merge else 0.0)  # noqa: E731
    gone = frozenset((twins.RANDOM, shortcut.NONE, replicate) for replicate in range(4))
    found = told(filled(tmp_path, shortcut.STUDY, level, leave_out=gone), shortcut.STUDY)
    withheld = {name for name, state in states(found).items() if state == "withheld"}
    assert withheld == {shortcut.UNBIASED, shortcut.GROWTH} and states(found)["FAME - baseline at rho 1"] == "above"
    assert "gate not run at rho 0.125" in found["answers"][0]["text"]


def test_masks_ask_for_no_gate(tmp_path: Path) -> None:
    """The mask falls below half of its lift from a drift of 1 on; the gain over a baseline that learnt nothing is withheld."""
    lift = lambda row: 0.6 if row.at is not None and row.at < 1 else 0.2  # noqa: E731
    evidence = filled(tmp_path, camera.STUDY, lambda row: 15.0, lift=lift)
    found = told(evidence, camera.STUDY)
    masks = states(found, twins.MASK_LIFT.label)
    assert [masks[camera.HALF[drift]] for drift in camera.DRIFTS[1:]] == ["above", "above", "below", "below"]
    assert set(states(found).values()) == {"withheld"}
    first = found["answers"][0]["text"]
    assert first.startswith("At 1 px a frame, and at no smaller drift that was tried") and "cannot be told" in first
