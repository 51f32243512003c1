"""What one sees: the plan before runs start, and while they go on bars on a terminal, plain lines (one a run) anywhere else."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from studies.harness.executors import Outcome, Task
from studies.harness.plan import Plan, label

STEP = 10.0  # seconds between two plain lines about the data


class Watcher(Protocol):
    """What the runner tells of itself."""

    def data(self, what: str, done: int, total: int) -> None: ...

    def begin(self, done: int, total: int) -> None: ...

    def running(self, tasks: Mapping[Task, tuple[int, int] | None], remaining: float) -> None: ...

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None: ...

    def note(self, message: str) -> None: ...


class Silence:
    """Nothing is shown."""

    def data(self, what: str, done: int, total: int) -> None: ...

    def begin(self, done: int, total: int) -> None: ...

    def running(self, tasks: Mapping[Task, tuple[int, int] | None], remaining: float) -> None: ...

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None: ...

    def note(self, message: str) -> None: ...


class Lines:
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.told = 0.0

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def data(self, what: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - self.told > STEP:
            self.told = time.monotonic()
            self._print(f"{what}: {done} of {total}")

    def begin(self, done: int, total: int) -> None:
        if done < total:
            self._print(f"{done} of {total} runs done")

    def running(self, tasks: Mapping[Task, tuple[int, int] | None], remaining: float) -> None: ...

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
        self._print(f"[{done}/{total}] {described(outcome)}" + (f", {duration(remaining)} left" if done < total else ""))

    def note(self, message: str) -> None:
        self._print(message)


class Bars:
    """An overall bar, one for each run that goes on, and one for the data while it is prepared."""

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
            self.bars.update(self.overall, left=f"{duration(remaining)} left")

    def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
        if self.overall is not None:
            self.bars.update(self.overall, completed=done, left=f"{duration(remaining)} left")
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


def size(count: float) -> str:
    """Bytes as `12 MB`, `3.4 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):.{0 if count >= 1e7 else 1}f} MB"


def show_plan(console: Console, plan: Plan) -> None:
    """Runs by study and by kind, time and disk."""
    by_study = Table("study", "runs", "done", title=f"{len(plan.tasks)} runs, {len(plan.todo)} to do")
    for name, runs, done in plan.studies():
        by_study.add_row(name, str(runs), str(done))
    by_kind = Table("stage", "runs", "to do", "of one core", title=f"where the time goes ({plan.jobs} side by side)")
    for kind, runs, done, seconds in plan.kinds():
        by_kind.add_row(kind, str(runs), str(runs - done), duration(seconds))
    if plan.data_seconds:
        by_kind.add_row("data", "", "", duration(plan.data_seconds * plan.jobs))
    console.print(by_study, by_kind)
    measured = "times of this machine" if plan.forecast.took else "no run of this machine to go by, so roughly"
    console.print(f"estimated: {duration(plan.seconds)} ({measured}), {size(plan.bytes)} of disk", highlight=False)
