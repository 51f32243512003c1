"""Run the hot loops as Triton kernels on GPUs; each has its plain torch twin, which is the definition, outside this package.

On a machine without a GPU Triton's interpreter runs them on the CPU, slowly, for tests (tests/conftest.py).
"""

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
