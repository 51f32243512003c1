"""What one sees while runs go on: bars on a terminal, plain lines (one a run) anywhere else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column

from studies.harness.plan import Task, duration, label
from studies.harness.pool import Outcome
from studies.harness.store import Step

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

    def running(self, tasks: Mapping[Task, Step | None], remaining: float) -> None:
        """Show what runs, how far each is: in bars alone."""

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
        self.note(f"[{done}/{total}] {described(outcome)}" + (f", {left(remaining)}" if done < total else ""))

    def note(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)


class Bars(Lines):
    """Show a line for each run that ended and below them bars, in all and for each run that goes on; `bars` is to be entered."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns = (
            TextColumn("{task.description}", table_column=Column(ratio=5, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}", table_column=Column(no_wrap=True)),
        )
        self.bars = Progress(*columns, console=console, transient=True, expand=True)
        self.overall: TaskID | None = None
        self.shown: dict[Task, tuple[TaskID, float, int]] = {}  # bar, and when and at which step it was first seen
        self.prepared: dict[str, TaskID] = {}

    def data(self, what: str, done: int, total: int) -> None:
        if what not in self.prepared:
            self.prepared[what] = self.bars.add_task(what, told="")
        self.bars.update(self.prepared[what], completed=done, total=total)
        if done == total:
            self.bars.remove_task(self.prepared.pop(what))

    def begin(self, done: int, total: int) -> None:
        self.overall = self.bars.add_task("[bold]runs", completed=done, total=total, told="")

    def running(self, tasks: Mapping[Task, Step | None], remaining: float) -> None:
        for task in set(self.shown) - set(tasks):
            self.bars.remove_task(self.shown.pop(task)[0])
        for task, progress in tasks.items():
            step, steps, loss = progress or (0, None, None)
            if task not in self.shown:
                bar = self.bars.add_task(f"  {task.name}", total=None, told="")
                self.shown[task] = bar, time.monotonic(), step
            bar, since, first = self.shown[task]
            told = [f"loss {loss:.2f}"] if loss is not None else [] if progress else ["starting"]
            if steps and step > first:
                told.append(left((time.monotonic() - since) / (step - first) * (steps - step)))
            self.bars.update(bar, completed=step, total=steps, told=", ".join(told))
        if self.overall is not None:
            self.bars.update(self.overall, told=left(remaining))

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
        super().ended(outcome, done, total, remaining)
        if self.overall is not None:
            self.bars.update(self.overall, completed=done)


def described(outcome: Outcome) -> str:
    """`probe A (3f2a..../0): done in 2.1 s`, or what became of it instead."""
    name = f"{label(outcome.task.stage)} ({outcome.task.stage.id}/{outcome.task.replicate})"
    if outcome.status == "done":
        return f"{name}: done in {duration(outcome.seconds)}"
    return f"{name}: {outcome.status}: {outcome.message}"


def left(remaining: float) -> str:
    return "time left unknown" if math.isnan(remaining) else f"{duration(remaining)} left"
