"""The MLflow mirror on a real SQLite file: what it holds, that it is made once, from files alone, and that it never fails a run."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.harness.store import Store
from studies.paper.registry import FINDINGS, STUDIES
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.setting.scales import SCALES
from studies.study import Row, fame, recall_at, top1
from studies.tracking import LARGEST_ARTIFACT, Tracker, epochs, metric_name, metrics_of, redacted

SETTING = Setting(SCALES["smoke"])


def chain_of(beta: float = 0.5) -> list[Stage]:
    """A pretraining, its probe and its retrieval."""
    row = Row(str(beta), fame(beta))
    probe, retrieval = SETTING.stage(row, top1("A", "probe")), SETTING.stage(row, recall_at(1, "A"))
    assert probe and retrieval and probe.upstream
    return [probe.upstream, probe, retrieval]


def finish(store: Store, stage: Stage, metrics: dict[str, float], artifacts: tuple[str, ...] = (), lines: str = "") -> None:
    folder = store.begin(stage, 0)
    if lines:
        (folder / "metrics.jsonl").write_text(lines)
    for name in artifacts:
        (folder / name).write_text(f"content of {name}")
    facts = {"stage": stage.id, "seconds": 60.0, "finished": "2026-01-02T10:00:00+0000", "commit": "abc123"}
    store.finish(stage, 0, {**facts, "metrics": metrics, "artifacts": list(artifacts)})


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
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
    finish(store, pretrain, {"loss": 0.3}, ("encoder.pt",), text)
    os.truncate(store.folder(pretrain.id, 0) / "encoder.pt", LARGEST_ARTIFACT + 1)
    finish(store, probe, {"top1": 42.5, "val/top1": 40.0, "balanced/top1/deranged": float("nan")}, ("predictions.csv",))
    finish(store, retrieval, {"R@1": 12.5, "R@1/deranged": 11.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        said: list[str] = []
        tracker = Tracker(out, said.append)
        for stage in (pretrain, probe, retrieval):
            assert tracker.mirror_run(store, stage.id, 0, ("area_ratio", "retrieval")), said
    return out, store, tracker.client


def runs_of(client: Any, name: str = "runs") -> dict[str, Any]:
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    by_name = {run.data.tags.get("fame.cell", run.data.tags.get("fame.study", "")): run for run in found}
    assert len(by_name) == len(found), "no run is doubled"
    return by_name


def test_a_run_is_mirrored_with_parameters_metrics_artifacts_and_tags(mirrored: tuple[Path, Store, Any]) -> None:
    """An epoch run again after a break counts once, a torn line not at all; a file that is too large stays in the store alone."""
    out, store, client = mirrored
    pretrain, probe, retrieval = chain_of()
    runs = runs_of(client)
    run = runs[probe.id]
    assert {"fame.replicate": "0", "fame.kind": "probe", "fame.upstream": pretrain.id}.items() <= run.data.tags.items()
    assert {"mlflow.source.git.commit": "abc123", "studies": "area_ratio, retrieval"}.items() <= run.data.tags.items()
    assert run.info.run_name == "probe A after pretrain fame 0.5 inter single on A · 0"
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 60_000
    assert {"solver": "lbfgs", "data.world.A.rho": "0.95", "upstream.merge.beta": "0.5"}.items() <= run.data.params.items()
    assert run.data.metrics["top1"] == 42.5 and math.isnan(run.data.metrics["balanced/top1/deranged"])
    assert runs[retrieval.id].data.metrics == {"R_at_1": 12.5, "R_at_1/deranged": 11.0}
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"config.json", "result.json", "predictions.csv"}
    assert next((out / "mlartifacts").rglob("predictions.csv")).read_text() == "content of predictions.csv"

    history = client.get_metric_history(runs[pretrain.id].info.run_id, "loss")
    assert sorted((point.step, point.value) for point in history) == [(1, 1.0), (2, 0.25), (3, 0.3)]
    assert set(runs[pretrain.id].data.metrics) == {"loss"}
    assert (store.folder(pretrain.id, 0) / "encoder.pt").exists() and not list((out / "mlartifacts").rglob("encoder.pt"))


@settings(max_examples=60)
@given(st.one_of(st.text(max_size=20), st.text("a./@ :", max_size=300)))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert metric_name(metric_name(name)) == metric_name(name)


@pytest.mark.parametrize("study", [*STUDIES, *FINDINGS], ids=lambda study: study.name)
def test_every_number_of_a_table_has_a_name_of_its_own(study: Any) -> None:
    rows = [
        {"row": row.label, "column": row.column, "metric": measure.metric, "label": measure.label, "mean": 100.0 * place + index}
        for place, row in enumerate(study.rows)
        for index, measure in enumerate(study.measures)
    ]
    found = metrics_of(study.name, [*rows, {**rows[0], "mean": None}])
    assert list(found.values()) == [row["mean"] for row in rows]
    assert set(metrics_of("x", [{"row": name, "metric": "a", "mean": 1} for name in "<>"])) == {"x/_/a", "x/_/a_"}


def test_no_password_is_told_and_lines_without_step_or_number_are_passed_over(tmp_path: Path) -> None:
    assert redacted("cannot reach http://me:secret@host:5000/x") == "cannot reach http://host:5000/x"
    file = tmp_path / "metrics.jsonl"
    assert list(epochs(file)) == []
    file.write_text('{"phase": "x"}\n{"step": 1, "loss": 2, "what": "y", "time": 5}\n[1]\n{"step": 2, "lo')
    assert list(epochs(file)) == [("loss", 2, 1)]


def test_mirroring_again_adds_nothing_but_the_studies_it_serves(mirrored: tuple[Path, Store, Any]) -> None:
    out, store, client = mirrored
    _, probe, _ = chain_of()
    before = runs_of(client)
    tracker = Tracker(out)
    assert tracker.mirror_run(store, probe.id, 0, ("area_ratio",))
    assert "client" not in vars(tracker), "nothing new: MLflow is not opened"
    assert tracker.mirror_run(store, probe.id, 0, ("search_beta",))
    after = runs_of(client)
    assert len(after) == len(before)
    assert after[probe.id].data.tags["studies"] == "area_ratio, retrieval, search_beta"
    assert after[probe.id].data.metrics["top1"] == before[probe.id].data.metrics["top1"]


def test_a_second_start_does_not_import_mlflow(mirrored: tuple[Path, Store, Any]) -> None:
    out, _, _ = mirrored
    code = (
        "import sys; from studies.harness.store import Store; from studies.tracking import Tracker; "
        f"assert Tracker({str(out)!r}).mirror_run(Store({str(out)!r}), {chain_of()[0].id!r}, 0); assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_lost_note_is_found_again_in_mlflow(mirrored: tuple[Path, Store, Any]) -> None:
    """Without OUT/mlflow.json nothing is doubled; a run whose mirroring was killed half-way is written anew."""
    out, store, client = mirrored
    other = chain_of(0.3)[0]
    finish(store, other, {"loss": 0.1})
    experiment = client.get_experiment_by_name("runs").experiment_id
    half = client.create_run(experiment, tags={"fame.cell": other.id, "fame.replicate": "0"}).info.run_id
    (out / "mlflow.json").write_text('{"torn')
    tracker = Tracker(out)
    assert all(tracker.mirror_run(store, stage.id, 0, ("area_ratio",)) for stage in (*chain_of(), other))
    assert runs_of(client)[other.id].info.run_id != half
    assert runs_of(client)[other.id].data.tags["studies"] == "area_ratio"


def test_a_study_has_an_experiment_with_its_report_and_links(mirrored: tuple[Path, Store, Any], tmp_path: Path) -> None:
    out, store, client = mirrored
    probe = chain_of()[1]
    files = [tmp_path / "tables" / "area_ratio.csv", tmp_path / "figures" / "curve.png"]
    for file in files:
        file.parent.mkdir()
        file.write_text("first")
    row = {"row": "0.5", "column": "single", "metric": "R@1", "label": "A R@1", "mean": 40.0}
    other = {"row": "1.0", "metric": "top1", "mean": 3.0}
    runs = [(probe.id, 0), ("f" * 12, 0)]

    def mirror(*rows: dict[str, Any], scale: str = "smoke") -> Tracker:
        tracker = Tracker(out)
        assert tracker.mirror_run(store, probe.id, 0)
        assert tracker.mirror_study("area_ratio", files, rows, runs, "Table 1", {"scale": scale})
        return tracker

    mirror(row)
    first = runs_of(client, "area_ratio")["area_ratio"]
    assert client.get_experiment_by_name("area_ratio").tags["mlflow.note.content"] == "Table 1"
    assert first.data.metrics == {"area_ratio/0.5/single/A R_at_1": 40.0}
    assert first.data.tags["scale"] == "smoke"
    assert {file.path for file in client.list_artifacts(first.info.run_id)} == {"figures", "tables", "runs.csv"}
    _, link = next((out / "mlartifacts").rglob("runs.csv")).read_text().splitlines()  # what is not in the mirror has no link
    assert client.get_run(link.split(",")[2]).data.tags["fame.cell"] == probe.id

    assert "client" not in vars(mirror(row))
    files[0].write_text("second")
    mirror({**row, "mean": 30.0}, other)
    updated = runs_of(client, "area_ratio")["area_ratio"]
    assert updated.info.run_id == first.info.run_id
    assert updated.data.metrics == {"area_ratio/0.5/single/A R_at_1": 30.0, "area_ratio/1.0/top1": 3.0}
    assert [file.read_text() for file in (out / "mlartifacts").rglob("area_ratio.csv")] == ["second"]

    mirror(other)
    assert runs_of(client, "area_ratio")["area_ratio"].data.metrics == {"area_ratio/1.0/top1": 3.0}, "no number stays that is gone"
    mirror(other, scale="quick")
    assert runs_of(client, "area_ratio")["area_ratio"].data.tags["scale"] == "quick"


def test_a_copied_out_leaves_the_first_one_alone(mirrored: tuple[Path, Store, Any], tmp_path: Path) -> None:
    out, _, client = mirrored
    file = tmp_path / "table.csv"
    file.write_text("first")
    assert Tracker(out).mirror_study("copied", [file], [], [], "", {})
    copy = Path(shutil.copytree(out, tmp_path / "copy of #1"))
    before, runs = sorted(out.rglob("*")), runs_of(client)

    stage = chain_of(0.7)[0]
    finish(Store(copy), stage, {"loss": 0.1}, ("log.csv",))
    file.write_text("second")
    tracker = Tracker(copy)
    assert all(tracker.mirror_run(Store(copy), one.id, 0) for one in (*chain_of(), stage))
    assert tracker.mirror_study("copied", [file], [], [], "", {})
    assert sorted(out.rglob("*")) == before and set(runs_of(client)) == set(runs)
    assert next((out / "mlartifacts").rglob("table.csv")).read_text() == "first"
    assert "second" in {path.read_text() for path in (copy / "mlartifacts").rglob("table.csv")}
    assert set(runs_of(tracker.client)) == {*runs, stage.id}
    places = [Path(tracker.client.download_artifacts(run.info.run_id, "")) for run in runs_of(tracker.client).values()]
    assert all(place.is_relative_to(copy) for place in places) and any((place / "log.csv").exists() for place in places)


def test_an_unfinished_run_is_not_mirrored(tmp_path: Path) -> None:
    said: list[str] = []
    assert not Tracker(tmp_path, said.append).mirror_run(Store(tmp_path), chain_of()[1].id, 0)
    assert not said and not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("server", ["", "http://user:secret@127.0.0.1:9"])
def test_a_broken_database_or_server_costs_one_attempt_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """MLFLOW_TRACKING_URI is respected: nothing local is made, even where the server does not answer."""
    store = Store(tmp_path).prepare()
    stage = chain_of()[0]
    finish(store, stage, {"loss": 1.0})
    if server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    else:
        (tmp_path / "mlflow.db").write_text("this is no database\n" * 100)
    said: list[str] = []
    tracker = Tracker(tmp_path, said.append)
    start = time.monotonic()
    assert not tracker.mirror_run(store, stage.id, 0) and not tracker.mirror_run(store, stage.id, 0)
    assert not tracker.mirror_study("area_ratio", [], [], [], "", {})
    assert time.monotonic() - start < 15
    assert len(said) == 1 and "\n" not in said[0] and "no run is affected" in said[0] and "secret" not in said[0]
    assert ("127.0.0.1" if server else "database") in said[0]
    assert not (tmp_path / "mlflow.json").exists() and not (tmp_path / "mlartifacts").exists()


def test_a_note_counts_for_its_address_and_its_database(mirrored: tuple[Path, Store, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    out, _, _ = mirrored
    assert Tracker(out)._noted["runs"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert not Tracker(out)._noted["runs"]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (out / "mlflow.db").unlink()  # the last test of this database
    assert not Tracker(out)._noted["runs"] and not (out / "mlartifacts").exists()
