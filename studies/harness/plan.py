"""Plan a study: which runs are missing, how long they take by those timed on this machine, and how much disk they need."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from fame.config import Activation, Data, Finetune, Kernels, Masks, MoCoObjective, Pretrain, Probe, StagedData
from fame.data.manifest import FOLD, is_fold
from fame.errors import FameError
from fame.seeds import Seeds
from studies.harness.hardware import machine
from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.scales import staged_sizes

TRAINING = 3  # forward and backward, in forward passes
A_RUN = 0.2  # seconds that every run costs: files, hardware, the frame store
HEADROOM = 1.5  # memory asked for a run, in what others of its kind took
KEPT = {"jpeg": 0.085}  # of a raw frame's bytes (docs/datasets.md)
NATIVE = 240  # pixels: the short side of UCF101's files, and about that of the others'

Sizes = Callable[[Data], Mapping[str, int]]


@dataclass(frozen=True)
class Task:
    """Name one run: a stage at a replicate."""

    stage: Stage
    replicate: int

    @property
    def key(self) -> tuple[str, int]:
        return self.stage.id, self.replicate

    @property
    def name(self) -> str:
        """Return `probe A · 3`: how bars, scheduler and dashboard call the run."""
        return f"{label(self.stage)} · {self.replicate}"

    @property
    def ranks(self) -> int:
        """Return how many processes, one a device, share the run."""
        return getattr(getattr(self.stage.config, "objective", None), "ranks", 1)

    @property
    def cores(self) -> int:
        """Return how many processors the run uses where it has no GPU."""
        return self.ranks * getattr(self.stage.config, "threads", 1)

    def upstream(self) -> Task | None:
        return Task(self.stage.upstream, self.replicate) if self.stage.upstream else None


def label(stage: Stage) -> str:
    """Return a stage's name for the eye: `pretrain fame 0.5 inter single on A`, `probe A of fame 0.5 inter single on A`."""
    data = getattr(stage.config, "data", None)
    part = getattr(data, "part", "") or getattr(data, "name", "") or getattr(data, "kind", "")
    if not isinstance(stage.config, Pretrain):
        of = f" of {label(stage.upstream).removeprefix('pretrain ')}" if stage.upstream else ""
        return f"{stage.kind} {part}".strip() + of
    return f"pretrain {method_of(stage)}" + (f" on {part}" if part else "")


def method_of(stage: Stage) -> str:
    """Return what trained the encoder: `fame 0.5 inter single`, `moco`, `BE`, `random`; "" where there is none."""
    config = stage.chain()[0].config
    if not isinstance(config, Pretrain):
        return ""
    objective = config.objective
    if isinstance(objective, MoCoObjective) and (merge := objective.merge):
        return f"{merge.variant} {merge.beta} {merge.background} {merge.views}" + (
            f" to epoch {config.stop}" if config.stop else ""
        )
    return "BE" if getattr(objective, "erasing", None) else objective.kind


def work(stage: Stage, sizes: Sizes) -> float:
    """Return the megapixels (frames x height x width of all clips / 1e6) that networks see, a training step counted threefold."""
    config = stage.config
    if isinstance(config, Kernels) or config.data is None:
        return 0.0
    counts = sizes(config.data)
    train = counts.get("train", 0)
    tests = sum(number for name, number in counts.items() if name == "val" or name.split("/")[0] in ("test", FOLD))
    match config:
        case Pretrain():
            clips = TRAINING * config.epochs * train
        case Finetune() | Probe(solver="sgd"):
            clips = TRAINING * config.optim.epochs * train + tests * config.clips
        case Masks() | Activation():
            clips = config.videos
        case _:
            clips = (train + counts.get("balanced", 0) + tests) * config.clips
    return clips * config.clip.frames * config.clip.size**2 / 1e6


@dataclass
class Forecast:
    """Estimate a run by what finished ones of its kind took: work and seconds in `done`, `took`, the most bytes in `held`."""

    device: str = "cpu"
    sizes: Sizes = staged_sizes
    done: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    took: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    held: dict[str, int] = field(default_factory=dict)

    def cost(self, stage: Stage) -> float:
        """Return the run's seconds; where no run was timed, its work, by which runs can be ordered."""
        kinds = [kind] if (kind := kind_of(stage)) in self.done else [*self.done]
        done, took = (sum(known[kind] for kind in kinds) for known in (self.done, self.took))
        return A_RUN + work(stage, self.sizes) * (took / done if done else 1.0)

    def seconds(self, stage: Stage) -> float:
        """Return the run's seconds; NaN where no run was timed."""
        return self.cost(stage) if self.done else math.nan

    def memory(self, stage: Stage) -> int | None:
        """Return the bytes to ask for a run, headroom included; None where none of its kind has finished on such a device."""
        most = self.held.get(kind_of(stage))
        return None if most is None else math.ceil(HEADROOM * most)

    def learn(self, stage: Stage, seconds: float) -> None:
        if done := work(stage, self.sizes):
            self.done[kind_of(stage)] += done
            self.took[kind_of(stage)] += seconds

    def learn_from(self, store: Store, tasks: Iterable[Task]) -> None:
        """Read the memory of finished runs on such a device, and the times of those computed on this machine in one go."""
        for task in tasks:
            result = store.result(*task.key) or {}
            where, kind = result.get("hardware", {}), kind_of(task.stage)
            alike = str(where.get("device")).partition(":")[0] == self.device.partition(":")[0]
            if alike and (held := result.get("memory", {}).get("host")):
                self.held[kind] = max(self.held.get(kind, 0), held)
            here = where.get("machine") == machine(self.device)
            if here and not result.get("resumed") and "seconds" in result:
                self.learn(task.stage, float(result["seconds"]))

    def remaining(self, waiting: Iterable[Task], running: Mapping[Task, tuple[float, float, float]], jobs: int) -> float:
        """Return seconds until all are done, NaN where that is unknown; no packing beats the longest chain.

        `running` gives seconds so far, the share of the run done in them, and the share that is left; `waiting` has upstream first.
        """
        seen = replace(self, done=self.done.copy(), took=self.took.copy())
        for task, (elapsed, share, _) in running.items():
            if share:
                seen.learn(task.stage, elapsed / share)
        left: dict[tuple[str, int], float] = {}
        for task, (elapsed, share, rest) in running.items():
            expected = seen.seconds(task.stage) - elapsed
            left[task.key] = elapsed / share * rest if share else max(expected, 0.1 * elapsed)
        total, chains = sum(left.values()), dict(left)
        for task in waiting:
            need, upstream = seen.seconds(task.stage), task.upstream()
            total += need
            chains[task.key] = need + (chains.get(upstream.key, 0.0) if upstream else 0.0)
        return total if math.isnan(total) else max(total / jobs, *chains.values(), 0.0)


def kind_of(stage: Stage) -> str:
    """Return what runs of equal work take alike: the stage, of a pretraining its objective."""
    return stage.config.objective.kind if isinstance(stage.config, Pretrain) else stage.kind


@dataclass(frozen=True)
class Plan:
    """Hold every run of some studies, which of them are done, and what the others need."""

    tasks: tuple[Task, ...]
    serves: Mapping[str, tuple[str, ...]]  # stage id: names of studies
    done: frozenset[tuple[str, int]]  # without pretrainings whose encoder is damaged or gone, and still needed
    forecast: Forecast
    jobs: int
    bytes: int

    @property
    def todo(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.key not in self.done)

    @property
    def seconds(self) -> float:
        """Wall time with `jobs` side by side, the data prepared; NaN where no run of this machine was timed."""
        return self.forecast.remaining(self.todo, {}, self.jobs)


def make_plan(
    store: Store,
    stages: Mapping[str, tuple[Stage, tuple[str, ...]]],
    replicates: Iterable[int],
    jobs: int,
    device: str = "cpu",
    sizes: Sizes = staged_sizes,
    has: Callable[[tuple[str, ...], int], bool] = lambda studies, replicate: True,
) -> Plan:
    """Look at the store and count. FameError where a set that is to be evaluated on has no test video: before any run."""
    for stage, _ in stages.values():
        data: Any = getattr(stage.config, "data", None)
        counts = sizes(data) if data and not isinstance(stage.config, Pretrain) else {}
        if counts and not counts.get("test") and not any(map(is_fold, counts)):
            raise FameError(f"{data.kind}: there is no test video, so nothing can be evaluated; give some videos to the split test")
    tasks = tuple(Task(stage, number) for number in replicates for stage, names in stages.values() if has(names, number))
    done = {task.key for task in tasks if store.finished(*task.key)}
    read = {upstream.key for task in tasks if task.key not in done and (upstream := task.upstream())}
    done -= {key for key in read & done if not store.whole(*key)}
    forecast = Forecast(device, sizes)
    # of all replicates, so that a part knows its time by the parts before it
    forecast.learn_from(store, (Task(stages[stage][0], number) for stage, number in store.all() if stage in stages))
    serves = {stage_id: names for stage_id, (_, names) in stages.items()}
    todo = [task for task in tasks if task.key not in done]
    return Plan(tasks, serves, frozenset(done), forecast, jobs, _disk(todo, store.cache, sizes))


def _disk(todo: list[Task], cache: Path, sizes: Sizes) -> int:
    """Return the bytes that videos take that are not stored yet, and runs' artefacts."""
    needed: dict[tuple[str, str, Path], tuple[Path, Data]] = {}  # folds and replicates of a real set share a folder
    used = 0.0
    for task in todo:
        config, data = task.stage.config, getattr(task.stage.config, "data", None)
        if isinstance(config, Pretrain):
            used += 130e6 * (config.backbone.width / 64) ** 2
        else:
            used += 2e5 + (300 * sum(sizes(data).values()) if data else 0)
        if data:
            path = _stored(data, task.replicate, cache)
            needed[data.kind, getattr(data, "name", ""), path.parent] = path, data
    for path, data in needed.values():
        if not path.exists():
            used += 3e6 * KEPT.get(getattr(data, "codec", ""), 1.0) * _megapixels(data, sizes)
    return int(used)


def _stored(data: Data, replicate: int, cache: Path) -> Path:
    """Return the file that is there once a set has been rendered, or decoded and stored."""
    if isinstance(data, StagedData):
        return cache / "staged" / data.digest(Seeds(replicate).of("staged")) / "manifest.json"
    from fame.data.store import ready_file  # with it comes torch, whose import takes seconds

    return ready_file(data.manifest, cache, data.short_side, data.codec)


def _megapixels(data: Data, sizes: Sizes) -> float:
    """Of all stored frames; real videos count as 180 frames of 4:3, UCF101's mean."""
    if isinstance(data, StagedData):
        return sum(sizes(data).values()) * data.world.frames * data.world.size**2 / 1e6
    return sum(sizes(data).values()) * 180 * (data.short_side or NATIVE) ** 2 * 4 / 3 / 1e6


def show_plan(console: Console, plan: Plan) -> None:
    """Show runs by study and by kind, time and disk."""
    by_study = Table("study", "runs", "done", title=f"{len(plan.tasks)} runs, {len(plan.todo)} to do")
    for name in dict.fromkeys(name for names in plan.serves.values() for name in names):
        tasks = [task for task in plan.tasks if name in plan.serves[task.stage.id]]
        by_study.add_row(name, str(len(tasks)), str(sum(task.key in plan.done for task in tasks)))
    by_kind = Table("stage", "runs", "to do", "of one core", title=f"where the time goes ({plan.jobs} side by side)")
    for kind in dict.fromkeys(task.stage.kind for task in plan.tasks):
        runs = sum(task.stage.kind == kind for task in plan.tasks)
        todo = [plan.forecast.seconds(task.stage) for task in plan.todo if task.stage.kind == kind]
        by_kind.add_row(kind, str(runs), str(len(todo)), duration(sum(todo)))
    console.print(Columns([by_study, by_kind]))  # side by side where there is room
    measured = "by runs of this machine" if plan.forecast.done else "no run of this machine was timed yet"
    console.print(f"time: {duration(plan.seconds)} ({measured}); disk: {decimal(plan.bytes)}", highlight=False)


def duration(seconds: float) -> str:
    """Return `4.2 s`, `38 s`, `12 min`, `3 h 05 min` or `unknown`."""
    if math.isnan(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
