"""Read an output folder: what was asked for last, and how far each run is, from files and locks alone."""

from __future__ import annotations

import time
from pathlib import Path

from filelock import FileLock, Timeout

from fame.errors import FameError
from studies.harness.store import CONFIG, FAILURE, LOCK, METRICS, RESULT, SETTING, Store
from studies.setting.asked import Asked, read_asked

STATES = ("finished", "running", "broken off", "failed", "not begun")


def recall(store: Store) -> Asked:
    """Return what OUT/setting.json holds. FameError where there is none, or where it is damaged or of another version."""
    path, mend = store.out / SETTING, "delete it and start the study again"
    if not path.exists():
        why = f"nothing was run there yet (no {SETTING}); name the folder with --out, or run something"
        raise FameError(f"{store.out}: {why}")
    if not (value := store.setting()):
        raise FameError(f"{path}: damaged, or not to be read; {mend}")
    return read_asked(value, str(path), mend)


def state_of(store: Store, stage_id: str, replicate: int) -> tuple[str, float, str]:
    """Return a run's state, the seconds since its last sign of life, and the message of a failure."""
    folder = store.folder(stage_id, replicate)
    if store.finished(stage_id, replicate):
        return "finished", _age(folder / RESULT), ""
    if not (folder / CONFIG).exists():
        return "not begun", 0.0, ""
    life = folder / METRICS if (folder / METRICS).exists() else folder / CONFIG
    try:
        with FileLock(folder / LOCK, timeout=0):  # the system frees the lock of a process that is gone
            pass
    except (Timeout, OSError):
        return "running", _age(life), ""
    if failure := store.failure(stage_id, replicate):
        return "failed", _age(folder / FAILURE), str(failure.get("message", ""))
    return "broken off", _age(life), ""


def _age(path: Path) -> float:
    return max(0.0, time.time() - path.stat().st_mtime)
