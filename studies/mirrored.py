"""Say a finished run in MLflow's terms, and write many of them into the tables of a local MLflow database at once.

MLflow's own calls cost 40 ms and more of a processor a run, so a thousand unpacked runs would take minutes.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from studies.harness.plan import label
from studies.harness.store import METRICS
from studies.setting.cell import Stage

NOTES = "mlflow.json"  # in OUT: what has been mirrored where
LARGEST_ARTIFACT = 8 * 2**20  # bytes; a larger file (a full-size encoder) stays in the store alone
LONGEST_NAME = 240  # characters of a metric's name; MLflow takes 250
LARGEST = 1.7976931348623157e308  # what MLflow keeps for infinity
Point = tuple[str, float, int]  # name, value, step


@dataclass(frozen=True)
class Mirrored:
    """Hold a finished run as MLflow keeps it: times in milliseconds, the points of its curves, small files."""

    name: str
    start: int
    end: int
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    files: list[Path]

    @property
    def key(self) -> tuple[str, str]:
        return self.tags["fame.cell"], self.tags["fame.replicate"]


def mirrored(folder: Path, stage: Stage, result: dict[str, Any]) -> Mirrored:
    """Return the run that lies in `folder`."""
    tags = {
        "fame.cell": folder.parent.name,
        "fame.replicate": folder.name,
        "fame.kind": stage.kind,
        "fame.upstream": stage.upstream.id if stage.upstream else "",
        "mlflow.source.git.commit": result["commit"],
    }
    end = int(datetime.fromisoformat(result["finished"]).timestamp() * 1000)
    config = {"replicate": folder.name, **stage.config.model_dump(mode="json")}
    if stage.upstream:  # what tells pretrainings apart; the rest stands in the upstream run
        upstream = stage.upstream.config.model_dump(mode="json")
        part = (upstream.get("data") or {}).get("part")
        config["upstream"] = {**(upstream.get("objective") or {}), "part": part}
    series = list(epochs(folder / METRICS))
    last = max((step for _, _, step in series), default=0)
    series += [(metric, value, last) for metric, value in result["metrics"].items()]
    files = [folder / name for name in ("config.json", "result.json", METRICS, *result["artifacts"])]
    return Mirrored(
        name=f"{label(stage)} · {folder.name}",
        start=end - int(1000 * result["seconds"]),
        end=end,
        tags=tags,
        params=dict(fields(config)),
        points=latest(series),
        files=[file for file in files if file.is_file() and file.stat().st_size <= LARGEST_ARTIFACT],
    )


def fields(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a configuration by their path with dots."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from fields(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)


def latest(points: Iterable[Point]) -> list[Point]:
    """Return the points under names that MLflow takes; of two values at one step the later one."""
    found = {(metric_name(name), step): float(value) for name, value, step in points}
    return [(name, value, step) for (name, step), value in found.items()]


def metric_name(name: str) -> str:
    """Return `name` as a path without dots, in the characters that MLflow keeps (letters, digits, _ - . / and space)."""
    plain = re.sub(r"[^\w/.\- ]", "_", name.replace("@", "_at_"))[:LONGEST_NAME]
    return "/".join(part.lstrip(".") for part in plain.split("/") if part.strip(".")) or "_"


def epochs(file: Path) -> Iterator[Point]:
    """Read (name, value, step) of every number in a `metrics.jsonl`, without lines that lack a step or are torn."""
    for line in file.read_bytes().splitlines() if file.exists() else ():
        with suppress(ValueError, KeyError, TypeError):
            values = json.loads(line)
            step = int(values.pop("step"))
            for name, value in values.items():
                if name not in ("time", "steps") and isinstance(value, int | float):
                    yield name, value, step


def noted(out: Path) -> dict[str, str]:
    """Return each mirrored run by STAGE/REPLICATE: its address on a server, its MLflow id elsewhere; empty without a mirror."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        value = json.loads((out / NOTES).read_text(encoding="utf-8"))
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
        points = [_point(run.end, *point) for point in run.points]
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
        for table, found in rows.items():
            if found:
                connection.execute(sqlalchemy.insert(table), found)
    engine.dispose()
    return ids


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _point(moment: int, name: str, value: float, step: int) -> dict[str, Any]:
    known = 0.0 if math.isnan(value) else min(max(value, -LARGEST), LARGEST)
    return {"key": name, "value": known, "timestamp": moment, "step": step, "is_nan": math.isnan(value)}
