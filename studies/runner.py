"""What is missing is run: the data first, then stages, upstream before downstream, the longest chain first, side by side.

The store is asked what is finished, so a second start repeats nothing, but for a pretraining that came without its encoder
(studies/parts.py) and that a missing evaluation needs. A failed run takes down only what depends on it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fame.config import Data
from fame.seeds import Seeds
from studies.cell import Stage
from studies.executors import Executor, Outcome, Task
from studies.executors.local import LocalWorkers
from studies.plan import Forecast, Plan, label, make_plan
from studies.progress import Silence, Watcher
from studies.resolve import Setting, all_stages
from studies.store import DiskFull, Store
from studies.study import Study
from studies.worker import Runtime, open_once

Key = tuple[str, int]
TICK = 0.5  # seconds between two looks at the progress of what runs
PATIENCE = 2.0  # seconds until a run that another process holds is looked at again
ATTEMPTS = 2  # of a run whose worker was killed


class Mirror(Protocol):
    """studies/tracking.py: a copy of the store that others read. It warns and returns False where it cannot, and never raises."""

    def mirror_run(self, store: Store, stage: Stage, replicate: int, serves: tuple[str, ...]) -> bool: ...


@dataclass
class Summary:
    """What a start has done: keys of runs, and for what failed or was skipped a line each."""

    already: int = 0
    done: list[Key] = field(default_factory=list)
    failed: dict[Key, str] = field(default_factory=dict)
    skipped: dict[Key, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failed and not self.skipped

    def complaints(self) -> list[str]:
        """A line for every run that is missing, failures first."""
        return [*self.failed.values(), *self.skipped.values()]


def run_all(
    store: Store,
    setting: Setting,
    studies: tuple[Study, ...],
    replicates: Iterable[int],
    *,
    jobs: int,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    mirror: Mirror | None = None,
    plan: Plan | None = None,
) -> Summary:
    """Run what these studies need and the store does not have. `plan` where one was made to be shown."""
    stages = all_stages(setting, studies)
    return run_stages(store, stages, replicates, jobs=jobs, runtime=runtime, watcher=watcher, mirror=mirror, plan=plan)


def run_stages(
    store: Store,
    stages: Mapping[str, tuple[Stage, tuple[str, ...]]],
    replicates: Iterable[int],
    *,
    jobs: int,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    mirror: Mirror | None = None,
    plan: Plan | None = None,
    executor: Executor | None = None,
) -> Summary:
    """The same for stages by id, upstream first, each with the names of the studies that it serves (`all_stages` gives that).

    `executor` is where runs are executed, and the caller's to stop; without one they go to worker processes on this machine.

    Raises FameError where the data cannot be prepared, and DiskFull; a run that fails does not raise, see the summary. On
    KeyboardInterrupt the workers are stopped before it goes on; nothing finished is lost.
    """
    runtime, watcher, numbers = runtime or Runtime(), watcher or Silence(), tuple(replicates)
    plan = plan or make_plan(store.prepare(), stages, numbers, jobs, runtime.device)
    store.prepare()
    mirroring = Mirroring(store, mirror, plan.serves)
    for task in plan.tasks:
        if task.key in plan.done:
            mirroring.add(task)
    if plan.todo:
        prepare_data(store, plan.todo, runtime, jobs, watcher)
    workers = executor or LocalWorkers(store.out, jobs, runtime)
    try:
        summary = Schedule(store, plan, workers, watcher, mirroring).run()
    finally:
        if executor is None:
            workers.stop()
    mirroring.finish()
    return summary


def prepare_data(store: Store, tasks: Iterable[Task], runtime: Runtime, jobs: int, watcher: Watcher) -> None:
    """Render or scan and decode every set that the tasks read, once, in `jobs` processes, before the workers need them."""
    sets: dict[tuple[str, int], Data] = {}
    for task in tasks:
        data = getattr(task.stage.config, "data", None)
        if data is not None:
            sets.setdefault((data.model_dump_json(), task.replicate), data)
    for (_, replicate), data in sets.items():
        name = getattr(data, "part", data.kind)

        def tell(what: str, done: int, total: int, name: str = name, replicate: int = replicate) -> None:
            watcher.data(f"{what} {name} · {replicate}", done, total)

        with store.named_errors():
            open_once(data, Seeds(replicate), store.cache, runtime, jobs, tell)


class Schedule:
    """Which task is next. One per start."""

    def __init__(self, store: Store, plan: Plan, executor: Executor, watcher: Watcher, mirroring: Mirroring) -> None:
        self.store, self.plan, self.executor, self.watcher, self.mirroring = store, plan, executor, watcher, mirroring
        self.forecast: Forecast = plan.forecast
        self.total = len(plan.tasks)
        self.finished: set[Key] = set(plan.done)
        self.waiting: dict[Key, Task] = {task.key: task for task in plan.todo}
        self.running: dict[Key, tuple[Task, float, float]] = {}  # since when, share done before
        self.later: dict[Key, float] = {}  # runs of another process: when to look again
        self.attempts: dict[Key, int] = {}
        self.summary = Summary(already=len(plan.done))
        self.weight = self._weights()

    def run(self) -> Summary:
        self.watcher.begin(len(self.finished), self.total)
        while self.waiting or self.running:
            self._submit()
            for outcome in self.executor.wait(TICK):
                self._take(outcome)
            self.watcher.running({task: self.store.progress(*key) for key, (task, _, _) in self.running.items()}, self.remaining())
        return self.summary

    def remaining(self) -> float:
        """Honest seconds to the end, from what finished runs took and how far running ones are."""
        now, running = time.monotonic(), {}
        for key, (task, since, before) in self.running.items():
            share = (self._share(key) - before) / (1 - before) if before < 1 else 0.0
            running[task] = (now - since, share if share > 0 else None)
        return self.forecast.remaining(self.waiting.values(), running, self.plan.jobs)

    def _weights(self) -> dict[Key, float]:
        """Seconds from a task's start to the end of the longest chain through it."""
        weight = {task.key: self.forecast.seconds(task.stage) for task in self.waiting.values()}
        longest_after: dict[Key, float] = {}
        for task in reversed(self.waiting.values()):  # downstream comes after upstream
            weight[task.key] += longest_after.get(task.key, 0.0)
            if upstream := task.upstream():
                longest_after[upstream.key] = max(longest_after.get(upstream.key, 0.0), weight[task.key])
        return weight

    def _ready(self) -> list[Task]:
        """Tasks whose upstream is finished, the longest chain first."""
        now = time.monotonic()
        ready = [
            task
            for key, task in self.waiting.items()
            if self.later.get(key, 0.0) <= now and ((upstream := task.upstream()) is None or upstream.key in self.finished)
        ]
        return sorted(ready, key=lambda task: -self.weight[task.key])

    def _submit(self) -> None:
        for task in self._ready():
            if self.executor.free < 1:
                return
            if task.key in self.later and self._finished(task):  # another process has done it
                del self.waiting[task.key]
                self._finish(Outcome(task, "done"))
                continue
            del self.waiting[task.key]
            self.running[task.key] = (task, time.monotonic(), self._share(task.key))
            self.executor.submit(task)

    def _finished(self, task: Task) -> bool:
        return self.store.finished(*task.key) and not self.store.lost_encoder(task.stage, task.replicate)

    def _take(self, outcome: Outcome) -> None:
        task, key = outcome.task, outcome.task.key
        self.running.pop(key, None)
        match outcome.status:
            case "done":
                result = self.store.result(*key) or {}
                if not result.get("resumed") and "seconds" in result:
                    self.forecast.learn(task.stage, float(result["seconds"]))
                self._finish(outcome)
            case "busy":
                self.later[key] = time.monotonic() + PATIENCE
                self.waiting[key] = task
            case "disk full":
                raise DiskFull(self.store.out)
            case "killed" if self.attempts.setdefault(key, 1) < ATTEMPTS:
                self.attempts[key] += 1
                self.waiting[key] = task
                self.watcher.note(f"{label(task.stage)} ({key[0]}/{key[1]}): {outcome.message}; it is started once more")
            case _:
                if outcome.status == "killed":
                    self.store.fail(task.stage, task.replicate, outcome.message)
                self._fail(outcome)

    def _finish(self, outcome: Outcome) -> None:
        self.finished.add(outcome.task.key)
        self.summary.done.append(outcome.task.key)
        self.mirroring.add(outcome.task)
        self._tell(outcome)

    def _fail(self, outcome: Outcome) -> None:
        task = outcome.task
        folder = self.store.folder(*task.key)
        self.summary.failed[task.key] = f"{label(task.stage)} ({folder}): {outcome.message}"
        for key, other in list(self.waiting.items()):
            if other.replicate == task.replicate and task.stage.id in {link.id for link in other.stage.chain()}:
                del self.waiting[key]
                why = "pretraining" if task.stage.kind == "pretrain" else task.stage.kind
                self.summary.skipped[key] = f"{label(other.stage)} ({key[0]}/{key[1]}): skipped: its {why} {task.stage.id} failed"
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self.watcher.ended(outcome, len(self.finished), self.total, self.remaining())

    def _share(self, key: Key) -> float:
        step, steps = self.store.progress(*key) or (0, 0)
        return min(step / steps, 1.0) if steps else 0.0


class Mirroring:
    """Finished runs go to the mirror in a thread of their own: importing MLflow takes seconds that workers can use."""

    def __init__(self, store: Store, mirror: Mirror | None, serves: Mapping[str, tuple[str, ...]]) -> None:
        self.store, self.mirror, self.serves = store, mirror, serves
        self.tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None

    def add(self, task: Task) -> None:
        if self.mirror is None:
            return
        if self.thread is None:
            self.thread = threading.Thread(target=self._work, args=(self.mirror,), daemon=True)
            self.thread.start()
        self.tasks.put(task)

    def finish(self) -> None:
        """Wait until all that was added is mirrored."""
        if self.thread is not None:
            self.tasks.put(None)
            self.thread.join()

    def _work(self, mirror: Mirror) -> None:
        for task in iter(self.tasks.get, None):
            mirror.mirror_run(self.store, task.stage, task.replicate, self.serves.get(task.stage.id, ()))
