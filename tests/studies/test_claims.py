"""The claims resolve to stages that the studies run, and are judged as docs/rules.md says."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports.evidence import Evidence
from reports.gate import OWN, gate, sides
from reports.ledger import gates_of, ledger, measured
from studies.harness.store import Store
from studies.paper.claims import CLAIMS
from studies.paper.registry import FINDINGS, FOR_CLAIMS, STUDIES, studies
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import MINI, PAPER, QUICK, SMOKE, on_real_video
from studies.study import Row, fame, moco, random_init, top1
from tests.filled import fill, put, seen

AREA = tuple(study for study in STUDIES if study.name == "area_ratio")
MASKS = tuple(study for study in STUDIES if study.name == "mask_quality")
JUDGED = replace(MINI, replicates=4, undecided="")


def test_what_the_studies_say_they_test_is_a_claim() -> None:
    assert {name for study in (*STUDIES, *FINDINGS) for name in study.claims} == {claim.id for claim in CLAIMS}


def test_every_side_of_a_link_is_run_by_some_study() -> None:
    setting = Setting(QUICK)
    papers, every = all_stages(setting, STUDIES), all_stages(setting, studies([FOR_CLAIMS]))
    assert set(papers) < set(every) < set(all_stages(setting, (*STUDIES, *FINDINGS)))
    for claim in CLAIMS:
        for test in claim.tests:
            run, missing = every if test.needs else papers, 0
            for link in (*test.links, *test.beside):
                for side in (*link.greater.parts, *link.lesser.parts) if test.source == "runs" else ():
                    stage = setting.stage(Row("", side.method), side.measure)
                    assert stage is not None and stage.id in run, f"{claim.id}: {link.text}"
                    missing += stage.id not in papers
                assert link.greater != link.lesser
            assert bool(missing) == bool(test.needs), f"{claim.id} needs what the paper's studies have"


def test_the_gate_of_every_world_of_a_claim_is_run(tmp_path: Path) -> None:
    setting = Setting(QUICK)
    evidence, run = seen(Store(tmp_path).prepare(), setting, [0]), all_stages(setting, studies([FOR_CLAIMS]))
    wheres = {}
    for claim in CLAIMS:
        for test in claim.tests:
            wheres[claim.id, test.kind] = [gate.where for gate in gates_of(evidence, test)]
            for link in test.links:
                for method in (*link.greater.encoders, *link.lesser.encoders):
                    assert {stage.id for stage, _ in sides(evidence, method.changes) if stage} <= set(run)
    assert wheres.pop(("C10", "mechanism")) == [OWN, "the world with likeness 1"]
    assert wheres.pop(("C11", "mechanism")) == wheres.pop(("C11", "real video")) == []
    assert all(where == [OWN] for where in wheres.values())


def verdicts(evidence: Evidence) -> dict[tuple[str, str], dict]:
    return {(entry["id"], entry["kind"]): entry for entry in ledger(evidence)}


def test_an_empty_store_runs_no_claim(tmp_path: Path) -> None:
    found = ledger(seen(Store(tmp_path).prepare(), Setting(QUICK), [0]), real=measured(tmp_path / "none.csv"))
    assert {(entry["id"], entry["verdict"]) for entry in found} == {(claim.id, "not run") for claim in CLAIMS}


def test_verdicts_of_four_replicates(tmp_path: Path) -> None:
    store, setting = Store(tmp_path).prepare(), Setting(JUDGED)
    for replicate in range(4):
        for row, _, stage in setting.cells(AREA[0]):
            level = 40.0 + replicate + (10 + replicate % 2 if row.method != moco() else 0)
            put(store, stage, replicate, {measure.metric: level for measure in AREA[0].measures} | {"background_gap": 40.0})
    evidence = seen(store, setting, range(4))
    assert "unknown" in gate(evidence).reason
    found = verdicts(evidence)
    assert found["C1", "mechanism"]["verdict"] == "inconclusive"
    assert "unknown" in found["C1", "mechanism"]["reason"]
    for method, level in ((random_init(), 20.0), (fame(variant="true", background="empty"), 40.0)):
        stage = setting.stage(Row("", method), top1("A", "probe"))
        for replicate in range(4):
            put(store, stage, replicate, {"balanced/top1/deranged": level + replicate})
    found = verdicts(seen(store, setting, range(4)))
    assert found["C1", "as published"]["verdict"] == "reproduced"
    assert found["C1", "mechanism"]["verdict"] == "reproduced"
    assert found["C1", "mechanism"]["effect"] == pytest.approx(10.5)
    assert found["C1", "mechanism"]["n"] == 4
    assert found["C5", "mechanism"]["verdict"] == "inconclusive"
    assert "selection" in found["C5", "mechanism"]["reason"]


def test_a_harmful_merge_refutes(tmp_path: Path) -> None:
    store, setting = Store(tmp_path).prepare(), Setting(JUDGED)
    _, _, stage = next(iter(setting.cells(MASKS[0])))
    for replicate in range(4):
        worse = {"fame": 0.01 * (replicate % 2), "seed": 0.1}
        levels = {f"{variant}/0.5/paper/recall_still": 0.6 + by for variant, by in worse.items()}
        put(
            store,
            stage,
            replicate,
            levels | {f"{variant}/0.5/paper/recall_lift": 0.5 + by for variant, by in worse.items()},
        )
    entry = verdicts(seen(store, setting, range(4)))["C11", "mechanism"]
    assert entry["verdict"] == "not reproduced" and entry["effect"] < -0.08
    assert all(link["no_gain"] for link in entry["links"])
    more = Setting(replace(JUDGED, replicates=8))
    entry = verdicts(seen(store, more, range(4)))["C11", "mechanism"]  # whoever asks for four cannot stop there
    assert entry["verdict"] == "inconclusive"
    assert "4 of 8" in entry["reason"]
    entry = verdicts(seen(store, Setting(replace(JUDGED, undecided="a laboratory")), range(4)))["C11", "mechanism"]
    assert (entry["verdict"], entry["reason"]) == ("inconclusive", "a laboratory")
    assert [link["verdict"] for link in entry["links"]] == ["refuted", "refuted"]


def test_verdicts_come_of_real_video_alone() -> None:
    for scale in (SMOKE, QUICK, MINI):
        assert scale.undecided and bool(on_real_video(scale, 300).undecided) == (scale is SMOKE)
    assert not PAPER.undecided


def test_a_link_waits_for_all_replicates_that_its_sides_are_planned_with(tmp_path: Path) -> None:
    few, more = replace(AREA[0], replicates=4), next(study for study in STUDIES if study.name == "retrieval")
    store, setting = fill(tmp_path, studies=(few, more), scale=JUDGED, replicates=4, performances=8)
    found = verdicts(seen(store, setting, range(6), (few, more)))
    assert found["C9", "as published"]["reason"] == "interim: 4 of 6 replicates; all are needed"
    assert not found["C1", "as published"]["reason"].startswith("interim")


def test_one_replicate_and_smoke_never_give_a_verdict(tmp_path: Path) -> None:
    store, setting = fill(tmp_path / "one", studies=MASKS, scale=JUDGED, performances=8)
    entry = verdicts(seen(store, setting, [0]))["C11", "mechanism"]
    assert entry["verdict"] == "inconclusive" and entry["n"] == 1
    assert entry["over"] == "videos" and entry["interval"] is not None
    store, setting = fill(tmp_path / "smoke", studies=MASKS, scale=SMOKE, replicates=4, performances=8)
    entry = verdicts(seen(store, setting, range(4)))["C11", "mechanism"]
    assert entry["verdict"] == "inconclusive" and "smoke" in entry["reason"]


def test_one_given_encoder_is_compared_with_nothing(tmp_path: Path) -> None:
    setting = Setting(SMOKE, pretrained="a" * 64)
    store, setting = fill(tmp_path, setting=setting, replicates=3, performances=8)
    found = verdicts(seen(store, setting, range(3)))
    assert found["C9", "as published"]["verdict"] == found["C1", "mechanism"]["verdict"] == "not run"
    assert "one encoder was given" in found["C9", "as published"]["reason"]
    assert found["C11", "mechanism"]["n"] == 3  # masks need no encoder
