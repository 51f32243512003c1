"""torch.compile of the networks that pretraining calls: optional, and part of a run's identity, as it rounds otherwise.

The modules are compiled in place, so parameters and files keep their names. While torch traces, the fused operations of a CPU
(fame/backbones/chain.py) step aside. The first step takes minutes, and a batch of another shape compiles once more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from torch import nn

from fame.errors import FameError

BACKEND = "inductor"
P = ParamSpec("P")
R = TypeVar("R")


def compile_in_place(*networks: nn.Module) -> None:
    """From its next call on each of them runs compiled; their `state_dict` stays as it is."""
    for network in networks:
        network.compile(backend=BACKEND)


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
