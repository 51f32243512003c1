"""What one sees: the plan before runs start, and while they go on bars on a terminal, plain lines (one a run) anywhere else."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from studies.harness.executors import Outcome, Task
from studies.harness.plan import Plan, label

STEP = 10.0  # seconds between two plain lines about the data


class Watcher:
    """Hear what the runner does, and show nothing of it. Seconds that remain are NaN where they are unknown."""

    def data(self, what: str, done: int, total: int) -> None: ...

    def begin(self, done: int, total: int) -> None: ...

    def running(self, tasks: Mapping[Task, tuple[int, int] | None], remaining: float) -> None: ...

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None: ...

    def note(self, message: str) -> None: ...


class Lines(Watcher):
    """Show plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.told = 0.0

    def data(self, what: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - self.told > STEP:
            self.told = time.monotonic()
            self.note(f"{what}: {done} of {total}")

    def begin(self, done: int, total: int) -> None:
        if done < total:
            self.note(f"{done} of {total} runs done")

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
        self.note(f"[{done}/{total}] {described(outcome)}" + (f", {left(remaining)}" if done < total else ""))

    def note(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)


class Bars(Watcher):
    """Show an overall bar, one for each run that goes on, and one for the data while it is prepared."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
        self.bars = Progress(*columns, console=console, transient=True)
        self.overall: TaskID | None = None
        self.shown: dict[Task, TaskID] = {}
        self.prepared: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.bars.stop()

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

    def note(self, message: str) -> None:
        self.bars.console.print(message, highlight=False, markup=False, soft_wrap=True)


def described(outcome: Outcome) -> str:
    """`probe A (3f2a..../0): done in 2.1 s`, or what became of it instead."""
    name = f"{label(outcome.task.stage)} ({outcome.task.stage.id}/{outcome.task.replicate})"
    if outcome.status == "done":
        return f"{name}: done in {duration(outcome.seconds)}"
    return f"{name}: {outcome.status}: {outcome.message}"


def left(remaining: float) -> str:
    return "time left unknown" if math.isnan(remaining) else f"{duration(remaining)} left"


def duration(seconds: float) -> str:
    """`4.2 s`, `38 s`, `12 min`, `3 h 05 min`."""
    if math.isnan(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def show_plan(console: Console, plan: Plan) -> None:
    """Show runs by study and by kind, time and disk."""
    by_study = Table("study", "runs", "done", title=f"{len(plan.tasks)} runs, {len(plan.todo)} to do")
    for name, runs, done in plan.studies():
        by_study.add_row(name, str(runs), str(done))
    by_kind = Table("stage", "runs", "to do", "of one core", title=f"where the time goes ({plan.jobs} side by side)")
    for kind, runs, done, seconds in plan.kinds():
        by_kind.add_row(kind, str(runs), str(runs - done), duration(seconds))
    console.print(by_study, by_kind)
    measured = "by runs of this machine" if plan.forecast.done else "no run of this machine was timed yet"
    console.print(f"time: {duration(plan.seconds)} ({measured}); disk: {decimal(plan.bytes)}", highlight=False)
