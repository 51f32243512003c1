"""The headline's own verdict: whether a third of the background gap is closed, and when that may be said."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import texts
from reports.answer import said
from reports.headline import decide, headline
from reports.statistics import NOTHING, Estimate, estimate
from studies.harness.store import Store
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK
from studies.study import Method, Row, balanced, fame, moco, random_init
from tests.filled import result, seen

SETTING = Setting(QUICK)
BASE = {"top1": 80.0, "top1/deranged": 20.0, "background_gap": 60.0, "balanced/top1/deranged": 40.0}
MERGED = {"top1": 79.0, "top1/deranged": 45.0, "background_gap": 34.0, "balanced/top1/deranged": 50.0}
PERFECT = fame(variant="true", background="empty")


def closed(out: Path, merged: dict[str, float], start: float | None = 12.0, replicates: int = 4) -> dict:
    """The verdict of as many replicates, where random init's balanced head reads `start` (None: it has not run)."""
    levels = [(moco(), BASE), (fame(), merged), (PERFECT, BASE | {"top1/deranged": 35.0 - (start or 20.0)})]
    levels += [(random_init(), {**BASE, "balanced/top1/deranged": start})] if start is not None else []
    return shown(out, levels, replicates)["closed"]


def shown(out: Path, levels: list[tuple[Method, dict[str, float]]], replicates: int = 4) -> dict:
    """The headline of encoders with these numbers; those of the later ones move by 0.1 a place and replicate."""
    store = Store(out).prepare()
    for replicate in range(replicates):
        for number, (method, metrics) in enumerate(levels):
            stage = SETTING.stage(Row("", method), balanced("A"))
            assert stage
            moved = {name: value + 0.1 * number * replicate for name, value in metrics.items()}
            store.finish(stage, replicate, result(stage, replicate, moved, store.begin(stage, replicate)))
    found = headline(seen(store, SETTING, range(4)))
    assert found
    return found


def test_a_third_is_closed(tmp_path: Path) -> None:
    found = closed(tmp_path, MERGED)
    assert found["verdict"] == "closed" and found["n"] == 4
    assert found["mean"] == pytest.approx(60 * 2 / 3 - 34 - 0.15)  # FAME's gap moves by 0.1 a replicate


def test_less_than_a_third_or_at_the_price_of_own_scenes_is_not(tmp_path: Path) -> None:
    assert closed(tmp_path / "less", MERGED | {"background_gap": 45.0})["verdict"] == "not shown"
    assert closed(tmp_path / "worse", MERGED | {"top1": 76.0})["verdict"] == "not shown"
    assert closed(tmp_path / "swapped", MERGED | {"top1/deranged": 19.0})["verdict"] == "not shown"


@pytest.mark.parametrize(("start", "replicates"), [(35.0, 4), (None, 4), (12.0, 3)], ids=["failed", "not run", "interim"])
def test_nothing_is_said_where_the_gate_is_shut_or_replicates_lack(tmp_path: Path, start: float | None, replicates: int) -> None:
    assert closed(tmp_path, MERGED, start, replicates)["verdict"] == "inconclusive"


def test_the_positive_control_stands_beside_where_it_has_run(tmp_path: Path) -> None:
    perfect = BASE | {"top1/deranged": 30.0, "balanced/top1/deranged": 35.0}
    both = [(moco(), BASE), (fame(variant="true"), perfect), (PERFECT, BASE)]
    found, empty = shown(tmp_path / "run", both)["controls"]
    assert "perfect mask" in found["text"] and "empty scenes" in empty["text"]
    assert empty["differences"]["gap"]["mean"] != found["differences"]["gap"]["mean"]
    assert found["differences"]["deranged"]["mean"] == pytest.approx(10.15) and found["differences"]["deranged"]["n"] == 4
    low, high = found["differences"]["balanced"]["interval"]
    assert low < -5 + 0.15 < high and found["levels"]["balanced"]["mean"] == pytest.approx(35.15)
    assert shown(tmp_path / "not", [(moco(), BASE), (fame(), MERGED)])["controls"] == []


VALUES = st.lists(st.floats(-30, 30).filter(lambda value: value == 0 or abs(value) > 0.01), min_size=1, max_size=9, unique=True)


@given(VALUES, VALUES | st.none(), st.integers(1, 9), st.sampled_from(["", "the gate is shut"]))
def test_each_decision_follows_from_the_intervals(gains: list[float], perfect: list[float] | None, awaited: int, shut: str) -> None:
    found, control = estimate(gains), NOTHING if perfect is None else estimate(perfect)
    told = decide(found, awaited, shut, control)
    whole = len(gains) >= max(3, awaited)
    known = perfect is not None and len(perfect) >= max(3, awaited)
    low, high = found.interval or (0.0, 0.0)
    gained = known and control.interval is not None and control.interval[0] > 0
    assert told.seen == (gained if known else None)
    fit = whole and (gained or not shut)
    assert (told.state == "gain") == (fit and low > 0)
    assert (told.state == "loss") == (fit and told.seen is not False and high < 0)
    assert (told.state == "no gain") == (fit and told.seen is not False and low <= 0 <= high < 2)
    assert (told.state == "open") == (fit and told.seen is not False and low <= 0 and high >= 2)
    assert bool(told.why) == (told.state == "not decided")
    words = said(told, found, control)
    assert texts.number(found.mean, 1, True) in words and told.why in words
    assert (f"gains {texts.number(control.mean, 1, True)} points" in words) == gained


def test_what_is_decided_changes_with_the_control_alone() -> None:
    gains = Estimate(-1.0, (-2.0, 0.5), 6)
    states = {shown: decide(gains, 6, "shut", Estimate(5.0, (shown, 9.0), 6)).state for shown in (-1.0, 1.0)}
    assert states == {-1.0: "not decided", 1.0: "no gain"}
