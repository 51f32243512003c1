"""Tell MLflow of runs while they go on, in a thread of its own: a slow server, and MLflow's import of seconds, hold nothing up."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from studies.harness.plan import Task
from studies.harness.pool import Outcome
from studies.harness.store import Store
from studies.tracking import Key, Tracker

EVERY = 5.0  # seconds between two looks at the curves of what runs


class Mirroring:
    """Hand what becomes of runs to a tracker; without one, do nothing."""

    def __init__(self, store: Store, tracker: Tracker | None, serves: Mapping[str, Sequence[str]]) -> None:
        self.store, self.tracker, self.serves = store, tracker, serves
        self.thread = ThreadPoolExecutor(1)
        self.looking: Future[Any] | None = None
        self.looked = time.monotonic()

    def there(self, keys: Iterable[Key]) -> None:
        """Show runs that an earlier start finished."""
        if self.tracker:
            self.thread.submit(self.tracker.mirror_runs, self.store, [*keys], self.serves)

    def running(self, tasks: Iterable[Task]) -> None:
        """Show these runs as going on, with their curves so far."""
        due = time.monotonic() - self.looked > EVERY and (self.looking is None or self.looking.done())
        if self.tracker and due:
            self.looked = time.monotonic()
            self.looking = self.thread.submit(self.tracker.follow, self.store, [*tasks], self.serves)

    def ended(self, outcome: Outcome) -> None:
        """Show a run as ended; one that was another process's is not shown."""
        if self.tracker and outcome.status == "done":
            self.thread.submit(self.tracker.mirror_run, self.store, *outcome.task.key, self.serves)
        elif self.tracker:
            if outcome.status == "failed":  # perhaps before it was seen
                self.thread.submit(self.tracker.follow, self.store, [outcome.task], self.serves)
            status = None if outcome.status == "busy" else "FAILED" if outcome.status == "failed" else "KILLED"
            self.thread.submit(self.tracker.end_run, self.store, outcome.task.key, status)

    def stop(self, now: bool = False) -> None:
        """Wait until all is told; `now`: only that the runs which went on were killed."""
        self.thread.shutdown(cancel_futures=now)
        if self.tracker:
            self.tracker.end_all(self.store)
