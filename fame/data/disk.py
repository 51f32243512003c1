"""Write to disk: locks between processes, and one clear line where something cannot be written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fame.errors import FameError

log = logging.getLogger(__name__)


@contextmanager
def writing(place: Path, what: str) -> Iterator[None]:
    """Turn an OSError of whatever is written to `place` into a FameError that names `what` and the mend."""
    try:
        yield
    except OSError as error:
        mend = "make room, mend its permissions, or choose another --out, and run again: what is written stays"
        raise FameError(f"{place}: {what} cannot be written ({error.strerror or error}); {mend}") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock file next to `folder`; the system frees a killed process's lock. FameError where it cannot be written."""
    with writing(folder.parent, "its lock file"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(timeout=1)
        except Timeout:
            log.warning("another process is at work on %s; waiting for it", folder)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
