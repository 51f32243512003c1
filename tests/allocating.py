"""Work of known memory, for the benchmarks' memory account; it runs in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def both(mib: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """torch takes 1.5 times `mib` MiB and holds `mib` of them at most; NumPy takes half of `mib` beside that."""
    half = mib * 2**20 // 2

    def work() -> object:
        kept, passing = torch.ones(half, dtype=torch.uint8), torch.ones(half, dtype=torch.uint8)
        del passing
        return kept, torch.ones(half, dtype=torch.uint8), np.ones(half, dtype=np.uint8)

    return lambda: torch.ones(8), work
