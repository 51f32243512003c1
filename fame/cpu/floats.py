"""32-bit floats from stored ones and back, inside kernels: bfloat16 travels as uint16, which NumPy knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor


def flat(tensor: Tensor) -> NDArray[Any]:
    """The memory of a dense tensor, whatever its layout, as one axis; bfloat16 as uint16. Shares memory."""
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.view(torch.uint16)
    return torch.as_strided(tensor, (tensor.numel(),), (1,)).numpy()


def load(stored: Any) -> Any:
    """A stored number as float32."""
    raise NotImplementedError("called from kernels only")


def store(number: Any, like: Any) -> Any:
    """A float32 in the type of `like`, rounded to nearest even."""
    raise NotImplementedError("called from kernels only")


@overload(load, inline="always")
def _load(stored):  # type: ignore[no-untyped-def]
    if stored == types.uint16:
        return lambda stored: np.uint32(np.uint32(stored) << np.uint32(16)).view(np.float32)
    return lambda stored: stored


@overload(store, inline="always")
def _store(number, like):  # type: ignore[no-untyped-def]
    if like == types.uint16:

        def rounded(number, like):  # type: ignore[no-untyped-def]
            bits = np.float32(number).view(np.uint32)
            return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))

        return rounded
    return lambda number, like: np.float32(number)
