"""Keep runs on disk: the files are the truth, everything else (MLflow, tables, figures) is made from them.

`OUT/runs/STAGE/REPLICATE/` holds a run. `result.json`, with checksums of the run's files and of itself, is written last and
atomically: a run without it, or with damage, is unfinished (docs/architecture.md, "A run on disk").
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock, Timeout
from pydantic import ValidationError

from fame.errors import FameError
from fame.files import read_json, sha256_of, write_json
from studies.setting.cell import Stage

if TYPE_CHECKING:
    import pandas

log = logging.getLogger("fame.store")

CHECKPOINT = "checkpoint.pt"
RESULT = "result.json"
CONFIG = "config.json"
FAILURE = "failure.json"
METRICS = "metrics.jsonl"
ENCODER = "encoder.pt"  # what a pretraining leaves for its evaluations
SETTING = "setting.json"
LOCK = ".lock"  # held by the process that is at the run
CHECKSUM = "checksum"  # of result.json: of all that it holds beside this
FILES = "files"  # in result.json: SHA-256 of each of the run's files, by name
FULL = 1 << 20  # bytes left on a disk that counts as full


class Step(NamedTuple):
    """Tell how far a run is, and the loss there where it has one."""

    step: int
    steps: int
    loss: float | None


class Store:
    """Read and write the runs of one output folder. Reading needs neither torch nor the data."""

    def __init__(self, out: Path | str) -> None:
        self.out = Path(out)
        self.runs = self.out / "runs"
        self.cache = self.out / "cache"
        self._warned: set[Path] = set()
        self._sound: set[tuple[Path, str]] = set()  # files that were read, each with the checksum that it has

    def prepare(self) -> Store:
        """Make the folders. FameError where that is not allowed."""
        with self.named_errors():
            for folder in (self.runs, self.cache):
                folder.mkdir(parents=True, exist_ok=True)
            trial = self.out / f".trial.{os.getpid()}"
            trial.touch()
            trial.unlink()
        return self

    def folder(self, stage_id: str, replicate: int) -> Path:
        return self.runs / stage_id / str(replicate)

    def result(self, stage_id: str, replicate: int) -> dict[str, Any] | None:
        """Return what a finished run found; None where it is unfinished or damaged. The large encoder is checked by `whole`."""
        path = self.folder(stage_id, replicate) / RESULT
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value.pop(CHECKSUM) != _checksum(value) or value["stage"] != stage_id:
                raise ValueError(f"it is not what stage {stage_id} wrote")
            names = value[FILES].keys() - {ENCODER}
            return value if all(self._unchanged(path.with_name(name), value) for name in names) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._warn(path, str(error))
            return None

    def finished(self, stage_id: str, replicate: int) -> bool:
        return self.result(stage_id, replicate) is not None

    def whole(self, stage_id: str, replicate: int) -> bool:
        """Return whether a run is finished and the encoder that it may have left is what was written."""
        result = self.result(stage_id, replicate)
        path = self.folder(stage_id, replicate) / ENCODER
        return result is not None and (ENCODER not in result[FILES] or self._unchanged(path, result))

    def _unchanged(self, path: Path, result: dict[str, Any]) -> bool:
        """Return whether a file has the checksum in its run's result; it is read once, and named where it has not."""
        digest = result[FILES][path.name]
        with suppress(OSError):
            if (path, digest) in self._sound or sha256_of(path) == digest:
                self._sound.add((path, digest))
                return True
        self._warn(path, "changed or gone")
        return False

    def failure(self, stage_id: str, replicate: int) -> dict[str, Any] | None:
        """Return message, traceback and time of the last failure of a run that has not finished since."""
        if self.finished(stage_id, replicate):
            return None
        return read_json(self.folder(stage_id, replicate) / FAILURE) or None

    def progress(self, stage_id: str, replicate: int) -> Step | None:
        """Return how far a run is by the last complete line of metrics.jsonl that tells it; a line being written is passed over."""
        try:
            lines = (self.folder(stage_id, replicate) / METRICS).read_bytes().split(b"\n")[:-1]
        except OSError:
            return None
        for line in reversed(lines):
            with suppress(ValueError, KeyError, TypeError):
                value = json.loads(line)
                return Step(int(value["step"]), int(value["steps"]), value.get("loss"))
        return None

    def table(self, stage_id: str, replicate: int, name: str) -> pandas.DataFrame | None:
        """Return a csv artefact of a finished run as a DataFrame; None where the run is unfinished or has no such file."""
        path = self.folder(stage_id, replicate) / name
        if not path.exists() or not self.finished(stage_id, replicate):
            return None
        import pandas

        types = {"video": str, "class": str, "performance": str, "scene_action": "Int64", "rank": "Int64"}
        return pandas.read_csv(path, dtype=types)  # type: ignore[arg-type]

    def stage(self, stage_id: str, replicate: int) -> Stage | None:
        """Return a run's configuration, from its config.json; None where this program has no such configuration (any more)."""
        try:
            return Stage.from_json(read_json(self.folder(stage_id, replicate) / CONFIG))
        except (ValidationError, KeyError, TypeError, AttributeError):
            return None

    def config(self, stage_id: str, replicate: int) -> dict[str, Any]:
        """The fields of a run's configuration as they were written; empty where it has none."""
        return dict(read_json(self.folder(stage_id, replicate) / CONFIG).get("config") or {})

    def all(self) -> Iterator[tuple[str, int]]:
        """Yield (stage id, replicate) of every run folder, finished or not, in order."""
        if not self.runs.is_dir():
            return
        for stage in sorted(path for path in self.runs.iterdir() if path.is_dir()):
            for name in sorted((path.name for path in stage.iterdir() if path.name.isdigit()), key=int):
                yield stage.name, int(name)

    def setting(self) -> dict[str, Any] | None:
        """Return what was asked for last (setting.json); None in a new folder."""
        return read_json(self.out / SETTING) or None

    def write_setting(self, value: dict[str, Any]) -> None:
        with self.named_errors():
            write_json(self.out / SETTING, value)

    def begin(self, stage: Stage, replicate: int) -> Path:
        """Make the run's folder, unfinished, with config.json. What an earlier start left is kept if there is a checkpoint."""
        folder = self.folder(stage.id, replicate)
        with self.named_errors():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RESULT).unlink(missing_ok=True)
            for left in folder.glob(".*"):
                if left.suffix[1:].isdigit():  # write_atomically's neighbour, of a process that was killed
                    left.unlink(missing_ok=True)
            if not (folder / CHECKPOINT).exists():
                (folder / METRICS).unlink(missing_ok=True)
            write_json(folder / CONFIG, stage.to_json())
        return folder

    def hand_on(self, stopped: str, further: str, replicate: int) -> None:
        """Move the checkpoint of a training that stopped early to the run that goes on from it; not where that has begun."""
        source, target = self.folder(stopped, replicate), self.folder(further, replicate)
        if not (source / CHECKPOINT).exists():
            return
        target.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout), FileLock(target / LOCK, timeout=0):
            if not (target / CHECKPOINT).exists() and not (target / RESULT).exists():
                shutil.copyfile(source / METRICS, target / METRICS)
                (source / CHECKPOINT).replace(target / CHECKPOINT)

    def finish(self, stage: Stage, replicate: int, result: dict[str, Any]) -> None:
        """Write result.json with checksums, atomically and last: from here on the run is finished."""
        folder = self.folder(stage.id, replicate)
        with self.named_errors():
            named = [folder / name for name in result.get("artifacts", ())]
            value = json.loads(json.dumps(result | {FILES: {path.name: sha256_of(path) for path in named if path.exists()}}))
            write_json(folder / RESULT, value | {CHECKSUM: _checksum(value)})
        (folder / FAILURE).unlink(missing_ok=True)

    def fail(self, stage: Stage, replicate: int, message: str, error: BaseException | None = None) -> None:
        """Leave failure.json. On a full disk even that may be impossible: then the message alone must do."""
        lines = "".join(traceback.format_exception(error)) if error else ""
        value = {"message": message, "traceback": lines, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        with suppress(OSError):
            folder = self.folder(stage.id, replicate)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / FAILURE, value)

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """An OSError while writing becomes a FameError that says what to do; a full disk is told apart."""
        try:
            yield
        except OSError as error:
            mend = "check its permissions, or choose another folder with --out"
            raise (self.full_disk(error) or FameError(f"{self.out}: cannot write there ({error}); {mend}")) from None

    def full_disk(self, error: BaseException) -> DiskFull | None:
        """Return the error for a full disk if that is behind `error` (torch hides it in a RuntimeError), else None."""
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        with suppress(OSError):
            full = full or (isinstance(error, OSError | RuntimeError) and shutil.disk_usage(self.out).free < FULL)
        return DiskFull(self.out) if full else None

    def _warn(self, path: Path, why: str) -> None:
        if path not in self._warned:
            self._warned.add(path)
            log.warning("%s is damaged (%s): its run counts as unfinished and will be done again", path, why)


class DiskFull(FameError):
    """No space left: further runs would fail alike, so a runner stops at it."""

    def __init__(self, out: Path) -> None:
        super().__init__(f"{out}: the disk is full; free some space and start again (finished runs are kept and not repeated)")


def _checksum(result: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()
