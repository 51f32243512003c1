"""The MLflow mirror on a real SQLite file: what it holds, that it is made once, from files alone, and that it never fails a run."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.harness.plan import Task
from studies.harness.store import LOCK, Store
from studies.mirrored import LARGEST_ARTIFACT, metric_name
from studies.mirrored import mirrored as in_mlflow
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.setting.scales import SCALES
from studies.study import Measure, Row, fame, moco, recall_at, top1
from studies.tracking import Tracker

SETTING = Setting(SCALES["smoke"])
Mirrored = tuple[Path, Store, Any]


def stage_of(measure: Measure, beta: float = 0.5) -> Any:
    return SETTING.stage(Row("", fame(beta)), measure)


PROBE, RETRIEVAL = stage_of(top1("A", "probe")), stage_of(recall_at(1, "A"))
PRETRAIN = PROBE.upstream
BASELINE = SETTING.stage(Row("", moco()), top1("A", "probe"))
END = 1_767_348_000  # seconds: when runs here are finished
SERVES = {PROBE.id: ["area_ratio", "retrieval"]}
OTHER, ANOTHER = (stage_of(recall_at(1, "A"), beta).upstream for beta in (0.7, 0.3))


def finish(store: Store, stage: Stage, metrics: dict[str, float], **files: str) -> None:
    folder = store.begin(stage, 0)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    facts = {"stage": stage.id, "seconds": 60.0, "finished": "2026-01-02T10:00:00+0000", "commit": "abc123"}
    facts |= {"data": {"A": "0123456789ab"}, "upstream": stage.upstream.id if stage.upstream else None}
    store.finish(stage, 0, {**facts, "metrics": metrics, "artifacts": ["encoder.pt", "predictions.csv"]})


@pytest.fixture(autouse=True, scope="module")
def no_server() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def mirrored(no_server: None, tmp_path_factory: pytest.TempPathFactory) -> Mirrored:
    """OUT, its store with three mirrored runs, and MLflow: one for all tests, as making a database takes seconds."""
    store = Store(tmp_path_factory.mktemp("out")).prepare()
    text = "".join(
        f'{{"time": {END - 60 + step}, "step": {step}, "steps": 3, "loss": {1 / step}, "seconds": 1}}\n' for step in (1, 2, 3)
    )
    text += '{"step": 2, "loss": 0.25, "phase": "after a break"}\n'
    text += '{"loss": 7.0}\n[1]\n{"time": 3.0, "step": 4, "lo'
    finish(store, PRETRAIN, {"loss": 0.3}, encoder_pt="", metrics_jsonl=text)
    os.truncate(store.folder(PRETRAIN.id, 0) / "encoder.pt", LARGEST_ARTIFACT + 1)
    finish(store, PROBE, {"top1": 42.5, "balanced/top1/deranged": float("nan")}, predictions_csv="of the probe")
    finish(store, RETRIEVAL, {"R@1": 12.5, "R@1/deranged": 11.0})
    tracker = Tracker(store.out, scale="smoke")
    for stage in (PRETRAIN, PROBE, RETRIEVAL):
        assert tracker.mirror_run(store, stage.id, 0, SERVES)
    return store.out, store, tracker.client


def runs_of(client: Any, name: str = "runs") -> dict[str, Any]:
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    by_name = {run.data.tags.get("fame.cell", name): run for run in found}
    assert len(by_name) == len(found), "no run is doubled"
    return by_name


def parent_cell(client: Any, run: Any) -> str | None:
    parent = run.data.tags.get("mlflow.parentRunId")
    return client.get_run(parent).data.tags["fame.cell"] if parent else None


def test_a_run_is_mirrored_with_parameters_metrics_artifacts_and_tags(mirrored: Mirrored) -> None:
    """An epoch run again after a break counts once, a torn line not at all; a large file stays in the store alone."""
    out, _, client = mirrored
    runs = runs_of(client)
    run = runs[PROBE.id]
    tags, params = run.data.tags, run.data.params
    assert (tags["fame.kind"], tags["fame.replicate"]) == ("probe", "0")
    assert tags["fame.upstream"] == PRETRAIN.id
    assert tags["mlflow.source.git.commit"] == "abc123"
    assert (tags["scale"], tags["study"], tags["method"]) == ("smoke", "area_ratio retrieval", "fame 0.5 inter single")
    assert tags["mlflow.parentRunId"] == runs[PRETRAIN.id].info.run_id
    assert tags["mlflow.user"] and tags["mlflow.source.name"] and PROBE.id in tags["mlflow.note.content"]
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == ("staged A", "0123456789ab")
    assert json.loads(read.dataset.source) == json.loads(PROBE.config.data.model_dump_json())
    assert [(tag.key, tag.value) for tag in read.tags] == [("mlflow.data.context", "evaluation")]
    assert params["solver"] == "lbfgs"
    assert (params["data.world.A.rho"], params["upstream.merge.beta"]) == ("0.95", "0.5")
    assert run.info.run_name == "probe A of fame 0.5 inter single on A · 0"
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 60_000
    assert run.data.metrics["top1"] == 42.5
    assert math.isnan(run.data.metrics["balanced/top1/deranged"])
    assert runs[RETRIEVAL.id].data.metrics == {"R_at_1": 12.5, "R_at_1/deranged": 11.0}
    place = Path(client.download_artifacts(run.info.run_id, ""))
    assert {file.name for file in place.iterdir()} == {"config.json", "result.json", "predictions.csv"}
    assert (place / "predictions.csv").read_text() == "of the probe"

    history = client.get_metric_history(runs[PRETRAIN.id].info.run_id, "moco/loss")
    points = sorted((point.step, point.value, point.timestamp / 1000 - END) for point in history)
    assert points == [(1, 1.0, -59), (2, 0.25, 0), (3, 0.3, 0)]
    assert set(runs[PRETRAIN.id].data.metrics) == {"moco/loss", "time/seconds"}
    assert not list((out / "mlartifacts").rglob("encoder.pt"))


def test_the_baseline_stands_on_the_axis_of_beta(mirrored: Mirrored) -> None:
    _, store, _ = mirrored
    for stage, path in ((BASELINE.upstream, "objective.merge.beta"), (BASELINE, "upstream.merge.beta")):
        assert in_mlflow(store.begin(stage, 3), stage, None).params[path] == "1.0"


def test_a_run_is_seen_while_it_goes_on_and_how_it_ended(tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    tracker = Tracker(tmp_path)
    stages = {"finished": PRETRAIN, "failed": OTHER, "killed": ANOTHER}
    folders = {name: store.begin(stage, 0) for name, stage in stages.items()}
    tasks = [Task(stage, 0) for stage in stages.values()]

    def epoch(step: int) -> None:
        with (folders["finished"] / "metrics.jsonl").open("a") as file:
            file.write(f'{{"time": {END + step}, "step": {step}, "steps": 9, "loss": {1 / step}}}\n')

    def status() -> list[str]:
        return [runs_of(tracker.client)[stage.id].info.status for stage in stages.values()]

    for step in (1, 2):
        epoch(step)
        assert tracker.follow(store, tasks)
    assert status() == ["RUNNING"] * 3
    first = runs_of(tracker.client)[PRETRAIN.id]
    history = tracker.client.get_metric_history(first.info.run_id, "moco/loss")
    assert sorted((point.step, point.timestamp) for point in history) == [(1, 1000 * (END + 1)), (2, 1000 * (END + 2))]
    assert first.data.params["optim.epochs"] == "2"

    finish(store, PRETRAIN, {"loss": 0.1})
    store.fail(OTHER, 0, "it did not work")
    assert tracker.end_run(store, tasks[1].key, "FAILED")
    tracker.end_all(store)  # of the two that are left one has a result
    assert status() == ["FINISHED", "FAILED", "KILLED"]
    runs = runs_of(tracker.client)
    assert runs[PRETRAIN.id].info.run_id == first.info.run_id
    assert runs[OTHER.id].data.tags["mlflow.note.content"] == "it did not work"

    assert tracker.follow(store, tasks[1:]), "both are tried again"
    assert status() == ["FINISHED", "RUNNING", "RUNNING"], "and are no second runs"
    assert tracker.end_run(store, tasks[1].key, None), "another process had it"
    assert OTHER.id not in runs_of(tracker.client)
    with FileLock(folders["killed"] / LOCK):
        assert Tracker(tmp_path).mirror_run(store, PROBE.id, 0) is False and Tracker(tmp_path)._runs
        assert runs_of(tracker.client)[ANOTHER.id].info.status == "RUNNING", "a process is at it"
    assert Tracker(tmp_path).mirror_runs(store, store.all())
    assert runs_of(tracker.client)[ANOTHER.id].info.status == "KILLED", "its command was ended by kill -9"


def test_what_two_commands_note_is_kept(tmp_path: Path) -> None:
    here, there = Tracker(tmp_path), Tracker(tmp_path)
    assert not here._noted["runs"] and not there._noted["runs"]
    for tracker, name in ((here, "a"), (there, "b"), (here, "c")):
        tracker._note({(name, 0): f"run {name}"}, {name: "digest"})
    noted = json.loads((tmp_path / "mlflow.json").read_text())
    assert noted["runs"] == {"a/0": "run a", "b/0": "run b", "c/0": "run c"} and noted["studies"].keys() == {*"abc"}


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=20), st.text("a./@ :", max_size=300)))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert metric_name(metric_name(name)) == metric_name(name)


def test_mirroring_again_imports_nothing(mirrored: Mirrored) -> None:
    out, store, client = mirrored
    code = (
        "import sys; from studies.harness.store import Store; from studies.tracking import Tracker\n"
        "assert Tracker(sys.argv[1]).mirror_run(Store(sys.argv[1]), sys.argv[2], 0)\n"
        "assert 'mlflow' not in sys.modules"
    )
    words = [sys.executable, "-c", code, str(out), PROBE.id]
    subprocess.run(words, check=True, cwd=Path(__file__).parents[2])
    assert not Tracker(out).mirror_run(store, OTHER.id, 0), "it is not finished"
    assert runs_of(client).keys() == {PRETRAIN.id, PROBE.id, RETRIEVAL.id}


def test_many_runs_at_once_are_what_single_ones_are(mirrored: Mirrored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an earlier start was killed before it noted what it had written."""
    _, store, client = mirrored
    monkeypatch.setattr("studies.tracking.FEW", 0)
    told: list[tuple[str, int, int]] = []
    for _ in range(2):
        tracker = Tracker(tmp_path, scale="smoke")
        assert tracker.mirror_runs(store, [*store.all(), ("f" * 12, 0)], SERVES, lambda *step: told.append(step))
        (tmp_path / "mlflow.json").write_text('{"torn')
    assert told[-1] == ("MLflow", 3, 3)
    singly, at_once = runs_of(client), runs_of(tracker.client)
    assert singly.keys() == at_once.keys()
    for cell, run in singly.items():
        other = at_once[cell]
        assert [parent_cell(of, known) for of, known in ((client, run), (tracker.client, other))] in ([None] * 2, [PRETRAIN.id] * 2)
        apart = {"fame.out", "mlflow.parentRunId"}
        others = dict(other.data.tags)
        assert {name for name, value in run.data.tags.items() if others.pop(name) != value} <= apart and not others
        assert run.data.params == other.data.params
        assert str(run.inputs.dataset_inputs) == str(other.inputs.dataset_inputs)
        assert str(sorted(run.data.metrics.items())) == str(sorted(other.data.metrics.items()))  # nan is not nan
        for name in run.data.metrics:
            one, two = (
                sorted((point.step, point.timestamp, str(point.value)) for point in of.get_metric_history(known.info.run_id, name))
                for of, known in ((client, run), (tracker.client, other))
            )
            assert one == two
        names = {name: getattr(run.info, name) for name in ("run_name", "status", "start_time", "end_time", "lifecycle_stage")}
        assert names == {name: getattr(other.info, name) for name in names}
        files, others = (
            Path(of.download_artifacts(known.info.run_id, "")) for of, known in ((client, run), (tracker.client, other))
        )
        assert {file.name: file.read_bytes() for file in files.iterdir()} == {
            file.name: file.read_bytes() for file in others.iterdir()
        }


def test_a_lost_note_is_found_again_in_mlflow(mirrored: Mirrored) -> None:
    out, store, client = mirrored
    finish(store, ANOTHER, {"loss": 0.1})
    experiment = client.get_experiment_by_name("runs").experiment_id
    tags = {"fame.cell": ANOTHER.id, "fame.replicate": "0"}
    half, others = (client.create_run(experiment, tags=tags | more) for more in (Tracker(out)._common, {"fame.out": "another"}))
    (out / "mlflow.json").write_text('{"torn')
    for stage in (PRETRAIN, PROBE, RETRIEVAL, ANOTHER):
        assert Tracker(out).mirror_run(store, stage.id, 0)
    assert client.get_run(others.info.run_id).info.lifecycle_stage == "active", "it is another machine's, on a shared server"
    client.delete_run(others.info.run_id)
    assert runs_of(client)[ANOTHER.id].info.run_id != half.info.run_id


@pytest.mark.parametrize("server", ["", "http://user:secret@127.0.0.1:9"])
def test_a_broken_mirror_costs_one_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    store = Store(tmp_path).prepare()
    finish(store, PRETRAIN, {"loss": 1.0})
    if server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    else:
        (tmp_path / "mlflow.db").write_text("this is no database\n" * 100)
    said: list[str] = []
    tracker = Tracker(tmp_path, said.append)
    start = time.monotonic()
    assert not tracker.mirror_run(store, PRETRAIN.id, 0)
    assert not tracker.mirror_run(store, PRETRAIN.id, 0)
    assert not tracker.mirror_study("area_ratio", [], [], [], "", {})
    assert time.monotonic() - start < 15
    (line,) = said
    assert "\n" not in line and "no run is affected" in line and "secret" not in line
    assert ("127.0.0.1" if server else "database") in line
    assert not (tmp_path / "mlflow.json").exists()
    assert not (tmp_path / "mlartifacts").exists()
