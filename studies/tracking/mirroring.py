"""Finished runs on their way to the mirror (studies/tracking/tracking.py), beside the runs that go on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from typing import Protocol

from studies.harness.executors import Task
from studies.harness.store import Store
from studies.setting.cell import Stage


class Mirror(Protocol):
    """studies/tracking/tracking.py: a copy of the store that others read. It warns and returns False where it cannot, and never
    raises."""

    def mirror_run(self, store: Store, stage: Stage, replicate: int, serves: tuple[str, ...]) -> bool: ...


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
