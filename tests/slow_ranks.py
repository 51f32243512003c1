"""A pretraining of two ranks, slow enough to be killed between two epochs. `work(folder)` is what the killed process runs.

Each rank imports this module, and so saves its state after every epoch.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from torch import Tensor

import fame.backbones.checkpoint
from fame.config import Merge, Optim, Pretrain
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, fake_run
from tests.training.test_distributed import config

fame.backbones.checkpoint.EVERY = 0.0


class Slow(FakeVideos):
    """Videos that take their time after the first epoch's worth of them."""

    read = 0

    def clips(self, *given: Any) -> Tensor:
        self.read += 1
        time.sleep(0.5 if self.read > 4 else 0)
        return super().clips(*given)


def slow() -> Slow:
    return Slow(classes=2, per_class=6, frames=8, size=24, counterfactual=False)


def long() -> Pretrain:
    """Everything that several ranks keep in step: shuffles over ranks and pieces, orders and backgrounds of their own."""
    return config(optim=Optim(kind="adamw", lr=1e-3, batch=8, epochs=4), merge=Merge(), accumulate=2)


def work(folder: str) -> None:
    pretrain(long(), fake_run(Path(folder), slow()))
