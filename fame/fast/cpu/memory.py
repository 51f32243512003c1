"""Memory of tensors as arrays inside kernels, by address: handing an array over takes longer than a small layer's arithmetic.

bfloat16 travels as uint16, which NumPy knows; `load` and `store` go between it and 32-bit floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray, types
from numba.extending import intrinsic, overload

from fame.fast.cpu.compiled import inline

# what tells a kernel the type of the numbers at an address
LIKE = {torch.float32: np.empty(0, np.float32), torch.bfloat16: np.empty(0, np.uint16)}
FLOAT = LIKE[torch.float32]
INDEX, BOOL, BYTE, DOUBLE = (np.empty(0, kind) for kind in (np.int64, np.bool_, np.uint8, np.float64))


@intrinsic
def _pointer(typing, address, like):  # type: ignore[no-untyped-def]
    found = types.CPointer(like.dtype)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(found))

    return found(address, like), generate


@inline
def at(address: int, count: int, like: Any) -> Any:
    """The `count` numbers from `address` on, of the type of `like`: an array that owns nothing."""
    return carray(_pointer(address, like), (count,))  # type: ignore[call-arg]


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
