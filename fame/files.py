"""Write files atomically: a reader sees the old file or the new one, whole. Compute their checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a neighbour of `path`, flush it to disk, then rename: a reader sees the old file or the new one, whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """`value` as JSON at `path`, atomically."""
    write_atomically(
        path,
        lambda beside: beside.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8"),
    )


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object at `path`; empty where there is none that is whole."""
    with suppress(OSError, ValueError):
        value = json.loads(path.read_text(encoding="utf-8"))
        return value if isinstance(value, dict) else {}
    return {}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
