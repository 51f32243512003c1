"""Where Optuna keeps a search: a journal file, OUT/search/journal.log, or any URL that Optuna knows. Both notice dead workers.

A database notices by heartbeats. A journal has none in Optuna: here each worker holds a lock, which the system frees with it.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4
from weakref import finalize

import optuna
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import TrialState

from fame.errors import FameError

BEAT, GRACE = 5, 20  # seconds between two signs of life, and without one until a trial is taken up by another worker
WORKER = "fame.worker"
SECRET = re.compile(r"//[^/@\s]+@")  # user and password in a URL
warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.ERROR)


class WholeLines(BaseJournalFileLock):
    """Lock a journal for an append. The system frees it if its process dies, and half a line that one left is cut off."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)

    def acquire(self) -> bool:
        self.lock.acquire()
        with self.path.open("rb+") as file:
            content = file.read()
            if not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self.lock.release()


class Journal(JournalStorage, BaseHeartbeat):
    """Keep a search in a file; a running trial whose worker's lock is free belongs to a worker that died."""

    def __init__(self, path: Path) -> None:
        self.path, self.worker, self.beating = path, uuid4().hex[:12], set[int]()
        self.held = self._lock(self.worker)
        finalize(self, _free, self.held)
        for left in path.parent.glob(".worker-*.lock"):
            self._dead(left.name.removeprefix(".worker-").removesuffix(".lock"))
        super().__init__(JournalFileBackend(str(path), WholeLines(path)))

    def _lock(self, worker: str) -> FileLock:
        return FileLock(self.path.with_name(f".worker-{worker}.lock"), thread_local=False)

    def record_heartbeat(self, trial_id: int) -> None:
        """Name the worker of a trial, after taking the lock that shows that it lives."""
        if trial_id not in self.beating:
            self.beating.add(trial_id)
            if not self.held.is_locked:
                self.held.acquire()
            self.set_trial_system_attr(trial_id, WORKER, self.worker)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        workers = {trial._trial_id: trial.system_attrs.get(WORKER) for trial in running}
        return [trial for trial, worker in workers.items() if worker not in (None, self.worker) and self._dead(worker)]

    def _dead(self, worker: str) -> bool:
        """Return whether a worker's lock is free, and remove it then."""
        with suppress(Timeout), (lock := self._lock(worker)).acquire(timeout=0):
            Path(lock.lock_file).unlink()
            return True
        return False

    def get_heartbeat_interval(self) -> int | None:
        return BEAT

    def get_heartbeat_stale_trial_callback(self) -> Callable[[optuna.Study, optuna.trial.FrozenTrial], None] | None:
        return RetryHeartbeatStaleTrialCallback()


def _free(lock: FileLock) -> None:
    """Take a worker's lock away when it ends; what a killed one leaves, the next one removes."""
    if lock.is_locked:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def open_storage(where: str) -> BaseStorage:
    """Open a URL, or a journal by its path. FameError where nobody answers, a driver is missing, or the file is no journal."""
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)
    said = SECRET.sub("//", where)
    if "://" in where:
        retry = RetryHeartbeatStaleTrialCallback()
        try:
            return RDBStorage(where, heartbeat_interval=BEAT, grace_period=GRACE, heartbeat_stale_trial_callback=retry)
        except Exception as error:  # whatever a driver, the network or the server may raise
            why = SECRET.sub("//", " ".join(str(error).split()))[:200]
            raise FameError(f"--storage {said}: it cannot be opened ({why}); start the server or install its driver") from None
    path = Path(where)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return Journal(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # whatever replaying a foreign file meets
        raise FameError(f"{path}: this is no journal that Optuna can read ({error!r}); move it away") from None


def release_stale(study: optuna.Study) -> None:
    """Let trials of dead workers be taken up; those that died before they had a value are failed."""
    optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not trial.params and trial.datetime_start and datetime.now() - trial.datetime_start > timedelta(seconds=GRACE):
            study.tell(trial.number, state=TrialState.FAIL)
