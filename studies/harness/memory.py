"""Measure how much memory a run takes; what runs of its kind took is asked of schedulers for those to come."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PROCESS = Path("/proc/self")


def forget_peak(device: torch.device) -> None:
    """Let `peak` count from here on, in a process that has done other runs."""
    with suppress(OSError):
        (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device, ranks: int) -> dict[str, int]:
    """Return bytes: `host`, the most that this process had resident since `forget_peak`; `gpu`, the most that torch allocated.

    What earlier runs left in the process counts in `host`. Files that are mapped now (videos, libraries) do not: the system takes
    them back where memory is short. The largest of several ranks is added for each; their `gpu` is not known here. Empty
    without /proc.
    """
    found: dict[str, int] = {}
    with suppress(OSError, KeyError):
        kilobytes = dict(re.findall(r"^(VmHWM|RssFile):\s*(\d+)", (PROCESS / "status").read_text(encoding="ascii"), re.MULTILINE))
        of_ranks = ranks * getrusage(RUSAGE_CHILDREN).ru_maxrss if ranks > 1 else 0
        found["host"] = 1024 * (int(kilobytes["VmHWM"]) - int(kilobytes["RssFile"]) + of_ranks)
    if device.type == "cuda" and ranks == 1:
        import torch

        found["gpu"] = torch.cuda.max_memory_allocated(device)
    return found
