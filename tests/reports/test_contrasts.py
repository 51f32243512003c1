"""Contrasts of the findings: declared beforehand, adjusted together, withheld where runs are missing or a gate is shut."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from reports.contrasts import counted, table
from reports.evidence import Evidence
from reports.figures import curves, effects
from reports.statistics import holm, judge_contrasts, t_p
from reports.tables import entries
from studies.findings import changes, contrasts, controls
from studies.findings.contrasts import DECIDING, Best, Finding
from studies.harness.store import Store
from studies.paper.registry import FINDINGS, STUDIES
from studies.paper.tables import TEMPORAL_KERNELS
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK, Scale
from studies.study import Row, Study
from tests.filled import fill, reported, result, seen

SETTING = Setting(QUICK)
TUNED = "FAME - baseline, each at its best rate"
SCENES, BALANCED, VALIDATED = "top1/deranged", "balanced/top1/deranged", "balanced/val/balanced/top1"
GAP = "background_gap"
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
    perfect: float = 40.0,
    gap: float = 30.0,
    validated: Levels | None = None,
    lift: Levels = lambda row: 0.5,
    leave_out: frozenset[tuple[str, str, int]] = frozenset(),
    scale: Scale = QUICK,
) -> Evidence:
    """Runs of one study, level(row) a row; of the gate: levels of random init (None: left out) and the control, every gap."""
    store, setting, gates = Store(out).prepare(), Setting(scale), {contrasts.RANDOM: start, contrasts.CONTROL: perfect}
    for replicate in range(replicates):
        stages: dict[str, tuple] = {}
        for row, measure, stage in setting.cells(study):
            if (row.label, row.column, replicate) in leave_out or (row.gate and gates[row.label] is None):
                continue
            assert stage is not None and row.method is not None
            noise = ripple * RIPPLE[replicate] if row.method.merge else 0.0
            value = gates[row.label] if row.gate else level(row) + noise
            metrics = {SCENES: value, BALANCED: value, VALIDATED: validated(row) if validated else value, GAP: gap}
            if measure.protocol == "masks":
                metrics = {measure.metric: lift(row) + 0.001 * RIPPLE[replicate]}
            stages.setdefault(stage.id, (stage, {}))[1].update(metrics)
        for stage, metrics in stages.values():
            store.finish(stage, replicate, result(stage, replicate, metrics, store.begin(stage, replicate)))
    return seen(store, setting, range(planned))


def gains(**by_column: float) -> Levels:
    """Baselines at 40; FAME above them by what its column says ("x1" is `1x epochs`)."""

    def level(row: Row) -> float:
        return 40.0 + (by_column["x" + row.column.split("x")[0].replace(".", "_")] if row.method and row.method.merge else 0.0)

    return level


def told(evidence: Evidence, study: Finding) -> dict:
    return table(evidence, study)


def states(found: dict, measure: str = "A deranged scenes, linear") -> dict[str, str]:
    return {one["contrast"]: one["state"] for one in found["contrasts"] if one["measure"] == measure}


# ---------------------------------------------------------------- the questions


@pytest.mark.parametrize("study", FINDINGS, ids=lambda study: study.name)
def test_contrasts_are_of_rows_of_the_table(study: Finding) -> None:
    """Terms are rows of the table, and the weights of a difference add up to nothing."""
    assert all(measure in study.measures for measure in DECIDING)
    rows = {(row.label, row.column) for row in study.rows if not row.gate}
    names = [contrast.name for contrast in study.contrasts]
    assert len(set(names)) == len(names)
    for contrast in study.contrasts:
        for _, term in contrast.terms:
            assert set(term.places if isinstance(term, Best) else (term,)) <= rows, contrast.name
        if not contrast.measure:
            assert sum(weight for weight, _ in contrast.terms) == pytest.approx(0), contrast.name


def test_contrasts_by_hand(tmp_path: Path) -> None:
    found = told(filled(tmp_path, changes.SCHEDULES, gains(x0_5=0.0, x1=10, x2=1.0, x4=3)), changes.SCHEDULES)
    halved = next(one for one in found["contrasts"] if one["contrast"] == changes.HALVED)
    ripple = sum(RIPPLE) / 4
    assert halved["effect"] == pytest.approx(0.5 * (10 + ripple) - (3 + ripple)) and halved["n"] == 4 and halved["state"] == "above"
    assert found["compared"] == 10 and "10 comparisons were made" in counted(found)


@pytest.mark.parametrize(("replicates", "planned"), [(2, 2), (3, 4), (0, 4)])
def test_too_few_replicates_decide_nothing(tmp_path: Path, replicates: int, planned: int) -> None:
    evidence = filled(tmp_path, changes.SCHEDULES, gains(x0_5=9, x1=9, x2=9, x4=9), replicates=replicates, planned=planned)
    found = told(evidence, changes.SCHEDULES)
    assert set(states(found).values()) <= {"withheld", "not run"} and found["differ"] == 0


def test_a_row_that_lacks_a_replicate_withholds_its_contrasts_alone(tmp_path: Path) -> None:
    gone = frozenset({(contrasts.FAME, "0.5x epochs", 2)})
    evidence = filled(tmp_path, changes.SCHEDULES, gains(x0_5=9, x1=10, x2=9, x4=1), leave_out=gone)
    found = told(evidence, changes.SCHEDULES)
    assert states(found)["FAME - baseline at 0.5x epochs"] == "withheld"
    assert states(found)["FAME - baseline at 1x epochs"] == "above"


# ---------------------------------------------------------------- the gate


def test_without_random_init_nothing_learnt_is_said(tmp_path: Path) -> None:
    found = told(filled(tmp_path, changes.SCHEDULES, gains(x0_5=9, x1=9, x2=9, x4=9), start=None), changes.SCHEDULES)
    assert set(states(found).values()) == {"withheld"}
    assert {gate["status"] for gate in found["gates"]} == {"not run"}


def test_a_schedule_asks_for_the_gate_of_its_world(tmp_path: Path) -> None:
    """A baseline that has learnt nothing by itself, as the shortest schedule's, is compared like the others."""
    level = lambda row: (14.0 if row.column == "0.5x epochs" else 40.0) + (10.0 if row.method.merge else 0.0)  # noqa: E731
    for out, gap, status, state in ((tmp_path / "fit", 30.0, "passed", "above"), (tmp_path, 5.0, "failed", "withheld")):
        evidence = filled(out, changes.SCHEDULES, level, gap=gap)
        found = told(evidence, changes.SCHEDULES)
        assert {states(found)[f"FAME - baseline at {column}"] for column in changes.EPOCHS} == {state}
        assert [(gate["where"], gate["status"]) for gate in found["gates"]] == [("the scale's own world", status)]
        figure = curves.draw(evidence, "schedules", entries(evidence, "schedules"), out)
        assert figure and set(pd.read_csv(figure.files[-1])["gate"]) == {status}
        assert ("Hollow points" in figure.caption) == (status == "failed")


def test_every_world_of_a_finding_has_its_own_gate(tmp_path: Path) -> None:
    """One world's control is left out: contrasts that touch that world are withheld, the others are not."""
    level = lambda row: 40.0 + (5.0 if row.method and row.method.merge else 0.0)  # noqa: E731
    gone = frozenset((contrasts.CONTROL, changes.UNBIASED, replicate) for replicate in range(4))
    found = told(filled(tmp_path, changes.SHORTCUT, level, leave_out=gone), changes.SHORTCUT)
    withheld = {name for name, state in states(found).items() if state == "withheld"}
    assert withheld == {"FAME - baseline at rho 0.125", changes.GROWTH} and states(found)["FAME - baseline at rho 1"] == "above"


def test_masks_ask_for_no_gate(tmp_path: Path) -> None:
    """The mask falls below half of its lift from a drift of 1 on; gains in a world that is not fit are withheld."""
    lift = lambda row: 0.6 if row.at is not None and row.at < 1 else 0.2  # noqa: E731
    evidence = filled(tmp_path, changes.CAMERA, lambda row: 15.0, lift=lift, perfect=15.0)
    found = told(evidence, changes.CAMERA)
    lifts = states(found, contrasts.MASK_LIFT.label)
    assert [lifts[half.name] for half in changes.HALVES] == ["above", "above", "below", "below"]
    assert set(states(found).values()) == {"withheld"}


# ---------------------------------------------------------------- statistics


def test_a_family_is_adjusted_together() -> None:
    """By hand: mean 2, sd 1, n = 3, so t = 2 sqrt(3) = 3.4641 at two degrees of freedom: p = 1 - t / sqrt(t^2 + 2) = 0.0742."""
    assert t_p([1.0, 2.0, 3.0]) == pytest.approx(1 - (12 / 14) ** 0.5)
    assert t_p([-1.0, -2.0, -3.0]) == t_p([1.0, 2.0, 3.0]) and t_p([1.0, 2.0]) is None
    clear, weak = [5.0, 5.1, 4.9, 5.0], [1.0, 2.0, 3.0, 1.5]
    assert (t_p(weak) or 1) < 0.05
    alone, family = judge_contrasts([(weak, 2.0)]), judge_contrasts([(weak, 2.0), (clear, 2.0), ([], 2.0), ([1.0], 2.0)])
    assert alone[0].state == "above" and family[0].state == "open"
    assert [one.state for one in family[1:]] == ["above", "not run", "withheld"]
    assert family[0].adjusted == holm([t_p(weak) or 1, t_p(clear) or 1, 1.0, 1.0])[0]
    assert family[0].estimate.interval == alone[0].estimate.interval and family[0].estimate.interval[0] > 0  # shown unadjusted


def test_negligible_needs_the_whole_interval_within_the_margin() -> None:
    small, wide, same = judge_contrasts([([0.5, -0.6, 0.3, -0.2], 2.0), ([3.0, -3.0, 2.0, -2.0], 2.0), ([0.0, 0.0, 0.0], 2.0)])
    assert (small.state, wide.state, same.state) == ("negligible", "open", "negligible")
    assert judge_contrasts([([-5.0, -5.1, -4.9], 2.0)])[0].state == "below"


# ---------------------------------------------------------------- other kinds of terms and outcomes


def test_equal_tuning_takes_each_methods_best_rate_by_validation(tmp_path: Path) -> None:
    """FAME validates best at 3x, the baseline at 1/3x; deranged scenes, which would choose otherwise, do not choose."""
    third, once, thrice = changes.RATES
    scenes = {(contrasts.FAME, third): 60, (contrasts.FAME, once): 50, (contrasts.FAME, thrice): 42}
    scenes |= {(contrasts.BASELINE, third): 45, (contrasts.BASELINE, once): 40, (contrasts.BASELINE, thrice): 44}
    better = {(contrasts.FAME, thrice), (contrasts.BASELINE, third)}
    evidence = filled(
        tmp_path,
        changes.LEARNING_RATES,
        lambda row: scenes[row.label, row.column],
        validated=lambda row: 90.0 if (row.label, row.column) in better else 50.0,
    )
    found = told(evidence, changes.LEARNING_RATES)
    tuned = next(one for one in found["contrasts"] if one["contrast"] == TUNED)
    assert tuned["effect"] == pytest.approx(42 - 45 + sum(RIPPLE) / 4)
    assert tuned["chosen"] == [f"{contrasts.FAME} {thrice}", f"{contrasts.BASELINE} {third}"]
    assert tuned["state"] == "below"


def test_no_rate_is_the_best_while_one_is_missing(tmp_path: Path) -> None:
    """FAME at three times the rate lacks a replicate: it might have been the best, so nothing is said of equal tuning."""
    gone = frozenset({(contrasts.FAME, "3x learning rate", 1)})
    level = lambda row: 40.0 + (9.0 if row.method and row.method.merge else 0.0)  # noqa: E731
    found = told(filled(tmp_path, changes.LEARNING_RATES, level, leave_out=gone), changes.LEARNING_RATES)
    assert states(found)[TUNED] == states(found)["what equal tuning changes of that"] == "not run"
    assert states(found)["FAME - baseline at 1x learning rate"] == "above"
    assert not any(one["chosen"] for one in found["contrasts"])


# ---------------------------------------------------------------- as they are shown


def test_figures_say_what_was_not_run(tmp_path: Path) -> None:
    gone = frozenset((controls.BLOB, "", replicate) for replicate in range(4))
    evidence = filled(tmp_path, controls.TRUE_MASK, lambda row: 40.0, leave_out=gone, start=38.0)
    figure = effects.draw(evidence, "true_mask", entries(evidence, "true_mask"), tmp_path)
    assert figure and "Hollow points" in figure.caption and "in the scale's own world is +2.0 points" in figure.caption
    sound = filled(tmp_path / "sound", controls.TRUE_MASK, lambda row: 40.0)
    whole = effects.draw(sound, "true_mask", entries(sound, "true_mask"), tmp_path)
    assert whole and "Hollow points" not in whole.caption


def test_a_report_of_findings_shows_their_contrasts_and_no_other_claims(tmp_path: Path) -> None:
    """The page of one finding, and that of a single row of a paper's study, which keeps the ledger."""
    ran = (changes.SCHEDULES, STUDIES[0], TEMPORAL_KERNELS)
    store, setting = fill(tmp_path, studies=ran, scale=QUICK, replicates=3, performances=8)
    html = reported(store, setting, (changes.SCHEDULES,), 3).read_text(encoding="utf-8")
    words = unescape(re.sub(r"<[^>]+>", "", html))
    assert "Does the baseline catch up?" in words and "10 comparisons were made; after Holm" in words
    assert changes.HALVED in words and "Gate in the scale's own world: " in words and 'id="C1"' not in html
    told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    found = told["contrasts"]["schedules"]
    drawn = {figure["name"] for figure in told["figures"]}
    assert drawn == {"schedules_curve", "training_curves"}, "none of a study that was not asked for"
    assert found["compared"] == 10
    links = re.findall(r'href="#cell-(.*?)"', html.split("the comparisons")[1].split("</table>")[0])
    assert sorted(links) == sorted(one["cell"] for one in found["contrasts"])
    reduced = replace(STUDIES[0], rows=STUDIES[0].rows[:1])
    assert 'id="C1"' in reported(store, setting, (reduced, TEMPORAL_KERNELS), 3).read_text(encoding="utf-8")
    told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert "temporal_kernels_figure3" in {figure["name"] for figure in told["figures"]}
