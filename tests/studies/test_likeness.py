"""Claim C10: the mask's link between two worlds, and the gain's."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from fame.config import StagedData, VideoData
from fame.data.staged.plan import plan
from fame.evaluation.predictions import metrics_from
from fame.seeds import Seeds
from reports.evidence import Evidence, Gain
from reports.ledger import ledger
from studies.findings.changes import LIKENESSES
from studies.harness.store import Store
from studies.paper.claims import CLAIMS
from studies.paper.headline import CONTROL, methods
from studies.paper.links import Side
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.setting.scales import PAPER, QUICK
from studies.study import Changes, Measure, Row, balanced
from tests.filled import predictions, put, result, seen

C10 = tuple(claim for claim in CLAIMS if claim.id == "C10")
TEST = C10[0].tests[0]
SETTING = Setting(replace(QUICK, undecided=""))
BALANCED, GAP = "balanced/top1/deranged", "background_gap"  # what the gate looks at
Levels = dict[tuple[str, float], float]  # (FAME or baseline or mask, likeness) -> mean
SUFFERS: Levels = {
    ("FAME", 0): 60,
    ("baseline", 0): 45,
    ("FAME", 1): 48,
    ("baseline", 1): 44,
    ("mask", 0): 0.6,
    ("mask", 1): 0.3,
}


def sides() -> dict[tuple[str, float], Side]:
    """Every number of C10's two links, by what it is and where."""
    mask, gain = TEST.links
    ends = {0.0: (mask.greater, gain.greater), 1.0: (mask.lesser, gain.lesser)}
    found: dict[tuple[str, float], Side] = {}
    for at, (area, learnt) in ends.items():
        assert learnt.minus
        found |= {("mask", at): area, ("FAME", at): learnt, ("baseline", at): learnt.minus}
    return found


def stage_of(side: Side) -> Stage:
    assert isinstance(side.measure, Measure)
    stage = SETTING.stage(Row("", side.method), side.measure)
    assert stage
    return stage


LEARNT = {0.0: 30.0, 1.0: 30.0}  # in each world the points of a perfect mask above random init


def filled(
    out: Path,
    levels: Levels,
    replicates: int = 4,
    learnt: dict[float, float] = LEARNT,
    followed: float = 40.0,
    leave_out: tuple = (),
) -> Evidence:
    """Numbers about the levels; `followed` is the gap at likeness 1."""
    store = Store(out).prepare()
    for replicate in range(replicates):
        for (what, at), side in sides().items():
            if (what, at, replicate) in leave_out:
                continue
            noise = 0.0 if what == "baseline" else (0.01 if what == "mask" else 1.5) * (replicate % 2 + at * replicate)
            metrics = {side.measure.metric: levels[what, at] + noise}  # type: ignore[union-attr]
            put(store, stage_of(side), replicate, metrics | {GAP: followed if at else 40.0})
        for at, name in product((0.0, 1.0), ("random init", CONTROL)):
            if (name, at, replicate) not in leave_out:
                side = Side("", methods(Changes.of(world={"likeness": at}))[name], balanced("A"))
                put(store, stage_of(side), replicate, {BALANCED: 14.0 + (learnt[at] if name == CONTROL else 0)})
    return seen(store, SETTING, range(replicates))


def judged(evidence: Evidence) -> dict:
    (entry,) = ledger(evidence, C10)
    assert entry["kind"] == "mechanism"
    return entry


def test_each_side_stands_in_its_own_world() -> None:
    found = {(what, at): stage_of(side) for (what, at), side in sides().items()}
    for (what, at), stage in found.items():
        assert stage.config.data.world.likeness == at  # type: ignore[union-attr]
        assert (stage.upstream is None) == (what == "mask") == (not sides()[what, at].encoders)
    assert len({stage.id for stage in found.values()}) == 6


def test_mask_and_gain_that_suffer_reproduce(tmp_path: Path) -> None:
    entry = judged(filled(tmp_path, SUFFERS))
    assert entry["verdict"] == "reproduced" and entry["n"] == 4 and entry["supported"] == 2
    mask, gain = entry["links"]
    noise = np.mean([-1.5 * replicate for replicate in range(4)])
    assert gain["effect"] == pytest.approx((60 - 45) - (48 - 44) + noise)
    assert gain["over"] == "replicates"
    assert mask["effect"] == pytest.approx(0.3 - 0.01 * 1.5)
    assert entry["weakest"] == gain["link"]  # 4 margins beside 14: units do not decide which is weaker
    assert [link["verdict"] for link in entry["beside"]] == ["supported", "supported", "not run"]


@pytest.mark.parametrize(
    ("levels", "verdict", "links"),
    [
        ({("FAME", 1): 70}, "not reproduced", ["supported", "refuted"]),
        ({("mask", 1): 0.6}, "not reproduced", ["refuted", "supported"]),
        ({("FAME", 1): 57}, "inconclusive", ["supported", "inconclusive"]),
    ],
    ids=["a gain that grows", "a mask that does not suffer", "a gain within its spread"],
)
def test_a_link_that_does_not_hold(tmp_path: Path, levels: Levels, verdict: str, links: list[str]) -> None:
    entry = judged(filled(tmp_path / "sound", SUFFERS | levels))
    assert entry["verdict"] == verdict
    assert [link["verdict"] for link in entry["links"]] == links
    assert ("too wide to tell" in entry["reason"]) == (verdict == "inconclusive")
    entry = judged(filled(tmp_path / "shut", SUFFERS | levels, learnt={0.0: 30.0, 1.0: 2.0}))
    assert entry["verdict"] == "inconclusive"  # withheld by the other world's gate


@pytest.mark.parametrize("gone", list(sides()))
def test_a_replicate_counts_where_all_four_numbers_are_there(tmp_path: Path, gone: tuple[str, float]) -> None:
    entry = judged(filled(tmp_path, SUFFERS, leave_out=((*gone, 2),)))
    assert entry["verdict"] == "inconclusive"
    assert entry["reason"].startswith("interim: 3 of 4 replicates")
    assert [link["n"] for link in entry["links"]] == ([3, 4] if gone[0] == "mask" else [4, 3])


MASK, GAPS = "a perfect mask's balanced accuracy above random init's in the", "the baseline's background gap in the"
ALIKE = "world with likeness 1 is"


@pytest.mark.parametrize(
    ("learnt", "followed", "missing", "statuses", "reasons"),
    [
        ({0.0: 30.0, 1.0: 9.5}, 40.0, 0, ["passed", "failed"], [f"{MASK} {ALIKE} +9.5 points, under the 10"]),
        ({0.0: 5.0, 1.0: 4.0}, 40.0, 0, ["failed", "failed"], [f"{MASK} scale's own world is +5.0 points", "+4.0"]),
        (LEARNT, 3.0, 0, ["passed", "failed"], [f"{GAPS} {ALIKE} +3.0 points, under the 10"]),
        (LEARNT, 3.0, 4, ["passed", "failed"], [f"{MASK} {ALIKE} unknown", f"{GAPS} {ALIKE} +3.0"]),
        (LEARNT, 40.0, 4, ["passed", "not run"], [f"{MASK} {ALIKE} unknown"]),
        (LEARNT, 40.0, 1, ["passed", "interim"], [f"{MASK} {ALIKE} known of 3 of 4 replicates"]),
    ],
    ids=["no motion", "no motion in both", "no scene", "no scene, the rest unknown", "missing", "interim"],
)
@pytest.mark.parametrize("gone", ["random init", CONTROL])
def test_the_gate_holds_for_a_gain_in_each_world(
    tmp_path: Path, gone: str, learnt: dict[float, float], followed: float, missing: int, statuses: list[str], reasons: list[str]
) -> None:
    lacks = tuple((gone, 1.0, replicate) for replicate in range(missing))
    entry = judged(filled(tmp_path, SUFFERS, learnt=learnt, followed=followed, leave_out=lacks))
    assert entry["verdict"] == "inconclusive"
    assert {link["verdict"] for link in entry["links"]} == {"supported"}
    assert all(reason in entry["reason"] for reason in reasons)
    assert [gate["where"] for gate in entry["gates"]] == ["the scale's own world", "the world with likeness 1"]
    assert [gate["status"] for gate in entry["gates"]] == statuses


def test_without_the_finding_it_says_what_it_needs(tmp_path: Path) -> None:
    papers = tuple((what, 1.0, replicate) for what in ("FAME", "baseline", "mask") for replicate in range(4))
    for evidence in (filled(tmp_path / "papers", SUFFERS, leave_out=papers), seen(Store(tmp_path).prepare(), SETTING, [0])):
        entry = judged(evidence)
        assert entry["verdict"] == "not run"
        assert entry["reason"] == "needs the study likeness (--only claims)"
        assert entry["n"] == 0
        assert all(link["verdict"] == "not run" for link in entry["links"])
    real = Setting(PAPER, {"A": VideoData(kind="ucf101", manifest="0123456789ab")})
    assert "has no part for it" in judged(seen(Store(tmp_path).prepare(), real, [0]))["reason"]


# ---------------------------------------------------------------- over videos


def test_worlds_of_other_likeness_stage_the_same_performances() -> None:
    scale = QUICK
    assert scale.world
    small = {part: getattr(scale.world, part).model_copy(update={"train": 16, "val": 8}) for part in ("A", "source", "B", "C")}
    worlds = [scale.world.model_copy(update={**small, "likeness": at}) for at in LIKENESSES.values()]
    first, *others = [plan(StagedData(part="A", world=world), Seeds(1)) for world in worlds]
    assert first and all(other == first for other in others)


def test_one_replicate_gives_an_interval_over_performances(tmp_path: Path) -> None:
    store, (_, gain) = Store(tmp_path).prepare(), TEST.links
    frames = {}
    for number, ((what, at), side) in enumerate(sides().items()):
        if what == "mask":
            continue
        stage = stage_of(side)
        frame = predictions(stage, np.random.default_rng(number), 40, ("biased",))
        frames[what, at] = frame = frame[~frame["performance"].isin(["p0003", "p0017"])] if number == 5 else frame
        folder = store.begin(stage, 0)
        frame.to_csv(folder / "predictions.csv", index=False)
        store.finish(stage, 0, result(stage, 0, metrics_from(frame), folder))
    evidence = seen(store, SETTING, [0])
    found = evidence.difference(_number(evidence, gain.greater), _number(evidence, gain.lesser))
    assert (found.n, found.over, found.videos) == (1, "videos", 38)
    assert found.interval and found.interval[0] < found.interval[1]

    def right(key: tuple[str, float]) -> float:
        lines = frames[key][frames[key]["condition"] == "deranged"]
        return 100.0 * float((lines["predicted"] == lines["label"]).mean())

    by_hand = (right(("FAME", 0.0)) - right(("baseline", 0.0))) - (right(("FAME", 1.0)) - right(("baseline", 1.0)))
    assert found.mean == pytest.approx(by_hand)
    entry = judged(evidence)
    assert entry["verdict"] == "inconclusive" and entry["links"][1]["over"] == "videos"


def _number(evidence: Evidence, side: Side):  # type: ignore[no-untyped-def]
    assert isinstance(side.measure, Measure)
    number = evidence.runs(side.method, side.measure), side.measure.metric
    return Gain(number, _number(evidence, side.minus)) if side.minus else number
