"""Read an output folder: what was asked for last, and how far each run is, from files and locks alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from fame.errors import FameError
from studies.harness.store import CONFIG, FAILURE, LOCK, METRICS, RESULT, SETTING, Store
from studies.setting.asked import Asked, read_asked

STATES = ("finished", "running", "broken off", "failed", "not begun")


class State(NamedTuple):
    """Say where a run is. `age`: seconds since its last sign of life. `message`: of a failure."""

    name: str
    age: float = 0.0
    message: str = ""


def recall(store: Store) -> Asked:
    """Return what OUT/setting.json holds. FameError where there is none, or where it is damaged or of another version."""
    path, mend = store.out / SETTING, "delete it and start the study again"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        why = f"nothing was run there yet (no {SETTING}); name the folder with --out, or run something"
        raise FameError(f"{store.out}: {why}") from None
    except (OSError, ValueError) as error:
        raise FameError(f"{path}: damaged, or not to be read ({error}); {mend}") from None
    return read_asked(value, str(path), mend)


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
