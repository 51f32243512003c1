"""Launch Triton kernels: the options of every launch, and the GPU it goes to."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

# products and sums are rounded together in some releases of Triton by default, in others not
OPTIONS = {"enable_fp_fusion": True}


def on(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context in which kernels are launched on the GPU of `tensor`: Triton takes the current one otherwise."""
    if tensor.device.type == "cuda" and tensor.device.index != torch.cuda.current_device():
        return torch.cuda.device(tensor.device)
    return nullcontext()
