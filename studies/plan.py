"""What is to be done, how long it takes and how much disk it needs: told before anything starts, corrected while it runs.

A stage's time is modelled as pixels times seconds a pixel (measured, below) and scaled by what runs of its kind really took on this
machine. The first estimate on a new machine is therefore rough, and every finished run makes the next one better.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fame.config import Backbone, Clip, Data, Finetune, Kernels, Masks, Pretrain, Probe, Retrieval, StagedData
from fame.seeds import Seeds
from studies.cell import Stage
from studies.executors import Task
from studies.hardware import machine
from studies.store import Store

# Seconds a megapixel (frames x height x width of all clips / 1e6) on one core of a 2.x GHz server processor with AVX2, fp32.
FORWARD = {"r2plus1d_18": 10.0, "r3d_18": 8.0, "s3d": 4.0, "i3d": 3.0, "c3d": 11.0}
NARROW = (0.06, 0.0075)  # the narrow network: constant, and per unit of width
AUGMENTING = 0.06  # crop, colour, merge: a view
TRAINING = 2.5  # forward and backward, in forwards
MASKING = 0.5  # the analysis of masks, all variants
RENDERING = 0.27  # a megapixel of the embedded benchmark, encoding and decoding included
ON_GPU = 1 / 50  # of the time above
A_RUN = 0.2  # seconds that every run costs: files, hardware, the frame store
START = 13.0  # seconds until a worker has imported torch
KEPT = {"jpeg": 0.085, "straight": 0.0}  # of a raw frame's bytes (docs/datasets.md)
NATIVE = 240  # pixels: the short side of UCF101's files, and about that of the others'
OVERLAP = 1.15  # a remaining time above the mean of an ideal packing

Sizes = Callable[[Data], Mapping[str, int]]


def staged_sizes(data: Data) -> Mapping[str, int]:
    """Videos per split of a part of the embedded benchmark. Of videos on disk nothing is known without a scan: empty."""
    if not isinstance(data, StagedData):
        return {}
    part = getattr(data.world, data.part)
    counts = {"train": part.train, "val": part.val, "test": part.test}
    if part.balanced:
        counts |= {"balanced": part.train, "val/balanced": part.val}
    return counts | {f"test/{condition}": part.test for condition in part.conditions}


def label(stage: Stage) -> str:
    """A stage for the eye: `pretrain fame 0.5 single on A`, `probe A`."""
    config = stage.config
    data = getattr(config, "data", None)
    part = getattr(data, "part", data.kind) if data else ""
    if not isinstance(config, Pretrain):
        return f"{stage.kind} {part}".strip()
    merge = config.merge
    method = f"{merge.variant} {merge.beta} {merge.background} {merge.views}" if merge else "BE" if config.erasing else config.kind
    return f"pretrain {method}" + (f" on {part}" if part else "")


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
        self.expected[stage.kind] += modelled(stage, self.sizes, self.device)
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
        return max(total / jobs * OVERLAP if total > longest else 0.0, longest)


def modelled(stage: Stage, sizes: Sizes, device: str = "cpu") -> float:
    """Seconds by the constants above."""
    config = stage.config
    data = getattr(config, "data", None)
    counts = sizes(data) if data else {}
    train = counts.get("train", 0)
    tests = sum(number for name, number in counts.items() if name == "val" or name.split("/")[0] == "test")
    chain = stage.chain()[0].config
    forward = forward_seconds(chain.backbone) if isinstance(chain, Pretrain) else 0.0
    clip: Clip | None = getattr(config, "clip", None)
    megapixels = clip.frames * clip.size**2 / 1e6 if clip else 0.0
    match config:
        case Pretrain(kind="moco"):
            step = forward * (TRAINING + 1) * (2 if config.moco.symmetric else 1) + 2 * AUGMENTING
            work = config.optim.epochs * train * step
        case Pretrain(kind="supervised"):
            work = config.optim.epochs * train * (forward * TRAINING + AUGMENTING)
        case Finetune():
            work = config.optim.epochs * train * (forward * TRAINING + AUGMENTING) + tests * config.clips * forward
        case Probe(solver="sgd"):
            work = 2 * config.optim.epochs * train * (forward + AUGMENTING) + tests * config.clips * forward
        case Probe():
            work = (train + counts.get("balanced", 0) + tests) * config.clips * forward
        case Retrieval():
            work = (train + tests) * config.clips * forward
        case Masks():
            work = config.videos * MASKING
        case Kernels() | Pretrain():
            work = 0.0
        case _:
            work = 4 * config.videos * forward
    return A_RUN + work * megapixels * (ON_GPU if device.startswith("cuda") else 1.0)


def forward_seconds(backbone: Backbone) -> float:
    """Seconds a megapixel of one forward pass."""
    return FORWARD.get(backbone.name) or NARROW[0] + NARROW[1] * backbone.width


@dataclass(frozen=True)
class Plan:
    """Every run of some studies, which of them are done, and what the others need.

    A finished pretraining whose encoder is gone is not done while an evaluation of it is missing.
    """

    tasks: tuple[Task, ...]
    serves: Mapping[str, tuple[str, ...]]  # stage id: names of studies
    done: frozenset[tuple[str, int]]
    forecast: Forecast
    jobs: int
    data_seconds: float
    bytes: int

    @property
    def todo(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.key not in self.done)

    @property
    def seconds(self) -> float:
        """Wall time with `jobs` side by side, preparing the data included."""
        chains = [sum(self.forecast.seconds(link) for link in task.stage.chain()) for task in self.todo]
        total = sum(self.forecast.seconds(task.stage) for task in self.todo)
        return self.data_seconds + START + max(total / self.jobs, max(chains)) if self.todo else 0.0

    def kinds(self) -> list[tuple[str, int, int, float]]:
        """(kind, runs, of them done, seconds of one core still to spend) in the order in which stages come."""
        runs = Counter(task.stage.kind for task in self.tasks)
        done = Counter(task.stage.kind for task in self.tasks if task.key in self.done)
        seconds: defaultdict[str, float] = defaultdict(float)
        for task in self.todo:
            seconds[task.stage.kind] += self.forecast.seconds(task.stage)
        return [(kind, number, done[kind], seconds[kind]) for kind, number in runs.items()]

    def studies(self) -> list[tuple[str, int, int]]:
        """(study, runs that it uses, of them done)."""
        names = dict.fromkeys(name for stage in self.serves for name in self.serves[stage])
        using = {name: [task for task in self.tasks if name in self.serves[task.stage.id]] for name in names}
        return [(name, len(tasks), sum(task.key in self.done for task in tasks)) for name, tasks in using.items()]


def make_plan(
    store: Store,
    stages: Mapping[str, tuple[Stage, tuple[str, ...]]],
    replicates: Iterable[int],
    jobs: int,
    device: str = "cpu",
    sizes: Sizes = staged_sizes,
) -> Plan:
    """Look at the store and count."""
    numbers = tuple(replicates)
    tasks = tuple(Task(stage, replicate) for replicate in numbers for stage, _ in stages.values())
    finished = frozenset(task.key for task in tasks if store.finished(*task.key))
    done = finished - _lost(store, tasks, finished)
    forecast = Forecast(device, sizes)
    forecast.learn_from(store, (stage for stage, _ in stages.values()), numbers)
    todo = [task for task in tasks if task.key not in done]
    needed = {_videos(data, task.replicate): data for task in todo if (data := getattr(task.stage.config, "data", None))}
    missing = [data for (_, replicate), data in needed.items() if not _prepared(data, replicate, store.cache)]
    seconds = sum(_megapixels(data, sizes) for data in missing) * RENDERING / jobs
    stored = sum(3e6 * KEPT.get(getattr(data, "codec", ""), 1.0) * _megapixels(data, sizes) for data in missing)
    size = stored + sum(_bytes(task.stage, sizes) for task in todo)
    serves = {stage_id: names for stage_id, (_, names) in stages.items()}
    return Plan(tasks, serves, done, forecast, jobs, seconds, int(size))


def _lost(store: Store, tasks: Iterable[Task], finished: frozenset[tuple[str, int]]) -> set[tuple[str, int]]:
    """Pretrainings that a missing evaluation needs and whose encoder is gone: they have to be trained again."""
    needed = {up.key: up for task in tasks if task.key not in finished and (up := task.upstream()) is not None}
    return {key for key, task in needed.items() if store.lost_encoder(task.stage, task.replicate)}


def _videos(data: Data, replicate: int) -> tuple[str, int]:
    """What tells apart the videos to be stored: folds and replicates of a real set share theirs."""
    if isinstance(data, StagedData):
        return data.model_dump_json(), replicate
    return f"{data.kind} {data.short_side} {data.codec}", 0


def _prepared(data: Data, replicate: int, cache: Path) -> bool:
    """Whether a part of the embedded benchmark has been rendered. A real set's frame store is found by its manifest."""
    if not isinstance(data, StagedData):
        from fame.data.shared import is_prepared

        return is_prepared(data, cache)
    from fame.data.staged import digest

    return (cache / "staged" / digest(data, Seeds(replicate)) / "manifest.json").exists()


def _megapixels(data: Data, sizes: Sizes) -> float:
    """Of all stored frames; real videos count as 180 frames of 4:3, UCF101's mean."""
    if isinstance(data, StagedData):
        return sum(sizes(data).values()) * data.world.frames * data.world.size**2 / 1e6
    return sum(sizes(data).values()) * 180 * (data.short_side or NATIVE) ** 2 * 4 / 3 / 1e6


def _bytes(stage: Stage, sizes: Sizes) -> float:
    """Of a run's artefacts; small ones twice, as MLflow keeps a copy."""
    if isinstance(stage.config, Pretrain):
        backbone = stage.config.backbone
        weights = 31.3e6 * (backbone.width / 64) ** 2 if backbone.name == "r2plus1d_narrow" else 32e6
        return 4 * weights * (2 if 4 * weights < 8e6 else 1) + 2e4
    data = getattr(stage.config, "data", None)
    return 2e5 + (300 * sum(sizes(data).values()) if data else 0)
