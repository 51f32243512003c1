"""One call of the command line: choices looked up, the folder opened, the plan shown, what is missing run, beta searched."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.filesize import decimal

from fame.errors import FameError
from studies.harness.executors.local import LocalWorkers
from studies.harness.hardware import default_jobs, resolve_device
from studies.harness.plan import Plan, make_plan
from studies.harness.progress import Bars, Lines, Watcher, show_plan
from studies.harness.runner import run_stages
from studies.harness.scheduling import Summary
from studies.harness.store import Store
from studies.harness.worker import Runtime
from studies.setting.asked import Asked, places, resolve
from studies.setting.cell import Stage
from studies.setting.options import Options
from studies.setting.recording import record
from studies.setting.replicates import listed, part_of
from studies.setting.resolve import all_stages
from studies.setting.typed import overruled

if TYPE_CHECKING:
    from studies.search import Found, Trial

RESERVE = 200e6  # bytes that shall stay free
console = Console(width=None if sys.stdout.isatty() else 120)


class Session:
    """What was asked for, where, and with what. Making one checks the options.

    `replicates`: those of the study that this call runs.
    """

    def __init__(self, options: Options) -> None:
        self.store = Store(options.out).prepare()
        self.device = resolve_device(options.device)
        self.jobs = options.jobs or default_jobs(self.device)
        with watching() as watcher:
            self.asked: Asked = resolve(options, self.store.cache, self.jobs, watcher.data)
        self.replicates = part_of(options.part, self.asked.replicates)
        self.runtime = Runtime(
            self.device,
            options.data_root,
            {kind: root for kind, root, _ in places(options).values()},
            pretrained=options.pretrained,
            most_broken=options.broken,
        )

    def plan(self) -> Plan:
        """Of the replicates that this call runs."""
        stages = all_stages(self.asked.setting, self.asked.studies)
        return make_plan(self.store, stages, self.replicates, self.jobs, self.device, self.asked.sizes)

    def run(self) -> Summary:
        """Show the plan where there is something to do, and do it."""
        plan = self.plan()
        if plan.todo:
            show_plan(console, plan)
            self.show_standing()
            if self.asked.setting.scale.precision == "fp16":  # `plan` does not ask, as the runs may be another machine's
                from fame.training.precision import check  # with it comes torch, whose import takes seconds

                check("fp16", self.device)
            free = shutil.disk_usage(self.store.out).free
            if plan.bytes + RESERVE > free:
                need = f"about {decimal(plan.bytes)} are needed and {decimal(free)} are free"
                raise FameError(f"{self.store.out}: {need}; make room or choose another folder with --out")
        self.store.write_setting(self.asked.to_json())
        with self.store.named_errors():
            kept = record(self.asked).write(self.store.out)
        if kept:
            say(f"{self.store.out} held the report of another study; it is kept: {kept / 'index.html'}")
        with watching() as watcher:
            return run_stages(
                self.store,
                all_stages(self.asked.setting, self.asked.studies),
                self.replicates,
                jobs=self.jobs,
                runtime=self.runtime,
                watcher=watcher,
                mirror=tracker(self.store, watcher.note),
                plan=plan,
            )

    def search(self, trials: int, replicate: int) -> Found:
        """Search beta in the world of `replicate`, telling of every trial; FameError as `search_beta`, and for several folds."""
        from studies.search import NAME, search_beta

        if self.asked.setting.folds:
            raise FameError("--fold all: a search looks at the validation videos of one fold; name it")
        with watching() as watcher:
            workers = LocalWorkers(self.store.out, self.jobs, self.runtime)

            def execute(stages: list[Stage]) -> None:
                serving = {stage.id: (stage, (NAME,)) for stage in stages}
                run_stages(
                    self.store, serving, (replicate,), jobs=self.jobs, runtime=self.runtime, watcher=watcher, executor=workers
                )

            def tell(trial: Trial) -> None:
                how = "was there" if trial.reused else "computed"
                watcher.note(f"trial {trial.number}: beta {trial.beta}: {trial.value:.1f} % on validation videos ({how})")

            mirror = tracker(self.store, watcher.note)
            try:
                return search_beta(self.asked.setting, self.store, trials, replicate, execute, tracker=mirror, tell=tell)
            finally:
                workers.stop()

    def show_standing(self) -> None:
        """Print a line on replicates done, those of this call and absent sets, and one for each --set that rows do not take."""
        told = [standing(self.store, self.asked)]
        told += [f"In this part: {listed(self.replicates)}."] if self.replicates != self.asked.replicates else []
        told += [self.asked.absent]
        for line in (" ".join(filter(None, told)), *overruled(self.asked.setting.typed, self.asked.studies)):
            if line:
                say(line)


def standing(store: Store, asked: Asked) -> str:
    """`4 of 6 replicates done (1-3, 5).`; "" for a single replicate, and where all are done."""
    stages = all_stages(asked.setting, asked.studies)
    done = [number for number in asked.replicates if all(store.finished(stage_id, number) for stage_id in stages)]
    if len(asked.replicates) == 1 or len(done) == len(asked.replicates):
        return ""
    which = f" ({listed(done)})" if done else ""
    return f"{len(done)} of {len(asked.replicates)} replicates done{which}."


def say(line: str) -> None:
    """Print a line as it is, however long."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


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
