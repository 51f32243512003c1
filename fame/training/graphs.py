"""Replay a function of fixed shapes as a CUDA graph, so that a step of many small kernels does not wait for Python's launches."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

PLAIN = 3  # calls before a graph is captured


class Replayed:
    """Run `work(*tensors) -> tensors` from its fourth call on as a CUDA graph; warn where it cannot be captured.

    What `work` reads beside its arguments, and what it changes, has to stay where it is in memory. It must not wait for the device,
    and what it does in Python happens in the plain calls and in the capture alone.
    """

    def __init__(self, work: Callable[..., tuple[Tensor, ...]], device: torch.device) -> None:
        self.work, self.stream = work, torch.cuda.Stream(device)
        self.calls, self.possible = 0, True
        self.graph: torch.cuda.CUDAGraph | None = None
        self.given: tuple[Tensor, ...] = ()
        self.made: tuple[Tensor, ...] = ()

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        if self.graph is None and self.possible and self.calls >= PLAIN:
            self._capture(given)
        self.calls += 1
        if self.graph is None:
            return self._plain(given)
        for kept, new in zip(self.given, given, strict=True):
            kept.copy_(new)
        self.graph.replay()
        return tuple(one.clone() for one in self.made)  # the next replay overwrites what this one made

    def _plain(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """On the stream that will be captured, since autograd remembers on which one it met a weight."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            made = self.work(*given)
        current.wait_stream(self.stream)
        return made

    def _capture(self, given: tuple[Tensor, ...]) -> None:
        graph = torch.cuda.CUDAGraph()
        self.given = tuple(one.clone() for one in given)
        try:
            # thread_local: clips are read and pinned by another thread meanwhile
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self.made = self.work(*self.given)
        except RuntimeError as error:
            self.possible = False
            cause = str(error).strip().partition("\n")[0]
            warnings.warn(
                f"steps are launched kernel by kernel, as no CUDA graph could be made of one ({cause})",
                stacklevel=2,
            )
        else:
            self.graph = graph
