"""The program in processes of its own, as from a terminal."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def started(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """Start `reproduce-paper` where `words` begin with an option, else `run_study.py VERB ...`."""
    reproducing = words[0].startswith("-")
    program = ["-c", "import run_study; run_study.reproduce_paper()"] if reproducing else [str(ROOT / "run_study.py")]
    return subprocess.Popen(
        [sys.executable, *program, *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(true: Callable[[], object], seconds: float = 120) -> None:
    """Wait until `true()`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ran(*words: str, cwd: Path, code: int = 0) -> tuple[str, str]:
    """Return standard output and error of a program that ends with this exit code."""
    program = started(*words, cwd=cwd)
    out, err = program.communicate(timeout=1200)
    assert program.returncode == code and "Traceback" not in err, err
    return out, err


def free_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])
