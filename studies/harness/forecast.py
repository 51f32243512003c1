"""How long a run takes: told before anything starts, corrected by what runs of its kind really took on this machine.

A stage's time is modelled as pixels times seconds a pixel (measured, below) and scaled by what this machine has shown. The first
estimate on a new machine is therefore rough, and every finished run makes the next one better.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fame.config import (
    Activation,
    Backbone,
    Clip,
    Data,
    File,
    Finetune,
    Kernels,
    Masks,
    MoCoObjective,
    Pretrain,
    Probe,
    Random,
    Retrieval,
    Supervised,
)
from studies.harness.executors import Task
from studies.harness.hardware import machine
from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.scales import staged_sizes

# Seconds a megapixel (frames x height x width of all clips / 1e6) on one core of a 2.x GHz server processor with AVX2, fp32.
FORWARD = {"r2plus1d_18": 10.0, "r3d_18": 8.0, "s3d": 4.0, "i3d": 3.0, "c3d": 11.0}
NARROW = (0.01, 0.005)  # the narrow network: constant, and per unit of width
AUGMENTING = 0.015  # crop, colour, merge: a view
TRAINING = 3.0  # forward and backward, in forwards
MASKING = 0.5  # the analysis of masks, all variants
# the same on an NVIDIA H200, from steps of 32 (I3D: 16) clips in bfloat16; the narrow network, in 32 bits, waits for the host
FORWARD_ON_GPU = {"r2plus1d_18": 0.0023, "i3d": 0.0009}
NARROW_ON_GPU = 0.01
SCARCE = 1 / 4000  # of a core's time, for what was not measured on a GPU
A_RUN = 0.2  # seconds that every run costs: files, hardware, the frame store
OVERLAP = 1.15  # a remaining time above the mean of an ideal packing

Sizes = Callable[[Data], Mapping[str, int]]


@dataclass
class Forecast:
    """Expected seconds of a stage: the model, times what this machine has shown of stages of its kind."""

    device: str = "cpu"
    sizes: Sizes = staged_sizes
    expected: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    took: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def seconds(self, stage: Stage) -> float:
        return modelled(stage, self.sizes, self.device) * self.factor(stage.kind)

    def factor(self, kind: str) -> float:
        """Measured over modelled time: of this kind, where none was seen of all kinds, where nothing was seen 1."""
        if self.expected[kind]:
            return self.took[kind] / self.expected[kind]
        every = sum(self.expected.values())
        return sum(self.took.values()) / every if every else 1.0

    def learn(self, stage: Stage, seconds: float) -> None:
        expected = modelled(stage, self.sizes, self.device)
        if not math.isnan(expected):
            self.expected[stage.kind] += expected
            self.took[stage.kind] += seconds

    def learn_from(self, store: Store, stages: Iterable[Stage], replicates: Iterable[int]) -> None:
        """Read the times of finished runs that were computed on this machine in one go."""
        here, numbers = machine(self.device), list(replicates)
        for stage in stages:
            for replicate in numbers:
                result = store.result(stage.id, replicate) or {}
                if result.get("hardware", {}).get("machine") == here and not result.get("resumed") and "seconds" in result:
                    self.learn(stage, float(result["seconds"]))

    def remaining(self, waiting: Iterable[Task], running: Mapping[Task, tuple[float, float | None]], jobs: int) -> float:
        """Seconds until all are done. `running` gives seconds so far, and the share done in them where the run tells it; `waiting`
        has upstream first.

        A run's own pace counts the more the further it is. No packing beats the longest chain, so that bounds it from below.
        """
        left: dict[tuple[str, int], float] = {}
        total = longest = 0.0
        for task, (elapsed, share) in running.items():
            guess = max(self.seconds(task.stage) - elapsed, 0.1 * elapsed)
            if share:
                pace = elapsed * (1 - share) / share
                guess = share * pace + (1 - share) * guess
            left[task.key] = guess
            total, longest = total + guess, max(longest, guess)
        for task in waiting:
            need = self.seconds(task.stage)
            upstream = task.upstream()
            left[task.key] = need + (left.get(upstream.key, 0.0) if upstream else 0.0)
            total, longest = total + need, max(longest, left[task.key])
        if math.isnan(total):
            return math.nan
        return max(total / jobs * OVERLAP if total > longest else 0.0, longest)


def modelled(stage: Stage, sizes: Sizes, device: str = "cpu") -> float:
    """Return seconds by the constants above; NaN for an objective that they do not know."""
    config = stage.config
    data = getattr(config, "data", None)
    counts = sizes(data) if data else {}
    train = counts.get("train", 0)
    tests = sum(number for name, number in counts.items() if name == "val" or name.split("/")[0] == "test")
    chain = stage.chain()[0].config
    on_gpu = device.startswith("cuda")
    forward = forward_seconds(chain.backbone, on_gpu) if isinstance(chain, Pretrain) else 0.0
    augmenting = AUGMENTING * (SCARCE if on_gpu else 1)
    clip: Clip | None = getattr(config, "clip", None)
    megapixels = clip.frames * clip.size**2 / 1e6 if clip else 0.0
    match config:
        case Pretrain(objective=MoCoObjective(moco=contrast)):
            step = forward * (TRAINING + 1) * (2 if contrast.symmetric else 1) + 2 * augmenting
            work = config.optim.epochs * train * step
        case Pretrain(objective=Supervised()):
            work = config.optim.epochs * train * (forward * TRAINING + augmenting)
        case Finetune():
            work = config.optim.epochs * train * (forward * TRAINING + augmenting) + tests * config.clips * forward
        case Probe(solver="sgd"):
            work = 2 * config.optim.epochs * train * (forward + augmenting) + tests * config.clips * forward
        case Probe():
            work = (train + counts.get("balanced", 0) + tests) * config.clips * forward
        case Retrieval():
            work = (train + tests) * config.clips * forward
        case Masks():
            work = config.videos * MASKING * (SCARCE if on_gpu else 1)
        case Kernels() | Pretrain(objective=Random() | File()):
            work = 0.0
        case Pretrain():
            return math.nan  # an objective that nothing is known of
        case Activation():
            work = 4 * config.videos * forward
    return A_RUN + work * megapixels


def forward_seconds(backbone: Backbone, on_gpu: bool = False) -> float:
    """Seconds a megapixel of one forward pass."""
    if on_gpu:
        return FORWARD_ON_GPU.get(backbone.name) or FORWARD.get(backbone.name, 0) * SCARCE or NARROW_ON_GPU
    return FORWARD.get(backbone.name) or NARROW[0] + NARROW[1] * backbone.width
