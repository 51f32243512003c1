"""Whether torch.compile pays back within a pretraining: measured on the machine, at the sizes of the run.

Each way to compute, eager first, takes the same steps from the same weights on the same random clips, in alternation, so that a
machine that slows down slows all of them. A way is taken where it is faster over the whole pretraining, its compilation included,
and its losses are eager's but for rounding; a way that fails is left out. `python -m fame.training.payback DEVICE` does this in a
process of
its own, whose memory is free again afterwards: a configuration comes in, a list of `Taken` goes out, both JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch

from fame.backbones import build_encoder, fast_layout
from fame.config import Pretrain
from fame.method.moco import MomentumContrast
from fame.training import precision as arithmetic
from fame.training.descent import ContrastStep, Descent
from fame.training.optimiser import build_optimiser

WAYS = (False, True)  # whether compiled; eager first
WARM = 2  # steps in which everything is compiled: the second meets a full queue and a moved encoder
STEPS = 10  # timed, of each way
LONGEST = 60.0  # seconds of timed steps together, after which no further round begins
APART = 0.05  # nats between a way's loss and eager's, in any step: rounding adds up over steps (tests/training/test_compilation.py)
WORTH = 0.95  # of eager's whole time: what saves less is not worth another identity


@dataclass
class Taken:
    """One way. `first`: seconds of the first `WARM` steps together; `step`: median seconds of one after them."""

    way: bool
    first: float = 0.0
    step: float = 0.0
    losses: list[float] = field(default_factory=list)  # of all steps
    failed: str = ""  # why it cannot be taken, in one line

    def total(self, steps: int) -> float:
        """Seconds of so many steps."""
        return self.first + max(0, steps - WARM) * self.step


def best(found: Sequence[Taken], steps: int) -> bool:
    """The way that pays over so many steps: the first one (eager), unless another is faster by more than a twentieth and agrees."""
    eager = found[0]
    sound = [one for one in found[1:] if not one.failed and apart(one, eager) <= APART]
    quickest = min(sound, key=lambda one: one.total(steps), default=eager)
    return quickest.way if quickest.total(steps) < WORTH * eager.total(steps) else eager.way


def apart(one: Taken, eager: Taken) -> float:
    """The largest difference between their losses in a step, in nats."""
    return max((abs(a - b) for a, b in zip(one.losses, eager.losses, strict=False)), default=float("inf"))


def measure(config: Pretrain, device: torch.device) -> list[Taken]:
    """Every way of `WAYS`; of a way that fails what failed. Raises what eager raises."""
    arithmetic.set_threads(config.threads)
    shape = (config.optim.batch // config.contrast.ranks, 3, config.clip.frames, config.clip.size, config.clip.size)
    drawn = torch.Generator().manual_seed(0)
    views = [torch.rand(shape, generator=drawn).to(device) for _ in range(2)]
    found = [Taken(way) for way in WAYS]
    steps = [_step(config, one.way, device) for one in found]
    for one, step in zip(found, steps, strict=True):
        one.first = sum(_timed(step, views, one) for _ in range(WARM))
    began = time.perf_counter()
    times: list[list[float]] = [[] for _ in found]
    while len(times[0]) < STEPS and time.perf_counter() - began < LONGEST:
        for one, step, seconds in zip(found, steps, times, strict=True):
            seconds.append(_timed(step, views, one))
    for one, seconds in zip(found, times, strict=True):
        one.step = statistics.median(seconds)
    return found


def _step(config: Pretrain, way: bool, device: torch.device) -> ContrastStep:
    encoder = build_encoder(config.backbone, 0)
    model = fast_layout(MomentumContrast(encoder, config.contrast.moco, 0, config.accumulate).to(device)).train()
    dtype = arithmetic.resolve(config.precision, device)
    optimiser = build_optimiser(config.optim, model.query.parameters())
    return ContrastStep(model, Descent(optimiser, arithmetic.scaler(dtype, device)), dtype, device, way)


def _timed(step: ContrastStep, views: list[torch.Tensor], one: Taken) -> float:
    """Seconds of one step. Where it fails that is noted, and no further step taken; an error of eager's is the caller's."""
    began = time.perf_counter()
    if not one.failed:
        try:
            loss, _ = step(*views)
            one.losses.append(float(loss))  # waits for the device
        except Exception as error:
            if not one.way:
                raise
            one.failed = " ".join(str(error).split())[:200] or type(error).__name__
    return time.perf_counter() - began


def main(arguments: list[str]) -> None:
    """The device's name is the argument; the configuration comes on standard input."""
    config = Pretrain.model_validate_json(sys.stdin.read())
    sys.stdout.write(json.dumps([asdict(one) for one in measure(config, torch.device(arguments[0]))]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
