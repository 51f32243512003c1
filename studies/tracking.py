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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.files import write_json
from studies.harness.plan import label
from studies.harness.store import METRICS, Store
from studies.setting.cell import Stage

if TYPE_CHECKING:
    from mlflow.tracking.client import MlflowClient

Row = Mapping[str, Any]
LARGEST_ARTIFACT = 8 * 2**20  # bytes; a larger file (a full-size encoder) stays in the store alone
LONGEST_NAME = 240  # characters of a metric's name; MLflow takes 250
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
        self.notes = self.out / "mlflow.json"
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
        result, stage = store.result(stage_id, replicate), store.stage(stage_id, replicate)
        if not result or not stage:
            return False
        self._noted["runs"][key] = self._write(store.folder(stage_id, replicate), stage, result)
        write_json(self.notes, self._noted)
        return True

    @never_fails
    def mirror_study(
        self,
        name: str,
        files: Iterable[Path],
        rows: Iterable[Row],
        runs: Iterable[tuple[str, int]],
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

    def _write(self, folder: Path, stage: Stage, result: dict[str, Any]) -> str:
        """Write a new MLflow run; one that is not noted, as its writing was broken off, gives way to it."""
        from mlflow.entities import Param
        from pandas import json_normalize

        tags = {
            "fame.cell": folder.parent.name,
            "fame.replicate": folder.name,
            "fame.kind": stage.kind,
            "fame.upstream": stage.upstream.id if stage.upstream else "",
            "mlflow.source.git.commit": result["commit"],
        }
        end = int(datetime.fromisoformat(result["finished"]).timestamp() * 1000)  # milliseconds
        start = end - int(1000 * result["seconds"])
        client, experiment = self.client, self._experiment("runs")
        where = " AND ".join(f"tags.`{tag}` = '{tags[tag]}'" for tag in ("fame.cell", "fame.replicate"))
        for half in client.search_runs([experiment], where):
            client.delete_run(half.info.run_id)
        run = client.create_run(experiment, start, tags, f"{label(stage)} · {folder.name}").info.run_id
        config = {"replicate": folder.name, **stage.config.model_dump(mode="json")}
        if stage.upstream:  # what tells pretrainings apart; the rest stands in the upstream run
            upstream = stage.upstream.config.model_dump(mode="json")
            part = (upstream.get("data") or {}).get("part")
            config["upstream"] = {**(upstream.get("objective") or {}), "part": part}
        (fields,) = json_normalize(config).to_dict("records")
        params = [Param(str(key), str(value)) for key, value in fields.items()]
        for first in range(0, len(params), 100):  # a server takes no more in a call, and 1000 metrics
            client.log_batch(run, params=params[first : first + 100])
        series = list(epochs(folder / METRICS))
        last = max((step for _, _, step in series), default=0)
        self._log(run, [*series, *((metric, value, last) for metric, value in result["metrics"].items())], end)
        for file in (folder / name for name in ("config.json", "result.json", METRICS, *result["artifacts"])):
            if file.is_file() and file.stat().st_size <= LARGEST_ARTIFACT:
                client.log_artifact(run, str(file))
        client.set_terminated(run, end_time=end)
        return run

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
        return found.experiment_id if found else self.client.create_experiment(name, artifact_location=self.artifacts)

    def _log(self, run: str, metrics: Iterable[tuple[str, float, int]], moment: int) -> None:
        """Log (name, value, step), all at `moment` in milliseconds; of two values at one step the later one."""
        from mlflow.entities import Metric

        latest = {(metric_name(key), step): value for key, value, step in metrics}
        points = [Metric(key, float(value), moment, step) for (key, step), value in latest.items()]
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


def metric_name(name: str) -> str:
    """Return `name` as a path without dots, in the characters that MLflow keeps (letters, digits, _ - . / and space)."""
    plain = re.sub(r"[^\w/.\- ]", "_", name.replace("@", "_at_"))[:LONGEST_NAME]
    return "/".join(part.lstrip(".") for part in plain.split("/") if part.strip(".")) or "_"


def epochs(file: Path) -> Iterator[tuple[str, float, int]]:
    """Read (name, value, step) of every number in a `metrics.jsonl`, without lines that lack a step or are torn."""
    for line in file.read_bytes().splitlines() if file.exists() else ():
        with suppress(ValueError, KeyError, TypeError):
            values = json.loads(line)
            step = int(values.pop("step"))
            for name, value in values.items():
                if name not in ("time", "steps") and isinstance(value, int | float):
                    yield name, value, step
