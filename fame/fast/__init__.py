"""Choose compiled functions by operation and kind of device: Numba's (the optional extra `fast`) for CPUs, Triton's for GPUs.

Each equals its plain torch twin in `fame/method/` or `fame/backbones/` but for rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)

TABLE: dict[str, dict[str, str]] = {
    "mask": {"cpu": "fame.fast.cpu.masks:keep_highest"},
    "crop": {"cpu": "fame.fast.cpu.crops:crop"},
    "jitter": {"cpu": "fame.fast.cpu.colour:jitter"},
    # convolution, batch norm, residual, ReLU
    "unit": {"cpu": "fame.fast.cpu.unit:run", "cuda": "fame.fast.gpu.unit:run"},
}


def choose(operation: str, *tensors: Tensor | None) -> Callable[..., Any] | None:
    """Return the function of `operation` for the device of all `tensors`; None where none serves or torch.compile is tracing."""
    if torch.compiler.is_compiling():
        return None
    kinds = {tensor.device.type for tensor in tensors if tensor is not None}
    place = TABLE[operation].get(kinds.pop()) if len(kinds) == 1 else None
    if place is None:
        return None
    module, _, name = place.partition(":")
    return getattr(_loaded(module), name, None)


@cache
def _loaded(module: str) -> ModuleType | None:
    """Import when first wanted: with the modules come Numba, which takes a second, and Triton."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("fame"):
            raise
        return None  # Numba or Triton is not installed
    except Exception as error:
        _warn(str(error))
        return None


@cache
def _warn(why: str) -> None:
    log.warning(
        "the fast paths cannot be compiled (%s): plain torch computes instead, to the same numbers but slower",
        why,
    )
