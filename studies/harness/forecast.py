"""Estimate how long runs take: a run's work times what such work took on this machine; unknown (NaN) where no run was timed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fame.config import Activation, Data, Finetune, Kernels, Masks, Pretrain, Probe
from studies.harness.executors import Task
from studies.harness.hardware import machine
from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.scales import staged_sizes

TRAINING = 3  # forward and backward, in forward passes
A_RUN = 0.2  # seconds that every run costs: files, hardware, the frame store
OVERLAP = 1.15  # a remaining time above the mean of an ideal packing

Sizes = Callable[[Data], Mapping[str, int]]


def work(stage: Stage, sizes: Sizes) -> float:
    """Return the megapixels (frames x height x width of all clips / 1e6) that networks see, a training step counted threefold."""
    config = stage.config
    if isinstance(config, Kernels) or config.data is None:
        return 0.0
    counts = sizes(config.data)
    train = counts.get("train", 0)
    tests = sum(number for name, number in counts.items() if name == "val" or name.split("/")[0] == "test")
    match config:
        case Pretrain():
            clips = TRAINING * config.optim.epochs * train
        case Finetune() | Probe(solver="sgd"):
            clips = TRAINING * config.optim.epochs * train + tests * config.clips
        case Masks() | Activation():
            clips = config.videos
        case _:
            clips = (train + counts.get("balanced", 0) + tests) * config.clips
    return clips * config.clip.frames * config.clip.size**2 / 1e6


@dataclass
class Forecast:
    """Estimate the seconds of a run by its work and by what finished runs of its kind took."""

    device: str = "cpu"
    sizes: Sizes = staged_sizes
    done: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    took: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def cost(self, stage: Stage) -> float:
        """Return the run's seconds; where no run was timed, its work, by which runs can be ordered."""
        kind = _kind(stage)
        done, took = (self.done[kind], self.took[kind]) if kind in self.done else (sum(self.done.values()), sum(self.took.values()))
        return A_RUN + work(stage, self.sizes) * (took / done if done else 1.0)

    def seconds(self, stage: Stage) -> float:
        """Return the run's seconds; NaN where no run was timed."""
        return self.cost(stage) if self.done else math.nan

    def learn(self, stage: Stage, seconds: float) -> None:
        if done := work(stage, self.sizes):
            self.done[_kind(stage)] += done
            self.took[_kind(stage)] += seconds

    def learn_from(self, store: Store, stages: Iterable[Stage], replicates: Iterable[int]) -> None:
        """Read the times of finished runs that were computed on this machine in one go."""
        here, numbers = machine(self.device), list(replicates)
        for stage in stages:
            for replicate in numbers:
                result = store.result(stage.id, replicate) or {}
                if result.get("hardware", {}).get("machine") == here and not result.get("resumed") and "seconds" in result:
                    self.learn(stage, float(result["seconds"]))

    def remaining(self, waiting: Iterable[Task], running: Mapping[Task, tuple[float, float, float]], jobs: int) -> float:
        """Return seconds until all are done, NaN where that is unknown.

        `running` gives seconds so far, the share of the run done in them, and the share that is left; `waiting` has upstream first.
        What runs is timed by its own pace, which others of its kind are expected to share. No packing beats the longest chain.
        """
        seen = Forecast(self.device, self.sizes, self.done.copy(), self.took.copy())
        left: dict[tuple[str, int], float] = {}
        for task, (elapsed, share, rest) in running.items():
            if share:
                seen.learn(task.stage, elapsed / share)
                left[task.key] = elapsed / share * rest
        for task, (elapsed, share, _) in running.items():
            if not share:
                left[task.key] = max(seen.seconds(task.stage) - elapsed, 0.1 * elapsed)
        total, chains = sum(left.values()), dict(left)
        for task in waiting:
            need = seen.seconds(task.stage)
            upstream = task.upstream()
            total += need
            chains[task.key] = need + (chains.get(upstream.key, 0.0) if upstream else 0.0)
        longest = max(chains.values(), default=0.0)
        if math.isnan(total):
            return math.nan
        return max(total / jobs * OVERLAP if total > longest else 0.0, longest)


def _kind(stage: Stage) -> str:
    """Return what runs of equal work take alike: the stage, of a pretraining its objective."""
    return stage.config.objective.kind if isinstance(stage.config, Pretrain) else stage.kind
