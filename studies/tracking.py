"""Mirror the run store in MLflow. The files are the truth: a mirror that is lost or late is made again from them.

Runs are mirrored in the experiment `runs`, each study in one of its own name. The mirror is a SQLite file in OUT, or the server in
MLFLOW_TRACKING_URI. OUT/mlflow.json notes what has been mirrored, as importing MLflow takes seconds.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from fame.files import read_json, write_json
from studies.harness.plan import Task
from studies.harness.progress import Tell, silent
from studies.harness.status import state_of
from studies.harness.store import Store
from studies.mirrored import CONTEXT, NOTES, SOURCE, Mirrored, Point, Row, insert, metrics_of, mirrored
from studies.setting.cell import Stage

if TYPE_CHECKING:
    from mlflow.tracking.client import MlflowClient

Key = tuple[str, int]  # stage id, replicate
Serves = Mapping[str, Sequence[str]]  # the studies that look at a stage, by its id
LOCK = ".mlflow.lock"  # held while mlflow.json is changed, or a database or an experiment made
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

    def __init__(self, out: Path | str, warn: Callable[[str], object] = print, scale: str = "") -> None:
        self.out = Path(out).absolute()
        self.warn = warn
        self.scale = scale
        self.failed = False
        self.place = hashlib.sha256(f"{platform.node()}:{self.out}".encode()).hexdigest()[:12]  # on a server that others use, too
        self.notes = self.out / NOTES
        server = os.environ.get("MLFLOW_TRACKING_URI")
        address = str(self.out / "mlflow.db").replace("%", "%25").replace("?", "%3F")
        self.uri = server or f"sqlite:///{address}"
        self.artifacts = None if server else (self.out / "mlartifacts").as_uri()
        self.live: dict[Key, tuple[str, int]] = {}  # MLflow's run and how many of its points are there, of runs that go on

    @never_fails
    def follow(self, store: Store, tasks: Iterable[Task], serves: Serves = MappingProxyType({})) -> bool:
        """Show runs that go on as RUNNING, with their curves so far."""
        for task in tasks:
            if task.key in self.live or not store.finished(*task.key):
                run = self._run(store, task.stage, task.replicate, serves)
                run_id, there = self.live.get(task.key) or (self._begin(run), 0)
                self._log(run_id, run.points[there:])
                self.live[task.key] = run_id, len(run.points)
        return self._note({})  # it tells the experiment

    @never_fails
    def end_run(self, store: Store, key: Key, status: str | None) -> bool:
        """Show a run that ended without a result as FAILED or KILLED; None: it is another process's, and not shown."""
        run_id, _ = self.live.pop(key, ("", 0))
        if run_id and status is None:
            self.client.delete_run(run_id)
        elif run_id:
            if failure := store.failure(*key):
                self.client.set_tag(run_id, "mlflow.note.content", str(failure["message"]))
            self.client.set_terminated(run_id, status)
        return True

    def end_all(self, store: Store) -> None:
        """Show the runs that still go on as ended: the processes that were at them are stopped."""
        for key in [*self.live]:
            _ = self.mirror_run(store, *key) or self.end_run(store, key, "KILLED")

    @never_fails
    def mirror_run(self, store: Store, stage_id: str, replicate: int, serves: Serves = MappingProxyType({})) -> bool:
        """Mirror a finished run, once: parameters, metrics over epochs, final metrics and small artifacts; False for another."""
        key = stage_id, replicate
        if _noted_as(key) in self._noted["runs"]:
            return True
        stage = store.stage(*key)
        if stage is None or not store.finished(*key):
            return False
        run = self._run(store, stage, replicate, serves)
        live, there = self.live.pop(key, ("", 0))
        run_id = live or self._begin(run)
        self._finish(run_id, run, there)
        return self._note({key: run_id})

    @never_fails
    def mirror_runs(self, store: Store, keys: Iterable[Key], serves: Serves = MappingProxyType({}), tell: Tell = silent) -> bool:
        """Mirror the finished runs among `keys` that are not there yet; a local database takes many at once."""
        absent = [key for key in keys if _noted_as(key) not in self._noted["runs"]]
        missing = [key for key in absent if store.finished(*key)]
        if any(state_of(store, *key)[0] == "broken off" for key in {*absent} - {*missing}):  # perhaps a command was killed
            _ = self._runs  # which tells its runs
        below = {key: bool((store.result(*key) or {}).get("upstream")) for key in missing}
        parts = [[key for key in missing if below[key] == last] for last in (False, True)]  # parents first
        at_once = MANY if self.artifacts and len(missing) > FEW else 1
        told = 0
        for some in [part[first : first + at_once] for part in parts for first in range(0, len(part), at_once)]:
            if at_once > 1:
                found = {key: self._run(store, stage, key[1], serves) for key in some if (stage := store.stage(*key))}
                ids = insert(self.uri, self._runs, self.out / "mlartifacts", list(found.values()))
                self._note(dict(zip(found, ids, strict=True)))
            else:
                self.mirror_run(store, *some[0], serves)
            told += len(some)
            tell("MLflow", told, len(missing))
        return not self.failed

    def _run(self, store: Store, stage: Stage, replicate: int, serves: Serves) -> Mirrored:
        """Return a run with the studies that it serves, and below the pretraining that it looks at."""
        run = mirrored(store.folder(stage.id, replicate), stage, store.result(stage.id, replicate))
        tags = self._common | run.tags
        if names := serves.get(stage.id):
            tags |= {"study": " ".join(names), "scale": self.scale}
        if stage.upstream and (parent := self._noted["runs"].get(_noted_as((stage.upstream.id, replicate)))):
            tags["mlflow.parentRunId"] = parent
        return replace(run, tags=tags)

    def _note(self, found: Mapping[Key, str], studies: Mapping[str, str] = MappingProxyType({})) -> bool:
        """Add to mlflow.json; what another command has added there meanwhile stays."""
        noted = self._noted
        with FileLock(self.out / LOCK):
            there = read_json(self.notes)
            noted |= there if there.get("address") == noted["address"] else {}
            noted["runs"] |= {_noted_as(key): run_id for key, run_id in found.items()}
            noted["studies"] |= studies
            write_json(self.notes, noted)
        return True

    @never_fails
    def mirror_study(
        self, name: str, files: Iterable[Path], rows: Iterable[Row], runs: Iterable[Key], note: str, about: Row
    ) -> bool:
        """Mirror a study as the one run of the experiment `name`, replaced where `about` or the names of its numbers have changed.

        Metrics are the means of `rows`; artifacts are `files`, and runs.csv with `runs` (stage id, replicate) and their mirrors.
        """
        paths, numbers = sorted({*files}), metrics_of(name, rows)
        tags = {"fame.study": name, "fame.out": self.place} | {key: str(value) for key, value in about.items()}
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
        for old in client.search_runs([experiment], f"tags.`fame.out` = '{self.place}'"):
            if tags.items() <= old.data.tags.items() and old.data.metrics.keys() <= numbers.keys():
                kept = old
            else:
                client.delete_run(old.info.run_id)
        moment = int(1000 * time.time())
        kept = kept or client.create_run(experiment, moment, self._common | tags, name)
        run_id = kept.info.run_id
        params = [(key, str(value)) for key, value in about.items()]
        self._log(run_id, [(key, value, 0, moment) for key, value in numbers.items()], params)
        for path in paths:
            client.log_artifact(run_id, str(path), path.parent.name)
        client.log_text(run_id, "\n".join([*links, ""]), "runs.csv")
        client.set_terminated(run_id, end_time=kept.info.start_time)  # it takes no time of its own
        return self._note({}, {name: state})

    def _begin(self, run: Mirrored) -> str:
        """Create an MLflow run, RUNNING; what an earlier start of this OUT has left of the same run gives way to it."""
        same = " AND ".join(f"tags.`{tag}` = '{run.tags[tag]}'" for tag in ("fame.cell", "fame.replicate", "fame.out"))
        for half in self.client.search_runs([self._runs], same):
            self.client.delete_run(half.info.run_id)
        run_id = self.client.create_run(self._runs, run.start, run.tags, run.name).info.run_id
        self._log(run_id, params=run.params.items())
        return run_id

    def _finish(self, run_id: str, run: Mirrored, there: int) -> None:
        """Add what a run has found, of its points those after the first `there`."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        self._log(run_id, run.points[there:])
        for file in run.files:
            self.client.log_artifact(run_id, str(file))
        context = InputTag(CONTEXT, run.context)
        read = [DatasetInput(Dataset(one.name, one.digest, SOURCE, one.source), [context]) for one in run.datasets]
        self.client.log_inputs(run_id, read)
        self.client.set_terminated(run_id, end_time=run.end)

    @cached_property
    def _common(self) -> dict[str, str]:
        """Tags of every run: user and program, as MLflow finds them, and the place."""
        assert self.client, "its settings come before MLflow's import"
        from mlflow.tracking.context.registry import resolve_tags

        return {"fame.out": self.place, **resolve_tags()}

    @cached_property
    def _runs(self) -> str:
        """Return the id of the experiment of runs. Those of this OUT at which no process is any more end as KILLED."""
        experiment = self._experiment("runs")
        left = f"tags.`fame.out` = '{self.place}' AND attributes.status = 'RUNNING'"
        for run in self.client.search_runs([experiment], left):
            key = run.data.tags["fame.cell"], int(run.data.tags["fame.replicate"])
            if state_of(Store(self.out), *key)[0] != "running":
                self.client.set_terminated(run.info.run_id, "KILLED")
        return experiment

    @cached_property
    def client(self) -> MlflowClient:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # seconds
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        from mlflow.tracking.client import MlflowClient

        for logger in ("mlflow", "alembic"):  # else making a database takes many lines
            logging.getLogger(logger).setLevel(logging.ERROR)
        with FileLock(self.out / LOCK):  # two commands would make the tables of a new database at once
            client = MlflowClient(self.uri)
        if self.artifacts:
            with suppress(OSError):  # MLflow makes a folder by the escaped name
                Path(self.uri.removeprefix("sqlite:///")).parent.rmdir()
        return client

    def _experiment(self, name: str) -> str:
        client = self.client
        with FileLock(self.out / LOCK):
            found = client.get_experiment_by_name(name)
            own = found.experiment_id if found else client.create_experiment(name, artifact_location=self.artifacts)
        if name == "runs":
            self._noted["experiment"] = own
        return own

    def _log(self, run_id: str, found: Iterable[Point] = (), params: Iterable[tuple[str, str]] = ()) -> None:
        from mlflow.entities import Metric, Param

        points = [Metric(name, value, moment, step) for name, value, step, moment in found]
        fields = [Param(*field) for field in params]
        for first in range(0, len(points), 1000):  # a server takes no more in a call, and 100 parameters
            self.client.log_batch(run_id, metrics=points[first : first + 1000])
        for first in range(0, len(fields), 100):
            self.client.log_batch(run_id, params=fields[first : first + 100])

    @cached_property
    def _noted(self) -> dict[str, Any]:
        """Hold {"address", "runs": {"STAGE/REPLICATE": MLflow's run}, "studies": {NAME: digest}, "experiment": that of runs}."""
        nothing: dict[str, Any] = {"address": USER.sub("//", self.uri), "runs": {}, "studies": {}}
        database = self.out / "mlflow.db"
        with FileLock(self.out / LOCK):
            noted = nothing | read_json(self.notes)
            if noted["address"] == nothing["address"] and (database.exists() or not self.artifacts):
                return noted
            self.notes.unlink(missing_ok=True)
            if self.artifacts:  # OUT was moved or copied, and MLflow's paths are absolute; or its database was deleted
                shutil.rmtree(self.out / "mlartifacts", ignore_errors=True)
                database.unlink(missing_ok=True)
        return nothing


def _noted_as(key: Key) -> str:
    return f"{key[0]}/{key[1]}"
