"""Say a finished run in MLflow's terms, and write many of them into the tables of a local MLflow database at once.

MLflow's own calls cost 40 ms and more of a processor a run, so a thousand unpacked runs would take minutes.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from fame.files import read_json
from studies.harness.hardware import commit
from studies.harness.plan import kind_of, label, method_of
from studies.harness.store import METRICS
from studies.setting.cell import Stage

NOTES = "mlflow.json"  # in OUT: what has been mirrored where
LARGEST_ARTIFACT = 8 * 2**20  # bytes; a larger file (a full-size encoder) stays in the store alone
LONGEST_NAME = 240  # characters of a metric's name; MLflow takes 250
SOURCE, CONTEXT = "fame", "mlflow.data.context"  # of datasets: what their source is written in, and the tag of their use
LARGEST = 1.7976931348623157e308  # what MLflow keeps for infinity
TIMES = ("seconds", "waiting", "augmenting")  # of an epoch: what it cost, beside what it learnt
Row = Mapping[str, Any]
Point = tuple[str, float, int, int]  # name, value, step, moment in milliseconds


@dataclass(frozen=True)
class Dataset:
    """Hold a set that a run read: a name for the eye, the digest of its manifest, and as JSON how it is made or chosen."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class Mirrored:
    """Hold a run as MLflow keeps it: times in milliseconds, the points of its curves, small files, what it read."""

    name: str
    start: int
    end: int
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    files: list[Path]
    datasets: list[Dataset]
    context: Literal["training", "evaluation"]  # what the datasets are for

    @property
    def key(self) -> tuple[str, str]:
        return self.tags["fame.cell"], self.tags["fame.replicate"]


def mirrored(folder: Path, stage: Stage, result: dict[str, Any] | None) -> Mirrored:
    """Return the run that lies in `folder`; without a result it still goes on."""
    name = f"{label(stage)} · {folder.name}"
    tags = {
        "fame.cell": folder.parent.name,
        "fame.replicate": folder.name,
        "fame.kind": stage.kind,
        "fame.upstream": stage.upstream.id if stage.upstream else "",
        "method": method_of(stage),
        "mlflow.source.git.commit": result["commit"] if result else commit(),
        "mlflow.note.content": f"{name}. The numbers that it serves: `run_study.py show {stage.id}`",
    }
    end = int(1000 * (datetime.fromisoformat(result["finished"]).timestamp() if result else time.time()))
    config = {"replicate": folder.name, **with_beta(stage.config.model_dump(mode="json"))}
    if stage.upstream:  # what tells pretrainings apart; the rest stands in the upstream run
        upstream = with_beta(stage.upstream.config.model_dump(mode="json"))
        part = (upstream.get("data") or {}).get("part")
        config["upstream"] = {**(upstream.get("objective") or {}), "part": part}
    kind = kind_of(stage)
    series: list[Point] = []
    for metric, value, step, moment in epochs(folder / METRICS, end):
        series.append((f"time/{metric}" if metric in TIMES else f"{kind}/{metric}", value, step, moment))
    last = max((step for _, _, step, _ in series), default=0)
    found = result or {"metrics": {}, "artifacts": (), "data": {}, "seconds": 0}
    before = f"{kind}/" if stage.kind == "pretrain" else ""  # its numbers are those of its last epoch
    series += [(f"{before}{metric}", value, last, end) for metric, value in found["metrics"].items()]
    files = [folder / name for name in ("config.json", "result.json", METRICS, *found["artifacts"])]
    return Mirrored(
        name=name,
        start=min([end - int(1000 * found["seconds"]), *(moment for *_, moment in series)]),
        end=end,
        tags=tags,
        params=dict(fields(config)),
        points=latest(series),
        files=[file for file in files if file.is_file() and file.stat().st_size <= LARGEST_ARTIFACT],
        datasets=[
            Dataset(" ".join({config["data"]["kind"]: 1, part: 1}), digest, json.dumps(config["data"]))
            for part, digest in found.get("data", {}).items()
        ],
        context="training" if stage.kind == "pretrain" else "evaluation",
    )


def with_beta(config: dict[str, Any]) -> dict[str, Any]:
    """Give the baseline, which merges nothing, its place on beta's axis: 1.0."""
    objective = config.get("objective") or {}
    if objective.get("kind") == "moco" and not objective["merge"] and not objective["erasing"]:
        objective["merge"] = {"beta": 1.0}
    return config


def fields(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a configuration by their path with dots."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from fields(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)


def latest(points: Iterable[Point]) -> list[Point]:
    """Return the points under names that MLflow takes; of two values at one step the later one."""
    found = {(metric_name(name), step): (float(value), moment) for name, value, step, moment in points}
    return [(name, value, step, moment) for (name, step), (value, moment) in found.items()]


def metrics_of(study: str, rows: Iterable[Row]) -> dict[str, float]:
    """Return the means of a table's rows by unique names STUDY/ROW/COLUMN/MEASURE."""
    found: dict[str, float] = {}
    for row in rows:
        if row.get("mean") is not None:
            words = (study, row.get("row"), row.get("column"), row.get("label") or row["metric"])
            name = metric_name("/".join(str(word) for word in words if word))
            while name in found:
                name += "_"
            found[name] = row["mean"]
    return found


def metric_name(name: str) -> str:
    """Return `name` as a path without dots, in the characters that MLflow keeps (letters, digits, _ - . / and space)."""
    plain = re.sub(r"[^\w/.\- ]", "_", name.replace("@", "_at_"))[:LONGEST_NAME]
    return "/".join(part.lstrip(".") for part in plain.split("/") if part.strip(".")) or "_"


def epochs(file: Path, otherwise: int) -> Iterator[Point]:
    """Read every number in a `metrics.jsonl` as a point, without lines that lack a step or are torn.

    `otherwise`: the moment of a line that tells none.
    """
    for line in file.read_bytes().splitlines() if file.exists() else ():
        with suppress(ValueError, KeyError, TypeError):
            values = json.loads(line)
            step = int(values.pop("step"))
            moment = int(1000 * values.pop("time", otherwise / 1000))
            for name, value in values.items():
                if name != "steps" and isinstance(value, int | float):
                    yield name, value, step, moment


def noted(out: Path) -> dict[str, str]:
    """Return each mirrored run by STAGE/REPLICATE: its address on a server, its MLflow id elsewhere; empty without a mirror."""
    with suppress(KeyError, TypeError):
        value = read_json(out / NOTES)
        served = value["address"].startswith("http") and value.get("experiment")
        before = f"{value['address'].rstrip('/')}/#/experiments/{value['experiment']}/runs/" if served else ""
        return {key: f"{before}{run}" for key, run in value["runs"].items()}
    return {}


def insert(uri: str, experiment: str, artifacts: Path, runs: list[Mirrored]) -> list[str]:
    """Write runs into the SQLite database at `uri` in one transaction; return their MLflow ids.

    What an earlier start has left of the same runs counts as deleted.
    """
    import sqlalchemy
    from mlflow.store.tracking.dbmodels import models

    ids = [uuid4().hex for _ in runs]
    rows: dict[type, list[dict[str, Any]]] = defaultdict(list)
    for run_id, run in zip(ids, runs, strict=True):
        place = artifacts / run_id / "artifacts"
        place.mkdir(parents=True)
        for file in run.files:
            shutil.copyfile(file, place / file.name)
        of_run = {
            "name": run.name,
            "experiment_id": int(experiment),
            "lifecycle_stage": "active",
            "status": "FINISHED",
            "start_time": run.start,
            "end_time": run.end,
            "artifact_uri": place.as_uri(),
            "user_id": "unknown",
            "source_name": "",
            "source_version": "",
            "entry_point_name": "",
        }
        points = [_point(*point) for point in run.points]
        newest = {point["key"]: point for point in sorted(points, key=lambda point: point["step"])}
        for table, found in (
            (models.SqlRun, [of_run]),
            (models.SqlTag, _pairs({**run.tags, "mlflow.runName": run.name})),
            (models.SqlParam, _pairs(run.params)),
            (models.SqlMetric, points),
            (models.SqlLatestMetric, newest.values()),
        ):
            rows[table].extend({"run_uuid": run_id, **row} for row in found)
    engine = sqlalchemy.create_engine(uri)
    tag = models.SqlTag
    known: dict[str, dict[str, str]] = defaultdict(dict)
    asked: Any = sqlalchemy.select(tag.run_uuid, tag.key, tag.value).where(tag.key.in_(("fame.cell", "fame.replicate")))
    with engine.begin() as connection:
        for run_id, key, value in connection.execute(asked):
            known[run_id][key] = value
        new = {run.key for run in runs}
        halves = [run_id for run_id, of in known.items() if (of.get("fame.cell"), of.get("fame.replicate")) in new]
        gone = sqlalchemy.update(models.SqlRun).where(models.SqlRun.run_uuid.in_(halves))
        connection.execute(gone.values(lifecycle_stage="deleted"))
        of_sets = models.SqlDataset
        there: Any = sqlalchemy.select(of_sets.name, of_sets.digest, of_sets.dataset_uuid)
        sets = {(name, digest): one for name, digest, one in connection.execute(there.where(of_sets.experiment_id == experiment))}
        for run_id, run in zip(ids, runs, strict=True):
            for of, row in _inputs(run_id, run, int(experiment), sets):
                rows[getattr(models, of)].append(row)
        for table, found in rows.items():
            if found:
                connection.execute(sqlalchemy.insert(table), found)
    engine.dispose()
    return ids


def _inputs(run_id: str, run: Mirrored, experiment: int, sets: dict[tuple[str, str], str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield tables and rows for what a run read; `sets` has the ids of the datasets that are there, and gets the new ones."""
    for one in run.datasets:
        source = {"dataset_source_type": SOURCE, "dataset_source": one.source}
        if (one.name, one.digest) not in sets:
            new = sets[one.name, one.digest] = uuid4().hex
            named = {"dataset_uuid": new, "experiment_id": experiment, "name": one.name, "digest": one.digest}
            yield "SqlDataset", named | source
        link = {"input_uuid": uuid4().hex}
        ends = {"source_type": "DATASET", "source_id": sets[one.name, one.digest]}
        ends |= {"destination_type": "RUN", "destination_id": run_id}
        yield "SqlInput", link | ends
        yield "SqlInputTag", link | {"name": CONTEXT, "value": run.context}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _point(name: str, value: float, step: int, moment: int) -> dict[str, Any]:
    known = 0.0 if math.isnan(value) else min(max(value, -LARGEST), LARGEST)
    return {"key": name, "value": known, "timestamp": moment, "step": step, "is_nan": math.isnan(value)}
