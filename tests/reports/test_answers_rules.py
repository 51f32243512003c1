"""What answers rest on: contrasts by hand, adjusted for their number, and each question's own terms and outcomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fame.config import VideoData
from reports.answers import answers
from reports.evidence import Evidence
from reports.statistics import holm, judge_contrasts, t_p
from studies.findings import learning_rates, quirks, schedules, true_mask, twins
from studies.harness.store import Store
from studies.paper.registry import FINDINGS, STUDIES
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK
from studies.study import Row
from tests.reports.test_answers import RIPPLE, SETTING, filled, gains, states, told

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
    third, once, thrice = learning_rates.COLUMNS
    scenes = {(twins.FAME, third): 60, (twins.FAME, once): 50, (twins.FAME, thrice): 42}
    scenes |= {(twins.BASELINE, third): 45, (twins.BASELINE, once): 40, (twins.BASELINE, thrice): 44}
    better = {(twins.FAME, thrice), (twins.BASELINE, third)}
    evidence = filled(
        tmp_path,
        learning_rates.STUDY,
        lambda row: scenes[row.label, row.column],
        validated=lambda row: 90.0 if (row.label, row.column) in better else 50.0,
    )
    found = told(evidence, learning_rates.STUDY)
    tuned = next(one for one in found["contrasts"] if one["contrast"] == learning_rates.TUNED)
    assert tuned["effect"] == pytest.approx(42 - 45 + sum(RIPPLE) / 4)
    assert tuned["chosen"] == [f"{twins.FAME} {thrice}", f"{twins.BASELINE} {third}"]
    assert "a matter of tuning" in found["answers"][0]["text"] and tuned["state"] == "below"


def test_no_rate_is_the_best_while_one_is_missing(tmp_path: Path) -> None:
    """FAME at three times the rate lacks a replicate: it might have been the best, so nothing is said of equal tuning."""
    gone = frozenset({(twins.FAME, learning_rates.COLUMNS[2], 1)})
    level = lambda row: 40.0 + (9.0 if row.method and row.method.merge else 0.0)  # noqa: E731
    found = told(filled(tmp_path, learning_rates.STUDY, level, leave_out=gone), learning_rates.STUDY)
    assert states(found)[learning_rates.TUNED] == states(found)[learning_rates.CHANGE] == "not run"
    assert states(found)[learning_rates.AS_IT_IS] == "above" and not found["answers"][0]["answered"]
    assert not any(one["chosen"] for one in found["contrasts"])


def test_quirks_that_matter_are_named(tmp_path: Path) -> None:
    """A quirk of the loss is the change of the gain: the baseline of the same loss moves, too."""
    moved = {quirks.HUE: 8.0, quirks.ALL: 0.0}

    def level(row: Row) -> float:
        return 40.0 + (5.0 if row.column == quirks.TWO else 0.0) + moved.get(row.label, 0.0)

    found = told(filled(tmp_path / "some", quirks.STUDY, level), quirks.STUDY)
    assert found["answers"][0]["text"].startswith(f"What matters: {quirks.HUE} (above 0). {quirks.HUE} +8.0")
    assert states(found)["symmetric loss"] == "negligible"
    moved.clear()
    found = told(filled(tmp_path / "none", quirks.STUDY, level), quirks.STUDY)
    assert found["answers"][0]["text"].startswith("None of them matters") and found["negligible"] == 12


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ({"FAME": 45, true_mask.TRUE: 52, true_mask.OTHER: 39, true_mask.BLOB: 38}, "The mask matters"),
        ({"FAME": 45, true_mask.TRUE: 52, true_mask.OTHER: 45, true_mask.BLOB: 49}, "Masks that know nothing"),
        ({"FAME": 45, true_mask.TRUE: 40, true_mask.OTHER: 39, true_mask.BLOB: 38}, "FAME's mask is above"),
        ({"FAME": 45, true_mask.TRUE: 52, true_mask.OTHER: 39, true_mask.BLOB: 46}, "The true figure is above"),
    ],
)
def test_the_rule_of_the_true_mask(tmp_path: Path, levels: dict[str, float], words: str) -> None:
    found = told(filled(tmp_path, true_mask.STUDY, lambda row: float(levels.get(row.label, 40))), true_mask.STUDY)
    assert found["answers"][0]["text"].startswith(words) and found["compared"] == 18


def test_what_is_not_compared_is_said(tmp_path: Path) -> None:
    """Real videos have no scenes that mislead; one given encoder leaves nothing to compare; a reduced study lacks rows."""
    store = Store(tmp_path).prepare()
    real = Setting(QUICK, VideoData(kind="ucf101", manifest="0123456789ab"))
    assert "ucf101 has no scenes that mislead" in told(Evidence(store, real, range(3)), schedules.STUDY)["answers"][0]["text"]
    assert answers(Evidence(store, Setting(QUICK, pretrained="a" * 64), range(3)), FINDINGS) == {}
    one = replace(schedules.STUDY, rows=schedules.STUDY.rows[2:4])
    assert states(told(filled(tmp_path / "one", one, gains(x1=5)), one))[schedules.LONG] == "not run"
    assert answers(Evidence(store, SETTING, range(3)), STUDIES) == {}
