"""Write to disk: locks between processes, a check of the free space, and one clear line where something cannot be written."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fame.errors import FameError

_SPARE = 64 << 20  # bytes left free on the disk

log = logging.getLogger(__name__)


@contextmanager
def writing(place: Path, what: str) -> Iterator[None]:
    """Turn an OSError of whatever is written to `place` into a FameError that names `what` and the mend."""
    try:
        yield
    except OSError as error:
        mend = "make room, mend its permissions, or choose another --out, and run again: what is written stays"
        raise FameError(f"{place}: {what} cannot be written ({error.strerror or error}); {mend}") from None


def check_space(folder: Path, needed: int) -> None:
    """Raise FameError where the disk of `folder` has no room for `needed` bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise FameError(
            f"{folder}: the decoded videos need {needed} bytes ({needed / 2**30:.2f} GiB) and {free} bytes are free; "
            "make room, choose another --out, or a smaller stored size (real videos: --codec jpeg)"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock file next to `folder`; a second process logs that it waits. FameError where that file cannot be written.

    The system frees the lock of a killed process.
    """
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
