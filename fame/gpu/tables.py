"""Tables of a few numbers a clip that kernels read: found on the host, copied once, and never waited for."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def carried(table: NDArray[Any], device: torch.device) -> Tensor:
    """The table on `device`, of the same shape and type; to a GPU from pinned memory, so that the host goes on at once."""
    given = torch.from_numpy(table)
    if device.type == "cuda":
        return given.pin_memory().to(device, non_blocking=True)
    return given.to(device)
