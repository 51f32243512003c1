"""Run what is missing: the data first, then runs side by side, upstream before downstream and the longest chain first.

A failed run takes down only what depends on it; a run that another process holds is looked at again later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from studies.harness.mirroring import Mirroring
from studies.harness.plan import Plan, Task, label
from studies.harness.pool import Outcome, Workers
from studies.harness.progress import Lines
from studies.harness.store import DiskFull, Store
from studies.tracking import Tracker

Key = tuple[str, int]
TICK = 0.5  # seconds between two looks at the progress of what runs
PATIENCE = 2.0  # seconds until a run that another process holds is looked at again


@dataclass
class Summary:
    """Sum up a start: keys of runs, and for what failed or was skipped a line each."""

    already: int = 0
    done: list[Key] = field(default_factory=list)
    failed: dict[Key, str] = field(default_factory=dict)
    skipped: dict[Key, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failed


def run_missing(
    store: Store, plan: Plan, executor: Workers, watcher: Lines, mirror: Tracker | None = None, shared: bool = False
) -> Summary:
    """Run what is to do of a plan; `executor` is stopped if this is. `shared`: with other machines, which run it as well.

    Raises FameError where the data cannot be prepared, and DiskFull; a run that fails does not raise, see the summary.
    """
    mirroring = Mirroring(store, mirror, plan.serves)
    mirroring.there(task.key for task in plan.tasks if task.key in plan.done)
    stopped = True
    try:
        if plan.todo:
            executor.prepare(plan, watcher.naming)
        summary = Schedule(store, plan, executor, watcher, mirroring, shared).run()
        stopped = False
        return summary
    finally:
        if stopped:
            executor.stop()
        mirroring.stop(now=stopped)


class Schedule:
    """Give ready tasks to workers until none is left, and tell of each. One per start."""

    def __init__(self, store: Store, plan: Plan, workers: Workers, watcher: Lines, mirroring: Mirroring, shared: bool) -> None:
        self.store, self.plan, self.workers, self.watcher, self.mirroring = store, plan, workers, watcher, mirroring
        self.shared = shared  # with other machines, which wait for this one at each pretraining
        self.finished: set[Key] = set(plan.done)
        self.waiting: dict[Key, Task] = {task.key: task for task in plan.todo}
        self.running: dict[Key, tuple[Task, float, float]] = {}  # since when, share done before
        self.later: dict[Key, float] = {}  # runs of another process: when to look again
        self.again: set[Key] = set()  # runs whose worker was killed
        self.summary = Summary(already=len(plan.done))
        self.weight = self._weights()
        self.foretold = -TICK, 0.0  # when, and the seconds that remained then

    def run(self) -> Summary:
        self.watcher.begin(len(self.finished), len(self.plan.tasks))
        while self.waiting or self.running:
            for task in self._ready()[: self.workers.free]:
                del self.waiting[task.key]
                self.running[task.key] = (task, time.monotonic(), self._share(task.key))
                self.workers.submit(task)
            for outcome in self.workers.wait(TICK):
                self._take(outcome)
            self.mirroring.running(task for task, _, _ in self.running.values())
            self.watcher.running({task: self.store.progress(*key) for key, (task, _, _) in self.running.items()}, self.remaining())
        return self.summary

    def remaining(self) -> float:
        """Return seconds to the end, from what finished runs took and how far running ones are; NaN where unknown.

        Computed once a TICK while runs wait, as it goes through all of them.
        """
        now, running = time.monotonic(), {}
        if self.waiting and now - self.foretold[0] < TICK:
            return self.foretold[1]
        for key, (task, since, before) in self.running.items():
            share = self._share(key)
            running[task] = (now - since, max(share - before, 0.0), 1 - share)
        self.foretold = now, self.plan.forecast.remaining(self.waiting.values(), running, self.plan.jobs)
        return self.foretold[1]

    def _weights(self) -> dict[Key, float]:
        """Return the cost from a task's start to the end of the longest chain through it."""
        weight: dict[Key, float] = {}
        after: dict[Key, float] = {}
        for task in reversed(self.waiting.values()):  # downstream comes after upstream
            weight[task.key] = self.plan.forecast.cost(task.stage) + after.get(task.key, 0.0)
            if upstream := task.upstream():
                after[upstream.key] = max(after.get(upstream.key, 0.0), weight[task.key])
        return weight

    def _ready(self) -> list[Task]:
        """Return tasks whose upstream is finished, the longest chain first; where machines share them, pretrainings as planned."""
        now = time.monotonic()
        ready = [
            task
            for key, task in self.waiting.items()
            if self.later.get(key, 0.0) <= now and ((upstream := task.upstream()) is None or upstream.key in self.finished)
        ]
        return sorted(ready, key=lambda task: task.stage.kind != "pretrain" if self.shared else -self.weight[task.key])

    def _take(self, outcome: Outcome) -> None:
        task, key = outcome.task, outcome.task.key
        del self.running[key]
        self.mirroring.ended(outcome)
        match outcome.status:
            case "done":
                self.plan.forecast.learn_from(self.store, [task])
                self.finished.add(key)
                self.summary.done.append(key)
                self._tell(outcome)
            case "busy":
                self.later[key] = time.monotonic() + PATIENCE
                self.waiting[key] = task
            case "disk full":
                raise DiskFull(self.store.out)
            case "lost":
                self.waiting[key] = task
                self.watcher.note(f"{task.name}: {outcome.message}; it goes on elsewhere from its last checkpoint")
            case "killed" if key not in self.again:
                self.again.add(key)
                self.waiting[key] = task
                self.watcher.note(f"{label(task.stage)} ({key[0]}/{key[1]}): {outcome.message}; it is started once more")
            case _:
                if outcome.status == "killed":
                    self.store.fail(task.stage, task.replicate, outcome.message)
                self._fail(outcome)

    def _fail(self, outcome: Outcome) -> None:
        task = outcome.task
        self.summary.failed[task.key] = f"{label(task.stage)} ({self.store.folder(*task.key)}): {outcome.message}"
        for key, other in list(self.waiting.items()):
            if other.replicate == task.replicate and task.stage in other.stage.chain():
                del self.waiting[key]
                why = f"skipped: its pretraining {task.stage.id} failed"
                self.summary.skipped[key] = f"{label(other.stage)} ({key[0]}/{key[1]}): {why}"
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self.watcher.ended(outcome, len(self.finished), len(self.plan.tasks), self.remaining())

    def _share(self, key: Key) -> float:
        found = self.store.progress(*key)
        return min(found.step / found.steps, 1.0) if found and found.steps else 0.0
