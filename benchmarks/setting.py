"""How a benchmark is asked to measure: on what, how often, how large."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmarks.limits import Limits, measure_limits
from studies.harness.hardware import cores


@dataclass
class Setting:
    """One call of the command. `tiny`: sizes for tests, a second or two a benchmark; their numbers mean nothing.

    `quick`: fewer rounds and smaller sizes; `study` and `before`: finished output folders, after and before a change.
    """

    device: torch.device
    rounds: int
    folder: Path  # for what is rendered and run
    quick: bool = False
    tiny: bool = False
    study: Path | None = None
    before: Path | None = None
    _limits: dict[int, Limits] = field(default_factory=dict, repr=False)

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def small(self) -> bool:
        return self.quick or self.tiny

    @property
    def threads(self) -> int:
        """Of measurements on two cores."""
        return min(2, cores())

    def limits(self, count: int) -> Limits:
        """The machine's, with `count` threads; measured once."""
        if count not in self._limits:
            with threads(count):
                self._limits[count] = measure_limits(self.device, small=self.tiny)
        return self._limits[count]

    @property
    def limits_measured(self) -> list[Limits]:
        return [self._limits[count] for count in sorted(self._limits)]

    @property
    def elsewhere(self) -> str:
        """Why what belongs to the other kind of device is not measured."""
        return f"needs --device {'cpu' if self.cuda else 'cuda'}"

    @property
    def why_not(self) -> str:
        """Why no target is judged at these sizes; empty where they are the targets' own."""
        return "these sizes are not the target's" if self.small else ""


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch (and the kernels that take their number from it) with `count` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
