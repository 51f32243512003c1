"""Describe what a run is computed on and with: kept in its result, never part of a stage's identity."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fame.errors import FameError

PACKAGES = ("torch", "torchvision", "av", "numpy", "scipy", "pandas", "pydantic")
CUDA_JOBS = 8  # runs that share one GPU: each is a narrow network that fills a part of it


@cache
def cores() -> int:
    """Return how many processors this process may use: by the affinity mask and, in a container, by its CPU quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return count  # no quota ("max") or no such file


def processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hardware(device: str = "cpu") -> dict[str, Any]:
    """Return processor, cores, system, device and the GPU of one; `machine` is equal for equal machines."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
        "machine": machine(device),
    }
    if device.startswith("cuda"):
        import torch

        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


@cache
def machine(device: str = "cpu") -> str:
    """Return 8 hex that are equal where times can be compared: same processor, cores and kind of device."""
    kind = device.partition(":")[0]
    return hashlib.sha256(f"{processor()}/{cores()}/{platform.machine()}/{kind}".encode()).hexdigest()[:8]


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a number depends on."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


@cache
def commit() -> str:
    """Return the git commit of this code, with `-dirty` where files were changed since; `unknown` outside a repository."""
    words = [
        "git",
        "-C",
        str(Path(__file__).resolve().parent),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty",
        "--exclude=*",
    ]
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def resolve_device(device: str) -> str:
    """Return the device, `auto` resolved. torch is asked only where a driver is installed: its import takes seconds. FameError."""
    name = device.partition(":")[0]
    if name not in ("auto", "cpu", "cuda"):
        raise FameError(f"unknown device {device!r}; the devices are auto, cpu and cuda (or cuda:0, cuda:1, ...)")
    driver = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists() or sys.platform == "win32"
    if device == "cpu" or (device == "auto" and not driver):
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        if device == "auto":
            return "cpu"
        raise FameError(f"--device {device}: torch finds no usable GPU here; take --device cpu, or install a torch build with CUDA")
    index = device.partition(":")[2]
    if index and not (index.isdigit() and int(index) < torch.cuda.device_count()):
        raise FameError(f"--device {device}: there are {torch.cuda.device_count()} GPUs here, counted from cuda:0")
    return "cuda" if device == "auto" else device


def default_jobs(device: str) -> int:
    """Return how many runs go side by side: one a core; on a GPU at most CUDA_JOBS, which share it."""
    return min(cores(), CUDA_JOBS) if device.startswith("cuda") else cores()
