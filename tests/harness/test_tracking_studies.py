"""The mirror of whole reports in MLflow: every number, an experiment a study, a copied OUT; made beside the page."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports.mirror import mirror_report, mirroring_beside
from studies.harness.progress import silent
from studies.harness.store import Store
from studies.mirrored import metrics_of
from studies.paper.registry import STUDIES
from studies.records import Cell, Records
from studies.tracking import Tracker
from tests.harness import test_tracking
from tests.harness.test_tracking import OTHER, PRETRAIN, PROBE, RETRIEVAL, Mirrored, finish, runs_of

mirrored, no_server = test_tracking.mirrored, test_tracking.no_server


def test_every_number_of_report_json_is_in_mlflow(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    out, store, client = mirrored
    numbers = itertools.count(1.0)
    tables = {
        study.name: [
            {"row": row.label, "column": row.column, "label": one.label, "mean": next(numbers)}
            for row in study.rows
            for one in study.measures
        ]
        for study in STUDIES
    }
    (out / "report").mkdir()
    (out / "report" / "report.json").write_text(json.dumps({"tables": tables}))
    declared = [{"name": study.name, "title": study.title, "paper": study.paper} for study in STUDIES]
    about = {"scale": "smoke", "dataset": "staged", "protocol": {"said": ""}, "replicates": [0]}
    records = SimpleNamespace(about={**about, "studies": declared}, listed={})
    monkeypatch.setattr("reports.mirror.read", lambda out: records)
    mirror_report(store, Tracker(out))
    metrics: dict[str, float] = {}
    for name in tables:
        metrics |= runs_of(client, name)[name].data.metrics
    assert sorted(metrics.values()) == [*range(1, int(next(numbers)))]
    rows = [{"row": name, "metric": "a", "mean": 1} for name in "<>"]
    assert set(metrics_of("x", rows)) == {"x/_/a", "x/_/a_"}


def test_a_study_has_an_experiment_with_its_report_and_links(mirrored: Mirrored, tmp_path: Path) -> None:
    out, _, client = mirrored
    file = tmp_path / "table.csv"
    row = {"row": "0.5", "column": "single", "metric": "R@1", "label": "A R@1", "mean": 40.0}
    other = {"row": "1.0", "metric": "top1", "mean": 3.0}

    def mirror(text: str, *rows: dict[str, Any], scale: str = "smoke") -> Any:
        file.write_text(text)
        runs = [(PROBE.id, 0), ("f" * 12, 0)]
        assert Tracker(out).mirror_study("a study", [file], rows, runs, "Table 1", {"scale": scale})
        return runs_of(client, "a study")["a study"]

    first = mirror("first", row)
    assert client.get_experiment_by_name("a study").tags["mlflow.note.content"] == "Table 1"
    assert first.data.metrics == {"a study/0.5/single/A R_at_1": 40.0}
    assert first.data.tags["scale"] == "smoke"
    place = Path(client.download_artifacts(first.info.run_id, ""))
    _, link = (place / "runs.csv").read_text().splitlines()  # what is not in the mirror has no link
    assert client.get_run(link.split(",")[2]).data.tags["fame.cell"] == PROBE.id

    updated = mirror("second", {**row, "mean": 30.0}, other)
    assert updated.info.run_id == first.info.run_id
    assert updated.data.metrics == {"a study/0.5/single/A R_at_1": 30.0, "a study/1.0/top1": 3.0}
    assert [path.read_text() for path in place.rglob("table.csv")] == ["second"]
    assert mirror("second", other).data.metrics == {"a study/1.0/top1": 3.0}
    assert mirror("second", other, scale="quick").data.tags["scale"] == "quick"


def test_a_copied_out_leaves_the_first_one_alone(mirrored: Mirrored, tmp_path: Path) -> None:
    out, _, _ = mirrored
    file = tmp_path / "table.csv"
    file.write_text("first")
    assert Tracker(out).mirror_study("copied", [file], [], [], "", {})
    copy = Path(shutil.copytree(out, tmp_path / "copy of #1?x=%20"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}

    finish(Store(copy), OTHER, {"loss": 0.1}, predictions_csv="of the copy")
    file.write_text("second")
    tracker = Tracker(copy)
    assert tracker.mirror_run(Store(copy), PROBE.id, 0)
    assert tracker.mirror_run(Store(copy), OTHER.id, 0)
    assert tracker.mirror_study("copied", [file], [], [], "", {})
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert {path.name for path in tmp_path.iterdir()} == {file.name, copy.name}
    runs = runs_of(tracker.client)
    assert runs.keys() == {PROBE.id, OTHER.id}, "it is made anew"
    copied = runs_of(tracker.client, "copied")["copied"]
    for run, name, text in ((runs[OTHER.id], "predictions.csv", "of the copy"), (copied, "table.csv", "second")):
        assert run.info.artifact_uri.startswith(copy.as_uri())
        assert text in {path.read_text() for path in (copy / "mlartifacts").rglob(name)}
    assert runs[PROBE.id].info.artifact_uri.startswith(copy.as_uri())

    (copy / "mlflow.db").unlink()  # what was noted of it is void
    assert not Tracker(copy)._noted["runs"]
    assert not (copy / "mlartifacts").exists()


def test_a_process_beside_mirrors_runs_while_the_page_is_made(
    mirrored: Mirrored,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, _, _ = mirrored
    shutil.copytree(out / "runs", tmp_path / "runs")
    about = {"command": "", "studies": [], "scale": "smoke", "dataset": "staged", "protocol": {"said": ""}, "replicates": [0]}
    Records((Cell(study="x", stages=PROBE.id, upstream=PRETRAIN.id),), about).write(tmp_path)
    monkeypatch.setattr("reports.mirror.FEW", 0)
    tracker = Tracker(tmp_path)
    with mirroring_beside(Store(tmp_path), tracker) as rest:
        rest(silent)
    assert runs_of(Tracker(tmp_path).client).keys() == {PRETRAIN.id, PROBE.id, RETRIEVAL.id}
