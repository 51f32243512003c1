"""Compilation of a kernel on its first call, kept on disk beside the source (or in the user's cache where that is read-only).

It is kept until a file of this room or one that it takes from changes. Numba by itself looks at the kernel's own file alone, and
would go on with what a function of another file said before an update.

A kernel is written once, its outer loop over `prange`. With one thread it is compiled without Numba's thread pool, which costs more
than small batches do; with several, the loop is shared among as many threads as torch uses. No fast-math: results do not depend on
the number of threads, and sums run in the order in which they are written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import torch
from numba import prange

TAKEN_FROM = ("colour", "masks", "smoothing")  # of fame: whose constants stand in kernels
__all__ = ["Kernel", "inline", "kernel", "prange"]


class Kernel:
    """A function over NumPy arrays and numbers, compiled when it is first called."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        update_wrapper(self, function)

    @cached_property
    def serial(self) -> Callable[..., Any]:
        return _kept(numba.njit(cache=True, error_model="numpy")(self.function))

    @cached_property
    def parallel(self) -> Callable[..., Any]:
        # under a name of its own: Numba's files on disk are named by function alone, so one would be taken for the other
        twin = FunctionType(self.function.__code__, self.function.__globals__, self.function.__name__)
        twin.__qualname__ = f"{self.function.__qualname__}_parallel"
        return _kept(numba.njit(cache=True, parallel=True, error_model="numpy")(twin))

    def __call__(self, *arguments: Any) -> Any:
        threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        if threads == 1:
            return self.serial(*arguments)
        numba.set_num_threads(threads)
        return self.parallel(*arguments)


def kernel(function: Callable[..., Any]) -> Kernel:
    """Decorator: see `Kernel`."""
    return Kernel(function)


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for what kernels call, and for what has no loop to share among threads."""
    return _kept(numba.njit(cache=True, error_model="numpy")(function))


def _kept(compiled: Any) -> Callable[..., Any]:
    file = compiled._cache._cache_file
    file._source_stamp = file._source_stamp, _sources()
    return compiled  # type: ignore[no-any-return]


@cache
def _sources() -> str:
    """What this room is made of, and the constants that it takes from the one above."""
    room = Path(__file__).parent
    paths = [*sorted(room.glob("*.py")), *(room.parents[1] / "method" / f"{name}.py" for name in TAKEN_FROM)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
