"""The MLflow mirror on a real SQLite file: what it holds, that it is made once, from files alone, and that it never fails a run."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.setting.scales import SCALES
from studies.study import Row, fame, recall_at, top1
from studies.tracking.mirror import describe, epochs, flat, metric_name, redacted
from studies.tracking.tracking import LARGEST_ARTIFACT, Tracker

SETTING = Setting(SCALES["smoke"])


def chain_of(beta: float = 0.5) -> list[Stage]:
    """A pretraining, its probe and its retrieval."""
    row = Row(str(beta), fame(beta))
    probe, retrieval = SETTING.stage(row, top1("A", "probe")), SETTING.stage(row, recall_at(1, "A"))
    assert probe and retrieval and probe.upstream
    return [probe.upstream, probe, retrieval]


def finish(
    store: Store, stage: Stage, replicate: int, metrics: dict[str, float], artifacts: tuple[str, ...] = (), lines: str = ""
) -> None:
    folder = store.begin(stage, replicate)
    if lines:
        (folder / "metrics.jsonl").write_text(lines)
    for name in artifacts:
        (folder / name).write_text(f"content of {name}")
    common = {"stage": stage.id, "kind": stage.kind, "replicate": replicate, "upstream": stage.upstream and stage.upstream.id}
    told = {"seconds": 60.0, "finished": "2026-01-02T10:00:00+0000", "commit": "abc123"}
    store.finish(stage, replicate, {**common, **told, "metrics": metrics, "artifacts": list(artifacts)})


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store, Any]:
    """An OUT with three finished runs, mirrored; one database for all tests that only look, as making one takes seconds."""
    out = tmp_path_factory.mktemp("out")
    store = Store(out).prepare()
    pretrain, probe, retrieval = chain_of()
    loss = [{"time": 1.0, "step": step, "steps": 3, "loss": 1.0 / step, "phase": "train"} for step in (1, 2, 3)]
    again = {"time": 2.0, "step": 2, "steps": 3, "loss": 0.25, "phase": "after a break"}
    text = "\n".join(json.dumps(line) for line in (*loss, again)) + '\n{"time": 3.0, "step": 4, "lo'
    finish(store, pretrain, 0, {"loss": 0.3}, ("encoder.pt",), text)
    os.truncate(store.folder(pretrain.id, 0) / "encoder.pt", LARGEST_ARTIFACT + 1)
    finish(store, probe, 0, {"top1": 42.5, "val/top1": 40.0, "balanced/top1/deranged": float("nan")}, ("predictions.csv",))
    finish(store, retrieval, 0, {"R@1": 12.5, "R@1/deranged": 11.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        said: list[str] = []
        tracker = Tracker(out, said.append)
        for stage in (pretrain, probe, retrieval):
            assert tracker.mirror_run(store, stage, 0, ("area_ratio", "retrieval")), said
    return out, store, tracker._mirror.client


def runs_of(client: Any, name: str = "runs") -> dict[str, Any]:
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    return {run.data.tags.get("fame.cell", run.data.tags.get("fame.study", "")): run for run in found}


# ---------------------------------------------------------------- what it holds


def test_a_run_is_mirrored_with_parameters_metrics_artifacts_and_tags(mirrored: tuple[Path, Store, Any]) -> None:
    out, _, client = mirrored
    pretrain, probe, retrieval = chain_of()
    runs = runs_of(client)
    assert set(runs) >= {pretrain.id, probe.id, retrieval.id}

    run = runs[probe.id]
    expected = {
        "fame.replicate": "0",
        "fame.commit": "abc123",
        "fame.kind": "probe",
        "fame.upstream": pretrain.id,
        "studies": "area_ratio, retrieval",
    }
    assert expected.items() <= run.data.tags.items()
    assert run.info.run_name == "probe A after fame 0.5 inter single on A · 0"
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 60_000
    assert run.data.params["solver"] == "lbfgs"
    assert run.data.params["data.world.A.rho"] == "0.95"
    assert run.data.params["upstream.merge.beta"] == "0.5"
    assert run.data.params["upstream.erasing"] == "none"
    assert run.data.metrics["top1"] == 42.5
    assert math.isnan(run.data.metrics["balanced/top1/deranged"])
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"config.json", "result.json", "predictions.csv"}
    assert next((out / "mlartifacts").rglob("predictions.csv")).read_text() == "content of predictions.csv"


def test_metrics_over_epochs_have_one_value_a_step(mirrored: tuple[Path, Store, Any]) -> None:
    """An epoch run again after a break counts once, a torn line not at all; the final value stands at the last step."""
    _, _, client = mirrored
    run = runs_of(client)[chain_of()[0].id]
    history = sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss"))
    assert history == [(1, 1.0), (2, 0.25), (3, 0.3)]
    assert set(run.data.metrics) == {"loss"}


def test_names_that_mlflow_refuses_are_written_differently(mirrored: tuple[Path, Store, Any]) -> None:
    _, _, client = mirrored
    assert runs_of(client)[chain_of()[2].id].data.metrics == {"R_at_1": 12.5, "R_at_1/deranged": 11.0}


def test_a_large_artifact_stays_in_the_store(mirrored: tuple[Path, Store, Any]) -> None:
    out, store, _ = mirrored
    assert (store.folder(chain_of()[0].id, 0) / "encoder.pt").exists()
    assert not list((out / "mlartifacts").rglob("encoder.pt"))


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=20), st.text("a./@ :", max_size=300)))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert metric_name(metric_name(name)) == metric_name(name)


def test_names_and_values() -> None:
    assert metric_name("R@1/deranged") == "R_at_1/deranged"
    assert metric_name("energy/layer1") == "energy/layer1"
    assert metric_name("../a//b|c:d/.") == "a/b_c_d"
    assert flat({"a": {"b": 1, "c": None}, "d": [1, 2], "e": {}}) == {"a.b": "1", "a.c": "none", "d": "1, 2"}
    assert redacted("cannot reach http://me:secret@host:5000/x") == "cannot reach http://host:5000/x"
    assert describe(chain_of()[0].to_json()) == "fame 0.5 inter single on A"


def test_epochs_passes_over_what_is_no_number_or_has_no_step(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    assert list(epochs(file)) == []
    file.write_text('{"phase": "x"}\n{"step": 1, "loss": 2, "done": true, "what": "y", "time": 5}\n[1]\n{"step": 2, "lo')
    assert list(epochs(file)) == [("loss", 2.0, 1)]


# ---------------------------------------------------------------- once, and from files alone


def test_mirroring_again_adds_nothing_but_the_studies_it_serves(mirrored: tuple[Path, Store, Any], local: None) -> None:
    out, store, client = mirrored
    _, probe, _ = chain_of()
    before = runs_of(client)
    tracker = Tracker(out)
    assert tracker.mirror_run(store, probe, 0, ("area_ratio",))
    assert "client" not in tracker._mirror.__dict__  # nothing new: MLflow is not opened
    assert tracker.mirror_run(store, probe, 0, ("search_beta",))
    after = runs_of(client)
    assert len(client.search_runs([client.get_experiment_by_name("runs").experiment_id])) == len(before)
    assert after[probe.id].data.tags["studies"] == "area_ratio, retrieval, search_beta"
    assert after[probe.id].data.metrics["top1"] == before[probe.id].data.metrics["top1"]


def test_a_second_start_does_not_import_mlflow(mirrored: tuple[Path, Store, Any]) -> None:
    out, _, _ = mirrored
    code = (
        "import sys; from studies.harness.store import Store; from studies.tracking.tracking import Tracker; "
        f"assert Tracker({str(out)!r}).rebuild(Store({str(out)!r})); assert 'mlflow' not in sys.modules"
    )
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], env=environment)


def test_a_lost_note_is_found_again_in_mlflow(mirrored: tuple[Path, Store, Any], local: None) -> None:
    """Without OUT/mlflow.json nothing is doubled; a run whose mirroring was killed half-way is written anew."""
    out, store, client = mirrored
    pretrain, probe, _ = chain_of()
    experiment = client.get_experiment_by_name("runs").experiment_id
    other = chain_of(0.3)[0]
    finish(store, other, 0, {"loss": 0.1})
    half = client.create_run(experiment, tags={"fame.cell": other.id, "fame.replicate": "0"}).info.run_id
    (out / "mlflow.json").write_text('{"torn')
    assert Tracker(out).rebuild(store, {other.id: ("area_ratio",)})
    runs = client.search_runs([experiment])
    assert len({(run.data.tags["fame.cell"], run.data.tags["fame.replicate"]) for run in runs}) == len(runs)
    assert {pretrain.id, probe.id, other.id} <= set(runs_of(client))
    assert runs_of(client)[other.id].info.run_id != half
    assert runs_of(client)[other.id].data.tags["studies"] == "area_ratio"


def test_rebuild_takes_finished_runs_of_any_version_and_leaves_damaged_ones(mirrored: tuple[Path, Store, Any], local: None) -> None:
    out, store, client = mirrored
    stage = chain_of(0.7)[0]
    for number, name in enumerate(("000000000001", "000000000002")):
        folder = store.folder(name, 0)
        folder.mkdir(parents=True)
        config = {"id": name, "config": {"stage": "pretrain", "bygone": 3}, "upstream": None}
        (folder / "config.json").write_text(json.dumps(config) if number == 0 else '{"id"')
        store.finish(SimpleNamespace(id=name), 0, {"stage": name, "kind": "pretrain", "metrics": {}})  # type: ignore[arg-type]
    store.begin(stage, 0)  # not finished
    said: list[str] = []
    assert Tracker(out, said.append).rebuild(store) and not said
    runs = runs_of(client)
    assert runs["000000000001"].data.params["bygone"] == "3"
    assert "000000000002" not in runs and stage.id not in runs


def test_a_study_has_an_experiment_with_its_report_and_links(
    mirrored: tuple[Path, Store, Any], local: None, tmp_path: Path
) -> None:
    out, store, client = mirrored
    probe = chain_of()[1]
    files = [tmp_path / "tables" / "area_ratio.csv", tmp_path / "figures" / "curve.png", tmp_path / "note.md"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("first")
    rows = [{"row": "0.5", "column": "single", "metric": "R@1", "mean": 40.0}, {"row": "1.0", "metric": "top1", "mean": None}]
    asked: dict[str, Any] = {
        "files": files,
        "rows": rows,
        "runs": [(probe.id, 0), ("f" * 12, 0)],
        "note": "Table 1",
        "about": {"scale": "smoke"},
    }
    assert Tracker(out).rebuild(store)
    assert Tracker(out).mirror_study("area_ratio", **asked)
    run = runs_of(client, "area_ratio")["area_ratio"]
    assert client.get_experiment_by_name("area_ratio").tags["mlflow.note.content"] == "Table 1"
    assert run.data.metrics == {"0.5 single/R_at_1": 40.0}
    assert run.data.tags["scale"] == "smoke"
    linked = run.data.tags[f"run/{probe.id}/0"]
    assert client.get_run(linked).data.tags["fame.cell"] == probe.id
    assert f"run/{'f' * 12}/0" not in run.data.tags  # no such run in the mirror
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"figures", "tables", "note.md", "runs.csv"}

    same = Tracker(out)
    assert same.mirror_study("area_ratio", **asked) and "client" not in same._mirror.__dict__
    files[0].write_text("second")
    assert Tracker(out).mirror_study("area_ratio", **asked)
    updated = runs_of(client, "area_ratio")
    assert len(updated) == 1 and updated["area_ratio"].info.run_id == run.info.run_id
    assert [file.read_text() for file in (out / "mlartifacts").rglob("area_ratio.csv")] == ["second"]

    assert Tracker(out).mirror_study("area_ratio", **{**asked, "about": {"scale": "quick"}})
    found = client.search_runs([client.get_experiment_by_name("area_ratio").experiment_id])
    assert [one.data.tags["scale"] for one in found] == ["quick"]  # numbers of two scales never stand in one run


# ---------------------------------------------------------------- it never fails a run


def test_an_unfinished_run_is_not_mirrored(tmp_path: Path, local: None) -> None:
    said: list[str] = []
    tracker = Tracker(tmp_path, said.append)
    assert not tracker.mirror_run(Store(tmp_path), chain_of()[1], 0)
    assert not said and not tracker.failed
    assert not (tmp_path / "mlflow.db").exists()


def test_a_broken_database_is_one_warning_and_false(tmp_path: Path, local: None) -> None:
    store = Store(tmp_path).prepare()
    pretrain, probe, _ = chain_of()
    finish(store, pretrain, 0, {"loss": 1.0})
    finish(store, probe, 0, {"top1": 1.0})
    (tmp_path / "mlflow.db").write_text("this is no database\n" * 100)
    said: list[str] = []
    tracker = Tracker(tmp_path, said.append)
    assert not tracker.mirror_run(store, pretrain, 0)
    assert not tracker.mirror_run(store, probe, 0)
    assert not tracker.mirror_study("area_ratio")
    assert not tracker.rebuild(store)
    assert len(said) == 1 and "\n" not in said[0] and "database" in said[0] and "no run is affected" in said[0]
    assert not (tmp_path / "mlflow.json").exists()


def test_an_unreachable_server_costs_one_attempt_and_tells_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLFLOW_TRACKING_URI is respected: nothing local is made, even where the server does not answer."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    store = Store(tmp_path).prepare()
    stage = chain_of()[0]
    finish(store, stage, 0, {"loss": 1.0})
    said: list[str] = []
    tracker = Tracker(tmp_path, said.append)
    start = time.monotonic()
    assert not tracker.mirror_run(store, stage, 0) and not tracker.mirror_run(store, stage, 0)
    assert time.monotonic() - start < 15
    assert len(said) == 1 and "127.0.0.1" in said[0] and "secret" not in said[0]
    assert not (tmp_path / "mlflow.db").exists() and not (tmp_path / "mlartifacts").exists()


def test_another_address_is_another_mirror(mirrored: tuple[Path, Store, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted for the local file does not count for a server."""
    out, store, _ = mirrored
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    said: list[str] = []
    assert not Tracker(out, said.append).mirror_run(store, chain_of()[0], 0)
    assert said


def test_a_deleted_database_voids_the_note(tmp_path: Path, local: None) -> None:
    uri = Tracker(tmp_path).uri
    stage = chain_of()[0]
    note = {uri: {"runs": {f"{stage.id}/0": {"run": "1", "serves": []}}, "studies": {}}}
    (tmp_path / "mlflow.json").write_text(json.dumps(note))
    (tmp_path / "mlartifacts").mkdir()
    assert Tracker(tmp_path)._noted.is_new(f"{stage.id}/0", ())
    (tmp_path / "mlflow.db").touch()
    assert not Tracker(tmp_path)._noted.is_new(f"{stage.id}/0", ())
