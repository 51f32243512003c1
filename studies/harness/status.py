"""Tell how far each run is, from files and locks alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from filelock import FileLock, Timeout

from studies.harness.store import CONFIG, FAILURE, LOCK, METRICS, RESULT, Store

Name = Literal["finished", "running", "broken off", "failed", "not begun"]
STATES: tuple[Name, ...] = get_args(Name)


class State(NamedTuple):
    """Say where a run is. `age`: seconds since its last sign of life. `message`: of a failure."""

    name: Name
    age: float = 0.0
    message: str = ""


def state_of(store: Store, stage_id: str, replicate: int) -> State:
    """Return where a run is. One that was broken off is continued by the next start, one that failed is tried again."""
    folder = store.folder(stage_id, replicate)
    if store.finished(stage_id, replicate):
        return State("finished", _age(folder / RESULT))
    if not (folder / CONFIG).exists():
        return State("not begun")
    life = folder / METRICS if (folder / METRICS).exists() else folder / CONFIG
    try:
        with FileLock(folder / LOCK, timeout=0):  # the system frees the lock of a process that is gone
            pass
    except (Timeout, OSError):
        return State("running", _age(life))
    if failure := store.failure(stage_id, replicate):
        return State("failed", _age(folder / FAILURE), str(failure.get("message", "")))
    return State("broken off", _age(life))


def _age(path: Path) -> float:
    return max(0.0, time.time() - path.stat().st_mtime)
