"""The MLflow side of tracking: one address, its experiments and runs, and values in the form that MLflow takes.

Nothing here knows what was mirrored before (studies/tracking/tracking.py does), and errors pass through. MLflow is imported at
the first
use: it takes seconds.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking.client import MlflowClient

METRICS_A_CALL, OTHERS_A_CALL = 800, 100  # log_batch takes 1000 entities, of them 100 parameters and 100 tags
LONGEST_NAME = 250  # characters of a metric's or parameter's name
LONGEST_VALUE = 500  # characters of a parameter; older servers keep no more
QUIET = {  # read by MLflow at import; a value that the user has set stands
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
    "GIT_PYTHON_REFRESH": "quiet",
}


class Mirror:
    """Experiments and runs at `uri`. New experiments keep their artifacts in `artifacts`; None leaves the place to the server."""

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        self.artifacts = artifacts
        self._experiments: dict[str, str] = {}

    @cached_property
    def client(self) -> MlflowClient:
        for key, value in QUIET.items():
            os.environ.setdefault(key, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its dependencies' deprecations are not our reader's concern
            from mlflow.tracking.client import MlflowClient
        for logger in ("mlflow", "alembic"):  # each step of the first database's making is a line otherwise
            logging.getLogger(logger).setLevel(logging.ERROR)
        return MlflowClient(self.uri)

    def experiment(self, name: str, note: str = "") -> str:
        """The id of the experiment `name`, made where it is missing; `note` is the description that its page shows."""
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                place = self.artifacts.as_uri() if self.artifacts else None
                self._experiments[name] = self.client.create_experiment(name, artifact_location=place)
            else:
                self._experiments[name] = found.experiment_id
        if note:
            self.client.set_experiment_tag(self._experiments[name], "mlflow.note.content", note)
        return self._experiments[name]

    def find(self, experiment: str, where: str) -> list[Run]:
        """All runs of the experiment `experiment` (a name) that MLflow's filter `where` selects."""
        found: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment(experiment)], where, max_results=1000, page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                return found

    def log(
        self,
        run: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Iterable[tuple[str, float, int]] = (),
        timestamp: int | None = None,
    ) -> None:
        """Parameters, tags and metrics (name, value, step), in as few calls as MLflow's limits allow.

        Of two values of one metric at one step the later counts: an epoch that was run again after a break.
        """
        from mlflow.entities import Metric, Param, RunTag

        when = int(time.time() * 1000) if timestamp is None else timestamp
        latest = {(metric_name(key), step): value for key, value, step in metrics}
        points = [Metric(key, value, when, step) for (key, step), value in latest.items()]
        fields = [Param(metric_name(key), value[:LONGEST_VALUE]) for key, value in (params or {}).items()]
        labels = [RunTag(key, value) for key, value in (tags or {}).items()]
        calls = max(_calls(points, METRICS_A_CALL), _calls(fields, OTHERS_A_CALL), _calls(labels, OTHERS_A_CALL))
        for call in range(calls):  # each call is a transaction, and costs a flush to disk
            self.client.log_batch(
                run,
                metrics=points[call * METRICS_A_CALL : (call + 1) * METRICS_A_CALL],
                params=fields[call * OTHERS_A_CALL : (call + 1) * OTHERS_A_CALL],
                tags=labels[call * OTHERS_A_CALL : (call + 1) * OTHERS_A_CALL],
            )

    def put(self, run: str, files: Mapping[str, Path]) -> None:
        """`files` as the run's artifacts, named by their keys (`tables/a.csv`), in one call."""
        with TemporaryDirectory() as gathered:
            for name, file in files.items():
                place = Path(gathered, name)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(file.absolute())
            self.client.log_artifacts(run, gathered)


def metric_name(name: str) -> str:
    """`name` in the characters that MLflow keeps (letters, digits, _ - . / and space): R@1 becomes R_at_1.

    Empty parts between slashes and leading dots go, as MLflow reads a name as a path.
    """
    plain = re.sub(r"[^\w/.\- ]", "_", name.replace("@", "_at_"))[:LONGEST_NAME]  # cut first: a cut may leave an empty part
    return "/".join(part.lstrip(".") for part in plain.split("/") if part.strip(".")) or "_"


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested dicts as one: {"data": {"part": "A"}} -> {"data.part": "A"}. Lists are joined by commas, None is "none"."""
    if isinstance(value, Mapping):
        return {key: text for name, inner in value.items() for key, text in flat(inner, f"{prefix}{name}.").items()}
    text = "none" if value is None else ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return {prefix.rstrip("."): text}


def epochs(file: Path) -> Iterator[tuple[str, float, int]]:
    """(name, value, step) of every number in a `metrics.jsonl`; lines without a step, and one torn by a kill, are passed over."""
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            step = int(values["step"])
        except (ValueError, KeyError, TypeError):
            continue
        for name, value in values.items():
            if name not in ("time", "step", "steps") and is_number(value):
                yield name, float(value), step


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def describe(chain: Mapping[str, Any]) -> str:
    """A run's name for the eye, from its `config.json`: `probe A after fame 0.5 inter single on source`."""
    config = chain["config"]
    part = (config.get("data") or {}).get("part", "")
    if config["stage"] != "pretrain":
        after = f"after {describe(chain['upstream'])}" if chain.get("upstream") else ""
        return " ".join(word for word in (config["stage"], part, after) if word)
    objective = config.get("objective") or {}
    merge = objective.get("merge")
    if merge:
        method = f"{merge['variant']} {merge['beta']} {merge['background']} {merge['views']}"
    else:
        method = "background erasing" if objective.get("erasing") else str(objective.get("kind"))
    return f"{method} on {part}" if part else method


def redacted(text: str) -> str:
    """`text` without the user and password of an address in it."""
    return re.sub(r"//[^/@\s]+@", "//", text)


def _calls(items: Sequence[Any], size: int) -> int:
    return -(-len(items) // size)
