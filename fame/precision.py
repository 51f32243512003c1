"""Arithmetic of a run: 32-bit, or bfloat16 where the processor has units for it.

`auto` is resolved on the machine, and what came is written in the run's notes: without such units bfloat16 is emulated on a CPU
and many times slower than 32-bit, so it must be asked for by name there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from fame.config import Precision


def has_bf16_units(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 in hardware (a GPU of compute capability 8 on, a CPU with AMX or AVX512-BF16)."""
    if device.type == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    # the queries are private to torch and may be renamed: absent means no
    queries = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return any(query() for query in queries if query is not None)


def resolve(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The data type of autocast, or None for plain 32-bit arithmetic."""
    if precision == "bf16" or (precision == "auto" and has_bf16_units(device)):
        return torch.bfloat16
    return None


def autocast(dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager[object]:
    """A context in which forward passes run in `dtype`; weights, losses and optimiser stay in 32 bits."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def name(dtype: torch.dtype | None) -> str:
    """What stands in the notes of a run: `bf16` or `fp32`."""
    return "fp32" if dtype is None else "bf16"


def set_threads(threads: int) -> None:
    """Threads within an operation. It is part of a run's identity, because sums of floats depend on it."""
    if threads < 1:
        raise ValueError(f"threads = {threads}: at least one is needed")
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
