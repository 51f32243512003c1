"""Compilation of a kernel on its first call, kept on disk beside the source (or in the user's cache where that is read-only).

It is kept until a file of this folder changes. Numba by itself looks at the kernel's own file alone, and would go on with what a
function of another file said before an update.

A kernel is written once, its outer loop over `prange`. With one thread it is compiled without Numba's thread pool, which costs more
than small batches do; with several, the loop is shared among as many threads as torch uses. No fast-math: results do not depend on
the number of threads, and sums run in the order in which they are written.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
import torch
from numba import carray, prange, types
from numba.extending import intrinsic

__all__ = ["BOOL", "BYTE", "FLOAT", "INDEX", "Kernel", "at", "inline", "kernel", "prange"]
log = logging.getLogger(__name__)

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    raise ImportError("NUMBA_DISABLE_JIT is set, and kernels work on addresses, which plain Python cannot read")


class Kernel:
    """A function over NumPy arrays and numbers, compiled when it is first called."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        update_wrapper(self, function)

    @cached_property
    def serial(self) -> Callable[..., Any]:
        return compiled(self.function)

    @cached_property
    def parallel(self) -> Callable[..., Any]:
        # under a name of its own: Numba's files on disk are named by function alone, so one would be taken for the other
        twin = FunctionType(self.function.__code__, self.function.__globals__, self.function.__name__)
        twin.__qualname__ = f"{self.function.__qualname__}_parallel"
        return compiled(twin, parallel=True)

    def __call__(self, *arguments: Any) -> Any:
        threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        if threads == 1 or numba.config.THREADING_LAYER == "workqueue":  # type: ignore[attr-defined]  # which aborts on two callers
            return self.serial(*arguments)
        numba.set_num_threads(threads)
        return self.parallel(*arguments)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Decorator: see `Kernel`."""
    return Kernel(function)


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for what kernels call, and for what has no loop to share among threads."""
    return compiled(function)


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile by Numba; kept on disk, or where no folder can be written compiled anew in every process, which is logged."""
    try:
        found = numba.njit(cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # Numba finds no folder that it may write to
        _warn_once()
        return numba.njit(error_model="numpy", **options)(function)  # type: ignore[no-any-return]
    file = found._cache._cache_file
    file._source_stamp = file._source_stamp, _sources()
    return found  # type: ignore[no-any-return]


@cache
def _warn_once() -> None:
    why = f"neither {Path(__file__).parent} nor the user's cache can be written"
    log.warning("kernels are compiled anew in every process: %s; set NUMBA_CACHE_DIR to a folder that can be", why)


@cache
def _sources() -> str:
    """Return a digest of this folder's code."""
    paths = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


# ---------------------------------------------------------------- memory of tensors, by address

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
    """Return the `count` numbers from `address` on, of the type of `like`, as an array that owns nothing.

    Kernels are handed addresses: handing an array over takes longer than a small layer's arithmetic.
    """
    return carray(_pointer(address, like), (count,))  # type: ignore[call-arg]
