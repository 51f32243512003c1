"""Choose the arithmetic of a run: 32-bit on a CPU; on a GPU bfloat16 where it has units for it, float16 where it is asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from fame.config import Precision
from fame.errors import FameError

NAMES = {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}  # in the notes of a run


def has_bf16_units(device: torch.device) -> bool:
    """Return whether `device` is a GPU that multiplies bfloat16 in hardware (compute capability 8 on)."""
    return device.type == "cuda" and torch.cuda.is_available() and torch.cuda.get_device_capability(device)[0] >= 8


def resolve(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return the data type of autocast, or None for plain 32-bit arithmetic. FameError for 16 bits on anything but a GPU."""
    check(precision, device.type)
    if precision == "fp16":
        return torch.float16
    return torch.bfloat16 if precision == "bf16" or (precision == "auto" and has_bf16_units(device)) else None


def check(precision: Precision, device: str) -> None:
    """FameError where a kind of device (cpu, cuda, cuda:1) does not serve `precision`."""
    if precision in ("bf16", "fp16") and not device.startswith("cuda"):
        raise FameError(f"precision {precision} is served by GPUs alone, and the device is {device}: take --precision fp32 or auto")


def scaler(dtype: torch.dtype | None, device: torch.device) -> torch.amp.GradScaler:
    """Return what scales the loss in float16, where small gradients would vanish; it does nothing for other types."""
    return torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)


def autocast(dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager[object]:
    """A context in which forward passes run in `dtype`; weights, losses and optimiser stay in 32 bits."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)
