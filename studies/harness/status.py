"""Where each run stands, from the files and locks alone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from studies.harness.store import CONFIG, FAILURE, METRICS, RESULT, Store
from studies.harness.worker import LOCK

STATES = ("finished", "running", "broken off", "failed", "not begun")


class State(NamedTuple):
    """`age`: seconds since the run's last sign of life. `message`: of a failure."""

    name: Literal["finished", "running", "broken off", "failed", "not begun"]
    age: float = 0.0
    message: str = ""


def state_of(store: Store, stage_id: str, replicate: int) -> State:
    """A run that was broken off is continued by the next start, one that failed is tried again."""
    folder = store.folder(stage_id, replicate)
    if store.finished(stage_id, replicate):
        return State("finished", _age(folder / RESULT))
    if not (folder / CONFIG).exists():
        return State("not begun")
    life = folder / METRICS if (folder / METRICS).exists() else folder / CONFIG
    if _held(folder / LOCK):
        return State("running", _age(life))
    if failure := store.failure(stage_id, replicate):
        return State("failed", _age(folder / FAILURE), str(failure.get("message", "")))
    return State("broken off", _age(life))


def done_replicates(store: Store, stages: Iterable[str], replicates: Iterable[int]) -> tuple[int, ...]:
    """Those of which every run is finished; `stages` are ids."""
    ids = tuple(stages)
    return tuple(number for number in replicates if all(store.finished(stage_id, number) for stage_id in ids))


def _age(path: Path) -> float:
    return max(0.0, time.time() - path.stat().st_mtime)


def _held(lock: Path) -> bool:
    """Whether a process is at the run: the system frees the lock of one that is gone."""
    try:
        with FileLock(lock, timeout=0):
            return False
    except (Timeout, OSError):
        return True
