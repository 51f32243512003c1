"""One call of the command line: choices looked up, the folder opened, the plan shown, what is missing run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from fame.errors import FameError
from studies.choices import Asked, Choices, resolve
from studies.hardware import default_jobs, resolve_device
from studies.plan import Plan, make_plan
from studies.progress import Bars, Lines, Watcher, show_plan, size
from studies.resolve import all_stages
from studies.runner import Summary, run_all
from studies.store import Store
from studies.worker import Runtime

RESERVE = 200e6  # bytes that shall stay free
console = Console(width=None if sys.stdout.isatty() else 120)


class Session:
    """What was asked for, where, and with what. Making one checks the choices and every run that lies in the folder."""

    def __init__(self, choices: Choices, out: Path, device: str, jobs: int | None, exclude_broken: bool) -> None:
        if jobs is not None and jobs < 1:
            raise FameError(f"--jobs {jobs}: at least one run at a time is needed")
        self.store = Store(out).prepare()
        self.store.check_versions()
        self.device = resolve_device(device)
        self.jobs = jobs or default_jobs(self.device)
        with watching() as watcher:
            self.asked: Asked = resolve(choices, self.store.cache, self.jobs, watcher.data, exclude_broken)
        self.runtime = Runtime(self.device, choices.data_root, choices.pretrained, exclude_broken)

    def plan(self) -> Plan:
        stages = all_stages(self.asked.setting, self.asked.studies)
        return make_plan(self.store, stages, self.asked.replicates, self.jobs, self.device, self.asked.sizes)

    def run(self) -> Summary:
        """Show the plan where there is something to do, and do it."""
        plan = self.plan()
        if plan.todo:
            show_plan(console, plan)
            free = shutil.disk_usage(self.store.out).free
            if plan.bytes + RESERVE > free:
                need = f"about {size(plan.bytes)} are needed and {size(free)} are free"
                raise FameError(f"{self.store.out}: {need}; make room or choose another folder with --out")
        self.store.write_setting(self.asked.to_json())
        with watching() as watcher:
            return run_all(
                self.store,
                self.asked.setting,
                self.asked.studies,
                self.asked.replicates,
                jobs=self.jobs,
                runtime=self.runtime,
                watcher=watcher,
                mirror=tracker(self.store, watcher.note),
                plan=plan,
            )


@contextmanager
def watching() -> Iterator[Watcher]:
    """Bars on a terminal, lines elsewhere."""
    if console.is_terminal:
        with Bars(console) as bars:
            yield bars
    else:
        yield Lines(console)


def tracker(store: Store, warn: Callable[[str], None]) -> Any:
    """The MLflow mirror; None, with one warning, where it cannot even be made."""
    try:
        from studies.tracking import Tracker

        return Tracker(store.out, warn)
    except Exception as error:  # tracking never fails a run
        warn(f"MLflow tracking is off: {error}")
        return None
