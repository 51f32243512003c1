"""torch.compile of the networks that pretraining calls: optional, and part of a run's identity, as it rounds otherwise.

The modules are compiled in place, so parameters and files keep their names. While torch traces, the fused operations of a CPU
(fame/backbones/chain.py) step aside. The first step takes minutes, and a batch of another shape compiles once more. With "graphs"
a GPU replays each network as CUDA graphs, so that a step of small kernels does not wait for Python; that path has not been run on
a GPU by us so far, and is taken by itself only where fame/payback.py has seen it agree with eager and be faster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import nn

from fame.config import Compiled
from fame.errors import FameError

BACKEND = "inductor"
P = ParamSpec("P")
R = TypeVar("R")


def compile_in_place(*networks: nn.Module, graphs: bool = False) -> None:
    """From its next call on each of them runs compiled, with `graphs` as CUDA graphs; their `state_dict` stays as it is."""
    for network in networks:
        if graphs:
            network.compile(backend=BACKEND, mode="reduce-overhead")  # torch's name for capturing CUDA graphs
        else:
            network.compile(backend=BACKEND)


def begin_step(compiled: Compiled) -> None:
    """Before each optimisation step: what graphs have written in the step before may be written over from here on."""
    if compiled == "graphs":
        torch.compiler.cudagraph_mark_step_begin()


def check_graphs(compiled: Compiled, device: str) -> None:
    """FameError where CUDA graphs are asked of a device (cpu, cuda, cuda:1) that has none."""
    if compiled == "graphs" and not device.startswith("cuda"):
        raise FameError(f"--compile graphs: CUDA graphs need a GPU, and the device is {device}; take yes, auto or no here")


def naming_failures(train: Callable[P, R]) -> Callable[P, R]:
    """`train`, with a FameError of one line where torch cannot compile what it compiles (no C++ compiler, an old GPU)."""

    @wraps(train)
    def told(*given: P.args, **named: P.kwargs) -> R:
        try:
            return train(*given, **named)
        except Exception as error:
            known = sys.modules.get("torch._dynamo.exc")  # imported by compiling alone: it takes seconds
            if known is None or not isinstance(error, known.TorchDynamoException):
                raise
            cause = " ".join(line.strip() for line in str(error).strip().splitlines()[:2]) or type(error).__name__
            raise FameError(f"torch.compile failed ({cause}): install what it asks for, or leave out --compile") from error

    return told
