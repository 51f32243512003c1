"""Which tensors the kernels of this package serve, how small ones get to a GPU, and on which one kernels are launched."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

DEVICES = ("cuda",)  # kinds of device; tests add the CPU, where Triton's interpreter stands in for a GPU

# what every kernel is launched with: products and sums are rounded together in some releases of Triton by default, in others not
OPTIONS = {"enable_fp_fusion": True}


def serves(*tensors: Tensor | None) -> bool:
    """Whether all of them (None: not given) lie on a GPU, Triton is installed, and torch.compile is not tracing."""
    for tensor in tensors:
        if tensor is not None and tensor.device.type not in DEVICES:
            return False
    return not torch.compiler.is_compiling() and _triton_is_there()


def on(tensor: Tensor) -> AbstractContextManager[object]:
    """A context in which kernels are launched on the GPU of `tensor`: Triton takes the current one, whatever it is given."""
    if tensor.device.type == "cuda" and tensor.device.index != torch.cuda.current_device():
        return torch.cuda.device(tensor.device)
    return nullcontext()


def carried(tensor: Tensor, device: torch.device | str) -> Tensor:
    """`tensor` on `device`; from pinned memory to a GPU, so that the host does not wait for what the GPU has still to do."""
    if tensor.device.type == "cpu" and torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@cache
def _triton_is_there() -> bool:
    return find_spec("triton") is not None
