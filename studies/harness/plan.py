"""Plan a study: which runs are missing, how long they take (studies/harness/forecast.py) and how much disk they need."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fame.config import Data, MoCoObjective, Pretrain, StagedData
from fame.data.manifest import is_fold
from fame.errors import FameError
from fame.seeds import Seeds
from studies.harness.executors import Task
from studies.harness.forecast import Forecast, Sizes
from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.scales import staged_sizes

KEPT = {"jpeg": 0.085}  # of a raw frame's bytes (docs/datasets.md)
NATIVE = 240  # pixels: the short side of UCF101's files, and about that of the others'


def label(stage: Stage) -> str:
    """Return a stage's name for the eye: `pretrain fame 0.5 single on A`, `probe A`."""
    config = stage.config
    data = getattr(config, "data", None)
    part = getattr(data, "part", data.kind) if data else ""
    if not isinstance(config, Pretrain):
        return f"{stage.kind} {part}".strip()
    objective = config.objective
    method = "BE" if getattr(objective, "erasing", None) else objective.kind
    if isinstance(objective, MoCoObjective) and (merge := objective.merge):
        method = f"{merge.variant} {merge.beta} {merge.background} {merge.views}"
    return f"pretrain {method}" + (f" on {part}" if part else "")


@dataclass(frozen=True)
class Plan:
    """Every run of some studies, which of them are done, and what the others need.

    A finished pretraining whose encoder is damaged or gone is not done while an evaluation of it is missing.
    """

    tasks: tuple[Task, ...]
    serves: Mapping[str, tuple[str, ...]]  # stage id: names of studies
    done: frozenset[tuple[str, int]]
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

    def kinds(self) -> list[tuple[str, int, int, float]]:
        """Return (kind, runs, of them done, seconds of one core still to spend) in the order in which stages come."""
        runs = Counter(task.stage.kind for task in self.tasks)
        done = Counter(task.stage.kind for task in self.tasks if task.key in self.done)
        seconds: defaultdict[str, float] = defaultdict(float)
        for task in self.todo:
            seconds[task.stage.kind] += self.forecast.seconds(task.stage)
        return [(kind, number, done[kind], seconds[kind]) for kind, number in runs.items()]

    def studies(self) -> list[tuple[str, int, int]]:
        """Return (study, runs that it uses, of them done)."""
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
    """Look at the store and count. FameError where a set that is to be evaluated on has no test video: before any run."""
    for stage, _ in stages.values():
        data: Any = getattr(stage.config, "data", None)
        counts = sizes(data) if data and not isinstance(stage.config, Pretrain) else {}
        if counts and not counts.get("test") and not any(map(is_fold, counts)):
            raise FameError(f"{data.kind}: there is no test video, so nothing can be evaluated; give some videos to the split test")
    numbers = tuple(replicates)
    tasks = tuple(Task(stage, replicate) for replicate in numbers for stage, _ in stages.values())
    done = {task.key for task in tasks if store.finished(*task.key)}
    read = [upstream.key for task in tasks if task.key not in done and (upstream := task.upstream())]
    done -= {key for key in dict.fromkeys(read) if key in done and not store.whole(*key)}
    forecast = Forecast(device, sizes)
    forecast.learn_from(store, (stage for stage, _ in stages.values()), numbers)
    todo = [task for task in tasks if task.key not in done]
    needed = {_videos(data, task.replicate): data for task in todo if (data := getattr(task.stage.config, "data", None))}
    missing = [data for (_, replicate), data in needed.items() if not _prepared(data, replicate, store.cache)]
    stored = sum(3e6 * KEPT.get(getattr(data, "codec", ""), 1.0) * _megapixels(data, sizes) for data in missing)
    size = stored + sum(_bytes(task.stage, sizes) for task in todo)
    serves = {stage_id: names for stage_id, (_, names) in stages.items()}
    return Plan(tasks, serves, frozenset(done), forecast, jobs, int(size))


def _videos(data: Data, replicate: int) -> tuple[str, int]:
    """Return what tells apart the videos to be stored: folds and replicates of a real set share theirs."""
    if isinstance(data, StagedData):
        return data.model_dump_json(), replicate
    return f"{data.kind} {data.name} {data.short_side} {data.codec}", 0


def _prepared(data: Data, replicate: int, cache: Path) -> bool:
    """Return whether a part of the embedded benchmark has been rendered, or a real set's frames are stored."""
    if not isinstance(data, StagedData):
        from fame.data.store import ready_file  # with it comes torch, whose import takes seconds

        return ready_file(data.manifest, cache, data.short_side, data.codec).exists()
    from fame.data.staged.videos import digest

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
