"""Memory of tensors as arrays inside kernels, by address: handing an array over takes longer than a small layer's arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from fame.fast.cpu.compiled import inline

# what tells a kernel the type of the numbers at an address
FLOAT, INDEX, BOOL = (np.empty(0, kind) for kind in (np.float32, np.int64, np.bool_))


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
