"""What a run was computed on and with: recorded beside its result, never part of a cell's identity."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fame.errors import FameError

PACKAGES = ("torch", "torchvision", "av", "numpy", "scipy", "pandas", "pydantic")
CPUINFO = Path("/proc/cpuinfo")
UNITS = {"amx_bf16": "AMX-BF16", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX-512", "avx2": "AVX2"}  # widest first
CUDA_JOBS = 8  # runs that share one GPU: each is a narrow network that fills a part of it


@cache
def cores() -> int:
    """Processors this process may use: the affinity mask and, in a container, its CPU quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no quota ("max") or no such file
    return count


def processor() -> str:
    """Its model and, of x86 processors, the widest vector or matrix units, which a virtual machine's model name hides."""
    flags = _told("flags").split()
    units = next((name for flag, name in UNITS.items() if flag in flags), "")
    return f"{model()} ({units})" if units else model()


def model() -> str:
    """The processor's model name, or what the platform says of it."""
    return _told("model name") or platform.processor() or platform.machine()


def _told(field: str) -> str:
    """What Linux says of the first processor; "" where it says nothing."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")


def memory() -> int:
    """Bytes of memory of the machine; 0 where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def hardware(device: str = "cpu") -> dict[str, Any]:
    """Processor, cores, memory, system, device, and the GPU's name where the device is one. `machine` tells equal machines."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": cores(),
        "memory_gib": round(memory() / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
    }
    if device.startswith("cuda"):
        import torch

        facts["gpu"] = torch.cuda.get_device_name(device)
    facts["machine"] = machine(device)
    return facts


@cache
def machine(device: str = "cpu") -> str:
    """8 hex that are equal where times can be compared: same processor (beside a GPU its model), cores, kind of device."""
    kind = device.partition(":")[0]
    name = processor() if kind == "cpu" else model()
    return hashlib.sha256(f"{name}/{cores()}/{platform.machine()}/{kind}".encode()).hexdigest()[:8]


@cache
def versions() -> dict[str, str]:
    """Python and the packages that a number depends on, as installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def commit() -> str:
    """The git commit of this code, with `-dirty` where files were changed since; `unknown` outside a repository."""
    here = Path(__file__).resolve().parent
    try:
        head = _git(here, "rev-parse", "HEAD")
        return head + ("-dirty" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(folder: Path, *words: str) -> str:
    found = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True)
    return found.stdout.strip()


def resolve_device(device: str) -> str:
    """`auto` becomes `cuda` where there is one. torch is asked only where a driver is installed: its import takes seconds."""
    name = device.partition(":")[0]
    if name not in ("auto", "cpu", "cuda"):
        raise FameError(f"unknown device {device!r}; the devices are auto, cpu and cuda (or cuda:0, cuda:1, ...)")
    if device == "cpu" or (device == "auto" and not _driver()):
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
    """Runs side by side: one a core; on a GPU at most CUDA_JOBS, which share it."""
    return min(cores(), CUDA_JOBS) if device.startswith("cuda") else cores()


def _driver() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists() or sys.platform == "win32"
