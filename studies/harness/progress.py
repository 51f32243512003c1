"""What one sees while runs go on: bars on a terminal, plain lines (one a run) anywhere else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from studies.harness.plan import Task, duration, label
from studies.harness.pool import Outcome

STEP = 10.0  # seconds between two plain lines about the data
Tell = Callable[[str, int, int], None]  # is told of what, how much is done, and how much there is


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass
class Lines:
    """Show plain lines, for logs and pipes. Seconds that remain are NaN where they are unknown."""

    console: Console
    told: float = 0.0

    def data(self, what: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - self.told > STEP:
            self.told = time.monotonic()
            self.note(f"{what}: {done} of {total}")

    def naming(self, name: str) -> Tell:
        return lambda what, done, total: self.data(f"{what} {name}", done, total)

    def begin(self, done: int, total: int) -> None:
        if done < total:
            self.note(f"{done} of {total} runs done")

    def running(self, tasks: Mapping[Task, tuple[int, int] | None], remaining: float) -> None:
        """Show what runs, with step and steps of each: in bars alone."""

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
        self.note(f"[{done}/{total}] {described(outcome)}" + (f", {left(remaining)}" if done < total else ""))

    def note(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)


class Bars(Lines):
    """Show an overall bar, one for each run that goes on, and one for the data while it is prepared; `bars` is to be entered."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self.bars = Progress(*columns, console=console, transient=True)
        self.overall: TaskID | None = None
        self.shown: dict[Task, TaskID] = {}
        self.prepared: dict[str, TaskID] = {}

    def data(self, what: str, done: int, total: int) -> None:
        if what not in self.prepared:
            self.prepared[what] = self.bars.add_task(what, left="")
        self.bars.update(self.prepared[what], completed=done, total=total)
        if done == total:
            self.bars.remove_task(self.prepared.pop(what))

    def begin(self, done: int, total: int) -> None:
        self.overall = self.bars.add_task("[bold]runs", completed=done, total=total, left="")

    def running(self, tasks: Mapping[Task, tuple[int, int] | None], remaining: float) -> None:
        for task in set(self.shown) - set(tasks):
            self.bars.remove_task(self.shown.pop(task))
        for task, progress in tasks.items():
            if task not in self.shown:
                self.shown[task] = self.bars.add_task(f"  {label(task.stage)} · {task.replicate}", total=None, left="")
            step, steps = progress or (0, None)
            self.bars.update(self.shown[task], completed=step, total=steps)
        if self.overall is not None:
            self.bars.update(self.overall, left=left(remaining))

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
        if self.overall is not None:
            self.bars.update(self.overall, completed=done, left=left(remaining))
        if outcome.status != "done":
            self.note(described(outcome))


def described(outcome: Outcome) -> str:
    """`probe A (3f2a..../0): done in 2.1 s`, or what became of it instead."""
    name = f"{label(outcome.task.stage)} ({outcome.task.stage.id}/{outcome.task.replicate})"
    if outcome.status == "done":
        return f"{name}: done in {duration(outcome.seconds)}"
    return f"{name}: {outcome.status}: {outcome.message}"


def left(remaining: float) -> str:
    return "time left unknown" if math.isnan(remaining) else f"{duration(remaining)} left"
