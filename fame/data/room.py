"""Room on the disk: what does not fit, or may not be written, is one clear line, and what was written before it stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fame.errors import FameError

_SPARE = 64 << 20  # bytes left free on the disk beside the store


@contextmanager
def writing(place: Path, what: str) -> Iterator[None]:
    """Around whatever is written to `place`: an OSError becomes a FameError that says `what` is not there, and the mend."""
    try:
        yield
    except OSError as error:
        mend = "make room, mend its permissions, or choose another --out, and run again: what is written stays"
        raise FameError(f"{place}: {what} cannot be written ({error.strerror or error}); {mend}") from None


def check_space(folder: Path, needed: int) -> None:
    """FameError where the disk has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise FameError(
            f"{folder}: the prepared videos need {needed} bytes ({needed / 2**30:.2f} GiB) and {free} bytes are free; "
            "make room, choose another --out, or a smaller stored size (real videos: --codec jpeg)"
        )
