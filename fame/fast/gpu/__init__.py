"""The hot loops as Triton kernels for GPUs; each has its plain torch twin, which is the definition, outside this package.

Triton comes with torch's builds for GPUs. It is imported when a kernel is first wanted, never by `import fame`. On a machine
without a GPU its interpreter runs the same kernels on the CPU, slowly: so tests compare them with their twins (tests/conftest.py).
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
