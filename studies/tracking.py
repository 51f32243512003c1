"""Mirror the run store in MLflow. The files are the truth: a mirror that is lost or late is made again from them.

Runs are mirrored in the experiment `runs`, each study in one of its own name. The mirror is a SQLite file in OUT, or the server in
MLFLOW_TRACKING_URI. OUT/mlflow.json notes what has been mirrored, as importing MLflow takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.files import write_json
from studies.harness.progress import Tell, silent
from studies.harness.store import Store
from studies.mirrored import NOTES, Mirrored, Point, insert, metric_name, mirrored

if TYPE_CHECKING:
    from mlflow.tracking.client import MlflowClient

Row = Mapping[str, Any]
Key = tuple[str, int]  # stage id, replicate
FEW, MANY = 20, 100  # runs: from more than FEW on, MANY are written at once
USER = re.compile(r"//[^/@\s]+@")  # of an address: name and password, which are told nobody


def never_fails(method: Callable[..., bool]) -> Callable[..., bool]:
    """Turn an error of tracking into one warning and False. The tracker then rests: a dead server costs one timeout."""

    @wraps(method)
    def guarded(self: Tracker, *args: Any, **kwargs: Any) -> bool:
        if self.failed:
            return False
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # whatever MLflow, SQLite, the network or the disk may raise
            self.failed = True
            what = " ".join(str(error).split())[:200] or type(error).__name__
            mend = "no run is affected, and `run_study.py report` tries again"
            self.warn(USER.sub("//", f"MLflow tracking stopped ({self.uri}): {what}; {mend}"))
            return False

    return guarded


class Tracker:
    """Mirror one OUT folder. The methods return whether the mirror now holds what was given."""

    def __init__(self, out: Path | str, warn: Callable[[str], object] = print) -> None:
        self.out = Path(out).absolute()
        self.warn = warn
        self.failed = False
        self.notes = self.out / NOTES
        server = os.environ.get("MLFLOW_TRACKING_URI")
        address = str(self.out / "mlflow.db").replace("%", "%25").replace("?", "%3F")
        self.uri = server or f"sqlite:///{address}"
        self.artifacts = None if server else (self.out / "mlartifacts").as_uri()

    @never_fails
    def mirror_run(self, store: Store, stage_id: str, replicate: int) -> bool:
        """Mirror a finished run, once: parameters, metrics over epochs, final metrics and small artifacts; False for another."""
        key = f"{stage_id}/{replicate}"
        if key in self._noted["runs"]:
            return True
        run = self._run(store, stage_id, replicate)
        if run is None:
            return False
        self._noted["runs"][key] = self._write(run)
        write_json(self.notes, self._noted)
        return True

    @never_fails
    def mirror_runs(self, store: Store, keys: Iterable[Key], tell: Tell = silent) -> bool:
        """Mirror the finished runs among `keys` that are not there yet; a local database takes many at once."""
        missing = [(stage, number) for stage, number in keys if f"{stage}/{number}" not in self._noted["runs"]]
        at_once = MANY if self.artifacts and len(missing) > FEW else 1
        for first in range(0, len(missing), at_once):
            tell("MLflow", first, len(missing))
            some = missing[first : first + at_once]
            found = {key: run for key in some if (run := self._run(store, *key))}
            if at_once > 1:
                place = self.out / "mlartifacts"
                ids = insert(self.uri, self._experiment("runs"), place, list(found.values()))
            else:
                ids = [self._write(run) for run in found.values()]
            self._noted["runs"] |= {f"{stage}/{number}": run for (stage, number), run in zip(found, ids, strict=True)}
            write_json(self.notes, self._noted)
        if missing:
            tell("MLflow", len(missing), len(missing))
        return True

    def _run(self, store: Store, stage_id: str, replicate: int) -> Mirrored | None:
        """Return a finished run of a stage that this program knows; None for another."""
        result, stage = store.result(stage_id, replicate), store.stage(stage_id, replicate)
        return mirrored(store.folder(stage_id, replicate), stage, result) if result and stage else None

    @never_fails
    def mirror_study(
        self,
        name: str,
        files: Iterable[Path],
        rows: Iterable[Row],
        runs: Iterable[Key],
        note: str,
        about: Row,
    ) -> bool:
        """Mirror a study as the one run of the experiment `name`, replaced where `about` or the names of its numbers have changed.

        Metrics are the means of `rows`; artifacts are `files`, and runs.csv with `runs` (stage id, replicate) and their mirrors.
        """
        paths, numbers = sorted({*files}), metrics_of(name, rows)
        tags = {"fame.study": name} | {key: str(value) for key, value in about.items()}
        links = ["stage,replicate,run"]
        for stage, replicate in runs:
            if run := self._noted["runs"].get(f"{stage}/{replicate}"):
                links.append(f"{stage},{replicate},{run}")
        digest = hashlib.sha256(repr((numbers, links, note, tags)).encode())
        for path in paths:
            digest.update(path.name.encode() + path.read_bytes())
        state, noted = digest.hexdigest()[:16], self._noted["studies"].get(name)
        if noted == state:
            return True

        client, experiment = self.client, self._experiment(name)
        client.set_experiment_tag(experiment, "mlflow.note.content", note)
        kept = None
        for old in client.search_runs([experiment], f"tags.`fame.study` = '{name}'"):
            if tags.items() <= old.data.tags.items() and old.data.metrics.keys() <= numbers.keys():
                kept = old
            else:
                client.delete_run(old.info.run_id)
        run_id = (kept or client.create_run(experiment, tags=tags, run_name=name)).info.run_id
        self._log(run_id, [(key, value, 0) for key, value in numbers.items()], int(1000 * time.time()))
        for path in paths:
            client.log_artifact(run_id, str(path), path.parent.name)
        client.log_text(run_id, "\n".join([*links, ""]), "runs.csv")
        client.set_terminated(run_id)
        self._noted["studies"][name] = state
        write_json(self.notes, self._noted)
        return True

    def _write(self, run: Mirrored) -> str:
        """Write a new MLflow run; one that is not noted, as its writing was broken off, gives way to it."""
        from mlflow.entities import Param

        client, experiment = self.client, self._experiment("runs")
        where = " AND ".join(f"tags.`{tag}` = '{run.tags[tag]}'" for tag in ("fame.cell", "fame.replicate"))
        for half in client.search_runs([experiment], where):
            client.delete_run(half.info.run_id)
        run_id = client.create_run(experiment, run.start, run.tags, run.name).info.run_id
        params = [Param(key, value) for key, value in run.params.items()]
        for first in range(0, len(params), 100):  # a server takes no more in a call, and 1000 metrics
            client.log_batch(run_id, params=params[first : first + 100])
        self._log(run_id, run.points, run.end)
        for file in run.files:
            client.log_artifact(run_id, str(file))
        client.set_terminated(run_id, end_time=run.end)
        return run_id

    @cached_property
    def client(self) -> MlflowClient:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # seconds
        from mlflow.tracking.client import MlflowClient

        for logger in ("mlflow", "alembic"):  # else making a database takes many lines
            logging.getLogger(logger).setLevel(logging.ERROR)
        client = MlflowClient(self.uri)
        if self.artifacts:
            with suppress(OSError):  # MLflow makes a folder by the escaped name
                Path(self.uri.removeprefix("sqlite:///")).parent.rmdir()
        return client

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        own = found.experiment_id if found else self.client.create_experiment(name, artifact_location=self.artifacts)
        if name == "runs":
            self._noted["experiment"] = own
        return own

    def _log(self, run: str, metrics: Iterable[Point], moment: int) -> None:
        """Log (name, value, step), all at `moment` in milliseconds."""
        from mlflow.entities import Metric

        points = [Metric(key, float(value), moment, step) for key, value, step in metrics]
        for first in range(0, len(points), 1000):
            self.client.log_batch(run, metrics=points[first : first + 1000])

    @cached_property
    def _noted(self) -> dict[str, Any]:
        """Hold {"address", "runs": {"STAGE/REPLICATE": MLflow's run}, "studies": {NAME: digest}}."""
        nothing: dict[str, Any] = {"address": USER.sub("//", self.uri), "runs": {}, "studies": {}}
        database = self.out / "mlflow.db"
        try:
            noted = json.loads(self.notes.read_text(encoding="utf-8"))
            if noted["address"] == nothing["address"] and (database.exists() or not self.artifacts):
                return noted
        except (OSError, ValueError, KeyError, TypeError):  # missing or torn
            return nothing
        if self.artifacts:  # OUT was moved or copied, and MLflow's paths are absolute; or its database was deleted
            shutil.rmtree(self.out / "mlartifacts", ignore_errors=True)
            database.unlink(missing_ok=True)
        return nothing


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
