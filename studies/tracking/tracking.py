"""MLflow mirrors the run store. The files are the truth: a mirror that is lost or late is made again from them.

Every finished run is mirrored once, in the experiment `runs`; every study has an experiment of its own name with its tables and
figures as artifacts and links to its runs. The mirror is a SQLite file in OUT, or the server that MLFLOW_TRACKING_URI names.

Two facts shape this module. Importing MLflow and opening its database takes some ten seconds, so what has been mirrored is noted in
OUT/mlflow.json, and where nothing is new MLflow is not even imported. And tracking is a convenience: whatever goes wrong in it is
one warning and the answer False, after which this tracker rests, so that an unreachable server costs one timeout and not hundreds.

To make a mirror anew, delete OUT/mlflow.db (on a server: OUT/mlflow.json) and call `run_study.py report`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar

from studies.setting.cell import Stage
from studies.tracking.mirror import Mirror, describe, epochs, flat, is_number, redacted
from studies.tracking.noted import Noted, digest_of, read_object

FOLDERS = ("tables", "figures")  # of a report, kept as folders of artifacts
RUNS = "runs"  # the experiment of all runs
LARGEST_ARTIFACT = 8 * 2**20  # bytes; a larger file (a full-size encoder) stays in the store alone


class Results(Protocol):
    """What is read of the run store (studies/harness/store.py)."""

    def folder(self, stage_id: str, replicate: int) -> Path: ...

    def result(self, stage_id: str, replicate: int) -> dict[str, Any] | None: ...


Method = TypeVar("Method", bound=Callable[..., bool])


def never_fails(method: Method) -> Method:
    """A tracking error becomes one warning and False; from then on the tracker does nothing."""

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
            self.warn(redacted(f"MLflow tracking stopped ({self.uri}): {what}; {mend}"))
            return False

    return guarded  # type: ignore[return-value]


def to_stderr(message: str) -> None:
    sys.stderr.write(message + "\n")


class Tracker:
    """The mirror of one OUT folder; cheap to make. Its methods return whether the mirror now holds what was asked."""

    def __init__(self, out: Path | str, warn: Callable[[str], None] = to_stderr) -> None:
        self.out = Path(out).absolute()
        self.warn = warn
        self.failed = False
        given = os.environ.get("MLFLOW_TRACKING_URI")
        self.local = not given
        self.uri = given or f"sqlite:///{self.out / 'mlflow.db'}"
        self._mirror = Mirror(self.uri, self.out / "mlartifacts" if self.local else None)
        self._noted = Noted(self.out, self.uri, self.local)

    @never_fails
    def mirror_run(self, store: Results, stage: Stage, replicate: int, serves: Sequence[str] = ()) -> bool:
        """A finished run, with its parameters, metrics over epochs, final metrics and small artifacts.

        Mirrored before, it is not touched, but for the tag `studies` where `serves` names one that the tag lacks. False where the
        store has no result of it.
        """
        return self._run(store, stage.to_json(), replicate, serves)

    @never_fails
    def rebuild(self, store: Results, serves: Mapping[str, Sequence[str]] | None = None) -> bool:
        """Mirror every finished run in OUT/runs that is not mirrored yet; `serves` gives the studies of a stage id.

        It reads the files alone, so runs of other studies and of earlier versions are mirrored too.
        """
        for result in sorted((self.out / "runs").glob("*/*/result.json")):
            stage, replicate = result.parts[-3], result.parts[-2]
            studies = (serves or {}).get(stage, ())
            if not replicate.isdigit() or not self._noted.is_new(f"{stage}/{replicate}", studies):
                continue
            chain = read_object(result.parent / "config.json")
            if chain.get("id") == stage:  # else it is damaged, which is the store's to report
                self._run(store, chain, int(replicate), studies)
        return True

    @never_fails
    def mirror_study(
        self,
        name: str,
        files: Iterable[Path] = (),
        rows: Iterable[Mapping[str, Any]] = (),
        runs: Iterable[tuple[str, int]] = (),
        note: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> bool:
        """The experiment `name`: `files` as artifacts (in folders named as theirs, `tables` and `figures`), `rows` as metrics.

        It holds one run, which is brought up to date where something has changed, and replaced where `about` has (scale, dataset).

        `rows` are those of report.json (row, column, metric, mean). `runs`, as (stage id, replicate), become tags
        `run/STAGE/REPLICATE` with the MLflow run as value, and the artifact runs.csv.
        """
        paths, lines = sorted({Path(file) for file in files}), [dict(row) for row in rows]
        noted, facts = self._noted.runs, flat(dict(about or {}))
        links = {key: noted[key]["run"] for key in sorted({f"{stage}/{replicate}" for stage, replicate in runs}) if key in noted}
        digest = digest_of(paths, [lines, links, note, facts])
        if self._noted.studies.get(name, {}).get("digest") == digest:
            return True

        client = self._mirror.client
        experiment = self._mirror.experiment(name, note)
        held = self._mirror.find(name, f"tags.`fame.study` = '{name}'")
        kept = [old for old in held if facts.items() <= old.data.tags.items()]
        for old in held:
            if old not in kept:
                client.delete_run(old.info.run_id)
        run = (kept[0] if kept else client.create_run(experiment, tags={"fame.study": name, **facts}, run_name=name)).info.run_id
        self._mirror.log(
            run,
            tags={f"run/{key}": value for key, value in links.items()},
            metrics=[(_label(line), float(line["mean"]), 0) for line in lines if is_number(line.get("mean"))],
        )
        self._mirror.put(run, {str(Path(*path.parts[-2 if path.parent.name in FOLDERS else -1 :])): path for path in paths})
        table = [f"{key.replace('/', ',')},{linked}" for key, linked in links.items()]
        client.log_text(run, "\n".join(["stage,replicate,run", *table, ""]), "runs.csv")
        client.set_terminated(run)
        self._noted.studies[name] = {"run": run, "digest": digest}
        self._noted.save()
        return True

    # ------------------------------------------------------------ one run

    def _run(self, store: Results, chain: dict[str, Any], replicate: int, serves: Sequence[str]) -> bool:
        """`chain` as in config.json: {"id", "config", "upstream": the same | None}."""
        key = f"{chain['id']}/{replicate}"
        if not self._noted.is_new(key, serves):
            return True
        result = store.result(chain["id"], replicate)
        if result is None:
            return False
        noted = self._noted.runs.get(key, {})
        studies = sorted({*noted.get("serves", ()), *serves})
        run = noted.get("run") or self._found(key)
        if run:
            self._mirror.client.set_tag(run, "studies", ", ".join(studies))
        else:
            run = self._write(store.folder(chain["id"], replicate), chain, replicate, result, studies)
        self._noted.runs[key] = {"run": run, "serves": studies}
        self._noted.save()
        return True

    def _write(self, folder: Path, chain: dict[str, Any], replicate: int, result: dict[str, Any], studies: Sequence[str]) -> str:
        """A new MLflow run. It becomes `FINISHED` last, which is how `_found` knows one whose writing was broken off."""
        upstream = chain.get("upstream")
        commit = str(result.get("commit", "unknown"))
        tags = {
            "fame.cell": chain["id"],
            "fame.replicate": str(replicate),
            "fame.kind": str(result.get("kind", chain["config"]["stage"])),
            "fame.upstream": upstream["id"] if upstream else "",
            "fame.commit": commit,
            "mlflow.source.git.commit": commit,
            "studies": ", ".join(studies),
        }
        end = _milliseconds(result.get("finished"))
        start = end - int(1000 * float(result.get("seconds") or 0))
        client = self._mirror.client
        name = f"{describe(chain)} · {replicate}"
        run = client.create_run(self._mirror.experiment(RUNS), start_time=start, tags=tags, run_name=name).info.run_id
        series = list(epochs(folder / "metrics.jsonl"))
        last = max((step for _, _, step in series), default=0)
        final = [(metric, float(value), last) for metric, value in result["metrics"].items() if is_number(value)]
        params = {"replicate": str(replicate), **flat(chain["config"])}
        if upstream:  # what tells pretrainings apart; the rest stands in the upstream run
            config = upstream["config"]
            objective, part = config.get("objective") or {}, (config.get("data") or {}).get("part")
            params |= flat({name: objective.get(name) for name in ("kind", "merge", "erasing")} | {"part": part}, "upstream.")
        self._mirror.log(run, params=params, metrics=series + final, timestamp=end)
        names = ("config.json", "result.json", "metrics.jsonl", *result.get("artifacts", ()))
        self._mirror.put(run, {name: folder / name for name in names if _is_small(folder / name)})
        client.set_terminated(run, end_time=end)
        return run

    def _found(self, key: str) -> str | None:
        """The run of an earlier mirroring that was not noted. One that was broken off while it was written is removed."""
        run = self._present.pop(key, None)
        if run is None:
            return None
        if run.info.status == "FINISHED":
            return str(run.info.run_id)
        self._mirror.client.delete_run(run.info.run_id)
        return None

    @cached_property
    def _present(self) -> dict[str, Any]:
        runs = self._mirror.find(RUNS, "tags.`fame.cell` LIKE '%'")
        return {f"{run.data.tags['fame.cell']}/{run.data.tags['fame.replicate']}": run for run in runs}


def _label(row: Mapping[str, Any]) -> str:
    """A number of a table as a metric: `0.5 single/top1`."""
    return f"{' '.join(str(row[word]) for word in ('row', 'column') if row.get(word))}/{row['metric']}"


def _is_small(file: Path) -> bool:
    return file.is_file() and file.stat().st_size <= LARGEST_ARTIFACT


def _milliseconds(moment: Any) -> int:
    """Of an ISO time; now, where there is none."""
    try:
        return int(datetime.fromisoformat(str(moment)).timestamp() * 1000)
    except ValueError:
        return int(time.time() * 1000)
