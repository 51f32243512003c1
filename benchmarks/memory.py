"""Extra memory of a piece of work: the peak above what was there before, its result included.

On a GPU torch counts it. On a CPU it is taken from the system (peak resident size) in a fresh process, so that what compiled
kernels and libraries allocate counts as tensors do, and what earlier work left in the heap does not serve for free:

    python -m benchmarks.memory MODULE:FUNCTION THREADS ARGUMENTS    (ARGUMENTS as JSON; prints bytes)

FUNCTION(**arguments) returns `(warm, work)`: `warm` does the same on small tensors, which loads and compiles what is needed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Work
from fame.errors import FameError

PAGE = 4096
ROOT = Path(__file__).resolve().parents[1]
# blocks from 64 KiB on come from the system one by one and go back at once: then resident memory is what lives, page for page
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_TOP_PAD_": "0"}


def extra_on_cpu(entry: str, threads: int, **arguments: Any) -> float:
    """Bytes; `entry` is "module:function". FameError where the process fails, or the system does not tell its memory."""
    status = Path("/proc/self/status")
    if not status.exists() or "VmHWM:" not in status.read_text():
        raise FameError("this system does not tell a process's peak memory (VmHWM in /proc/self/status)")
    command = [sys.executable, "-m", "benchmarks.memory", entry, str(threads), json.dumps(arguments)]
    environment = {**os.environ, **MALLOC}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if found.returncode:
        raise FameError(f"memory of {entry} could not be measured: {(found.stderr.strip().splitlines() or ['no message'])[-1]}")
    return float(found.stdout.split()[-1])


def extra_on_gpu(work: Work, device: torch.device) -> float:
    """Bytes, of the allocator's tensors."""
    work()
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return float(torch.cuda.max_memory_allocated(device) - before)


def peak_above_now(work: Work) -> int:
    """Bytes by which `work` lifts the process's resident size above what it is now."""
    ballast = _fill_to_peak()
    before = _peak()
    kept = work()
    found = _peak() - before
    del kept, ballast
    return found


def _fill_to_peak() -> list[np.ndarray[Any, Any]]:
    """Touched memory that brings the resident size up to its own past peak: only from there on does the peak tell anything."""
    _trim()
    ballast = []
    while (missing := _peak() - _resident()) > 16 * PAGE:
        ballast.append(np.ones(missing, dtype=np.uint8))
    return ballast


def _peak() -> int:
    return _status("VmHWM")  # not getrusage's: that one inherits the peak of the process that started this one


def _resident() -> int:
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _trim() -> None:
    """Ask the C library to give free memory back, where it knows how (glibc)."""
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def main(entry: str, count: str, arguments: str) -> None:
    torch.set_num_threads(int(count))
    module, _, name = entry.partition(":")
    warm, work = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    warm()
    print(peak_above_now(work))


if __name__ == "__main__":
    main(*sys.argv[1:])
