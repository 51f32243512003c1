"""The headline has replicates, a schedule and tests of its own where its scale says so; everything else stays as it is."""

from pathlib import Path

from reports.content import content
from reports.evidence import Evidence
from studies.cli.session import Session, standing
from studies.harness.parts import pack, unpack
from studies.harness.store import Store
from studies.paper.headline import CONTROL, HEADLINE
from studies.paper.registry import FOR_CLAIMS, OF_TARGETS
from studies.records import read
from studies.setting.asked import Asked, chosen, numbered, resolve
from studies.setting.options import Options
from studies.setting.recording import record
from studies.setting.resolve import all_stages
from studies.setting.scales import MINI, QUICK
from tests.filled import artefacts, result

ONLY = (HEADLINE.name, "temporal_kernels")


def fill(store: Store, asked: Asked, replicates: tuple[int, ...]) -> None:
    """Finish every run of the study in these replicates."""
    for stage, (of, studies) in all_stages(asked.setting, asked.studies).items():
        for number in (number for number in replicates if asked.has(studies, number)):
            folder = store.begin(of, number)
            store.finish(of, number, result(of, number, artefacts(of, number, folder, 80), folder))
            assert store.finished(stage, number)


def test_only_the_headline_is_run_again(tmp_path: Path) -> None:
    options = Options(out=tmp_path, scale="quick", only=ONLY, device="cpu")
    plan = Session(options).plan()
    counts = {name: len([task for task in plan.tasks if plan.serves[task.stage.id] == (name,)]) for name in ONLY}
    many = QUICK.decided_by
    assert many >= 4 and counts[HEADLINE.name] % many == 0 and counts["temporal_kernels"] == 7  # 3 pretrainings, 4 kernels
    part = Session(options.model_copy(update={"part": f"1-{many - 1}"})).plan()
    assert {task.replicate for task in part.tasks} == set(range(1, many))
    assert {HEADLINE.name in part.serves[task.stage.id] for task in part.tasks} == {True}
    alike = resolve(options.model_copy(update={"replicates": 2}), tmp_path, 1)
    assert alike.replicates == (0, 1) and all(alike.has([name], 1) for name in ONLY)


def test_own_targets_have_more_replicates_of_the_headline_than_of_the_ablations(tmp_path: Path) -> None:
    words = {"only": tuple(study.name for study in OF_TARGETS), "dataset": "targets", "data_root": tmp_path}
    options = Options(scale="mini", **words)
    scale, (lead, ablations) = options.sized(), chosen(options, False)
    assert len(numbered(scale, (lead, ablations), None)) == scale.decided_by > scale.replicates
    assert (lead.replicates, ablations.replicates) == (0, scale.replicates)
    assert len(numbered(scale, (ablations,), None)) == scale.replicates


def test_its_runs_are_its_own_at_quick_and_the_claims_at_mini(tmp_path: Path) -> None:
    ids = {}
    for scale in ("quick", "mini"):
        own, claims = (resolve(Options(scale=scale, only=(name,)), tmp_path, 1) for name in (HEADLINE.name, FOR_CLAIMS))
        ids[scale] = [set(all_stages(one.setting, one.studies)) for one in (own, claims)]
    assert ids["mini"][0] < ids["mini"][1]
    assert len(ids["quick"][0] & ids["quick"][1]) == 1, "the untrained network"
    mini = resolve(Options(scale="mini"), tmp_path, 1)
    assert len(mini.replicates) == MINI.replicates and not any(study.replicates for study in mini.studies)


def test_the_report_counts_each_study_by_its_own_replicates(tmp_path: Path) -> None:
    asked, store = resolve(Options(scale="quick", only=ONLY), tmp_path, 1), Store(tmp_path / "out").prepare()
    assert "--replicates" not in asked.command()
    stages, planned = all_stages(asked.setting, asked.studies), asked.replicates
    fill(store, asked, planned[:-1])
    store.write_setting(asked.to_json())
    record(asked).write(store.out)
    found = content(Evidence(store, read(store.out)), "", None)
    assert found["headline"]["decision"]["state"] == "not decided" and "interim" in found["standing"]["interim"]
    assert standing(store, asked, stages).startswith(f"{len(planned) - 1} of {len(planned)}")
    fill(store, asked, planned[-1:])
    found = content(Evidence(store, read(store.out)), "", None)
    assert found["headline"]["decision"]["state"] != "not decided"
    assert found["headline"]["differences"]["deranged"]["n"] == len(planned)
    assert found["headline"]["gate"]["status"] == "passed" and found["headline"]["gate"]["control"]["n"] == len(planned)
    assert {entry["n"] for entry in found["tables"][HEADLINE.name]} == {len(planned)}
    assert {entry["n"] for entry in found["tables"]["temporal_kernels"]} == {1}
    assert CONTROL in {control["text"] for control in found["headline"]["controls"]}
    assert found["runs"]["planned"] == found["runs"]["finished"] and not found["standing"]["interim"]
    assert standing(store, asked, stages) == "" and found["standing"]["remarks"] == []
    pack(store, asked, tmp_path / "parts")
    there = Store(tmp_path / "there").prepare()
    assert unpack(tmp_path / "parts", there).runs == found["runs"]["finished"]
    assert Session(Options(out=there.out, scale="quick", only=ONLY, device="cpu")).plan().todo == ()


def test_other_studies_keep_the_scales_number(tmp_path: Path) -> None:
    for only, row in (((), ("fame(beta=0.4)",)), (("area_ratio",), ())):
        assert resolve(Options(scale="quick", only=only, row=row), tmp_path, 1).replicates == (0,)
