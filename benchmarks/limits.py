"""The machine's own limits, measured: bytes a second that its memory moves, operations a second that its units do.

No program is faster than the bytes it must move over the one, or the operations it must do over the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.timing import Timings, alternate
from fame.training.precision import has_bf16_units

ROUNDS = 7


@dataclass(frozen=True)
class Limits:
    """`copy` counts bytes read and bytes written; `matmul`: multiplications and additions, by type (fp32, tf32, bf16)."""

    device: str
    threads: int
    copy: float  # bytes/s
    read: float  # bytes/s
    matmul: dict[str, float]  # operations/s

    def moving(self, read: float, written: float) -> float:
        """Least seconds for so many bytes read, and so many read and written elsewhere: `written` counts one way."""
        return read / self.read + 2 * written / self.copy


def measure_limits(device: torch.device, *, small: bool = False) -> Limits:
    """With the threads that torch has now. Takes the best of some rounds: a limit is what was reached once."""
    count = (1 << 16) if small else (1 << 26) if device.type == "cpu" else (1 << 29)  # float32: 256 MiB, beyond any cache; 2 GiB
    source = torch.ones(count, device=device)
    target = torch.empty_like(source)
    found = alternate({"copy": lambda: target.copy_(source), "read": source.sum}, ROUNDS, device=device)
    moved = 4 * count
    side = 128 if small else 2048 if device.type == "cpu" else 8192
    without = min(side, 256)  # a processor without units for a type would need a minute a product
    kinds = {
        "fp32": (side, torch.float32, False),
        "bf16": (side if has_bf16_units(device) else without, torch.bfloat16, False),
    }
    if device.type == "cuda":
        kinds["tf32"] = (side, torch.float32, True)
    rates = {name: 2 * kind[0] ** 3 / _matmul(*kind, device) for name, kind in kinds.items()}
    return Limits(str(device), torch.get_num_threads(), 2 * moved / _best(found, "copy"), moved / _best(found, "read"), rates)


def _matmul(side: int, dtype: torch.dtype, tf32: bool, device: torch.device) -> float:
    """Best seconds of one product of two square matrices."""
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        return _best(alternate({"product": lambda: left @ right}, ROUNDS, device=device, limit=5), "product")
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _best(found: Timings, name: str) -> float:
    return max(min(found.seconds[name]), 1e-9)
