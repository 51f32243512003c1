"""Schedule runs side by side: upstream before downstream, the longest chain first; and collect what became of each.

A failed run takes down only what depends on it; a run that another process holds is looked at again later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from studies.harness.executors import Executor, Outcome, Task
from studies.harness.plan import Plan, label
from studies.harness.progress import Watcher
from studies.harness.store import DiskFull, Store
from studies.tracking import Mirroring

Key = tuple[str, int]
TICK = 0.5  # seconds between two looks at the progress of what runs
PATIENCE = 2.0  # seconds until a run that another process holds is looked at again
ATTEMPTS = 2  # of a run whose worker was killed


@dataclass
class Summary:
    """Sum up a start: keys of runs, and for what failed or was skipped a line each."""

    already: int = 0
    done: list[Key] = field(default_factory=list)
    failed: dict[Key, str] = field(default_factory=dict)
    skipped: dict[Key, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.failed and not self.skipped

    def complaints(self) -> list[str]:
        """Return a line for every run that is missing, failures first."""
        return [*self.failed.values(), *self.skipped.values()]


class Schedule:
    """Give ready tasks to an executor until none is left. One per start."""

    def __init__(self, store: Store, plan: Plan, executor: Executor, watcher: Watcher, mirroring: Mirroring) -> None:
        self.store, self.plan, self.executor, self.watcher, self.mirroring = store, plan, executor, watcher, mirroring
        self.forecast = plan.forecast
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
        """Return seconds to the end, from what finished runs took and how far running ones are; NaN where unknown."""
        now, running = time.monotonic(), {}
        for key, (task, since, before) in self.running.items():
            share = self._share(key)
            running[task] = (now - since, max(share - before, 0.0), 1 - share)
        return self.forecast.remaining(self.waiting.values(), running, self.plan.jobs)

    def _weights(self) -> dict[Key, float]:
        """Return the cost from a task's start to the end of the longest chain through it."""
        weight = {task.key: self.forecast.cost(task.stage) for task in self.waiting.values()}
        longest_after: dict[Key, float] = {}
        for task in reversed(self.waiting.values()):  # downstream comes after upstream
            weight[task.key] += longest_after.get(task.key, 0.0)
            if upstream := task.upstream():
                longest_after[upstream.key] = max(longest_after.get(upstream.key, 0.0), weight[task.key])
        return weight

    def _ready(self) -> list[Task]:
        """Return tasks whose upstream is finished, the longest chain first."""
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
            if task.key in self.later and self.store.finished(*task.key):  # another process has done it
                del self.waiting[task.key]
                self._finish(Outcome(task, "done"))
                continue
            del self.waiting[task.key]
            self.running[task.key] = (task, time.monotonic(), self._share(task.key))
            self.executor.submit(task)

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
            if other.replicate == task.replicate and task.stage in other.stage.chain():
                del self.waiting[key]
                why = f"skipped: its pretraining {task.stage.id} failed"
                self.summary.skipped[key] = f"{label(other.stage)} ({key[0]}/{key[1]}): {why}"
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self.watcher.ended(outcome, len(self.finished), self.total, self.remaining())

    def _share(self, key: Key) -> float:
        step, steps = self.store.progress(*key) or (0, 0)
        return min(step / steps, 1.0) if steps else 0.0
