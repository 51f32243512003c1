"""torch.compile of the networks that pretraining calls: optional, and part of a run's identity, as it rounds otherwise.

The modules are compiled in place, so parameters and files keep their names. While torch traces, the fused operations of a CPU and
of a GPU (fame/backbones/chain.py) step aside. The first step takes minutes, and a batch of another shape compiles once more.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import nn

from fame.errors import FameError

BACKEND = "inductor"
GENERATED = "torch._inductor."  # what it writes while it compiles is named as a part of it, too
P = ParamSpec("P")
R = TypeVar("R")


def compile_in_place(*networks: nn.Module) -> None:
    """From its next call on each of them runs compiled; their `state_dict` stays as it is."""
    for network in networks:
        if any(weight.device.type == "cuda" for weight in network.parameters()):
            plain_kernels(network)
        network.compile(backend=BACKEND)


def plain_kernels(network: nn.Module) -> None:
    """3-D kernels (O, C, T, H, W) stored in that order, in place; the parameters stay the same ones.

    With kernels stored channels last (`fast_layout`) inductor of torch 2.11 fails on a GPU: for a kernel of (3, 1, 1) it expects
    other strides of the gradient than `convolution_backward` returns ("expected size 144==144, stride 3==1 at dim=1").
    """
    for part in network.modules():
        if isinstance(part, nn.Conv3d):
            part.weight.data = part.weight.data.contiguous(memory_format=torch.contiguous_format)


def naming_failures(train: Callable[P, R]) -> Callable[P, R]:
    """`train`, with a FameError of one line where torch cannot compile what it compiles (no C++ compiler, an old GPU), or where
    what it has compiled finds tensors other than it was made for."""

    @wraps(train)
    def told(*given: P.args, **named: P.kwargs) -> R:
        try:
            return train(*given, **named)
        except Exception as error:
            known = sys.modules.get("torch._dynamo.exc")  # imported by compiling alone: it takes seconds
            if known is None:
                raise
            cause = " ".join(line.strip() for line in str(error).strip().splitlines()[:2]) or type(error).__name__
            if isinstance(error, known.TorchDynamoException):
                raise FameError(f"torch.compile failed ({cause}): install what it asks for, or leave out --compile") from error
            if isinstance(error, AssertionError) and _in_generated_code(error):
                raise FameError(f"what torch.compile made fails ({cause}): leave out --compile") from error
            raise

    return told


def _in_generated_code(error: Exception) -> bool:
    """Whether it came out of what inductor wrote, or out of inductor itself."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(frame.f_globals.get("__name__")).startswith(GENERATED) for frame in frames)
