"""Compile a kernel on its first call, and keep it on disk beside the source (or in the user's cache where that is read-only).

It is kept until a file of this folder changes: Numba by itself does not notice a change in another file. With one thread it is
compiled without Numba's thread pool, which costs more than small batches do. Without fast-math, sums run in the order written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
import torch
from numba import carray, prange, types
from numba.extending import intrinsic

__all__ = ["BOOL", "BYTE", "FLOAT", "INDEX", "Kernel", "at", "inline", "kernel", "prange"]


def inline(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile what kernels call. RuntimeError where Numba finds no folder to keep it in."""
    found = numba.njit(cache=True, error_model="numpy", **options)(function)
    file = found._cache._cache_file
    file._source_stamp = file._source_stamp, _sources()
    return found  # type: ignore[no-any-return]


class Kernel:
    """A function over NumPy arrays and numbers, with as many threads as torch uses."""

    def __init__(self, function: Any):
        self.serial = inline(function)
        # under a name of its own: Numba's files on disk are named by function alone, so one would be taken for the other
        twin = FunctionType(function.__code__, function.__globals__)
        twin.__qualname__ = f"{function.__qualname__}_parallel"
        self.parallel = inline(twin, parallel=True)

    def __call__(self, *arguments: Any) -> Any:
        threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        if threads == 1 or numba.config.THREADING_LAYER == "workqueue":  # type: ignore[attr-defined]  # which aborts on two callers
            return self.serial(*arguments)
        numba.set_num_threads(threads)
        return self.parallel(*arguments)


kernel = Kernel


@cache
def _sources() -> str:
    paths = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


# what tells a kernel the type of the numbers at an address
FLOAT, INDEX, BOOL, BYTE = (np.empty(0, kind) for kind in (np.float32, np.int64, np.bool_, np.uint8))


@intrinsic
def _pointer(typing, address, like):  # type: ignore[no-untyped-def]
    found = types.CPointer(like.dtype)

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.inttoptr(arguments[0], context.get_value_type(found))

    return found(address, like), generate


@inline
def at(address: int, count: int, like: Any) -> Any:
    """View `count` numbers of `like`'s type at `address`: handing an array over takes longer than a small layer's arithmetic."""
    return carray(_pointer(address, like), (count,))  # type: ignore[call-arg]
