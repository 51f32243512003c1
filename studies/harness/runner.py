"""Run what is missing: the data first, then stages in the order that studies/harness/scheduling.py finds. A second start repeats
nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fame.seeds import Seeds
from studies.harness.executors import Executor, Task
from studies.harness.executors.local import LocalWorkers
from studies.harness.plan import Plan, make_plan
from studies.harness.progress import Watcher
from studies.harness.scheduling import Schedule, Summary
from studies.harness.store import Store
from studies.harness.worker import Runtime, open_once
from studies.setting.cell import Stage
from studies.tracking import Mirroring, Tracker


def run_stages(
    store: Store,
    stages: Mapping[str, tuple[Stage, tuple[str, ...]]],
    replicates: Iterable[int],
    *,
    jobs: int,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    mirror: Tracker | None = None,
    plan: Plan | None = None,
    executor: Executor | None = None,
) -> Summary:
    """Run what the store lacks of `stages`: by id, upstream first, each with the studies that it serves (see `all_stages`).

    `plan` is one that was made to be shown. `executor` is where runs are executed, and the caller's to stop; without one they go to
    worker processes on this machine.

    Raises FameError where the data cannot be prepared, and DiskFull; a run that fails does not raise, see the summary. On
    KeyboardInterrupt the workers are stopped before it goes on; nothing finished is lost.
    """
    runtime, watcher, numbers = runtime or Runtime(), watcher or Watcher(), tuple(replicates)
    store.prepare()
    plan = plan or make_plan(store, stages, numbers, jobs, runtime.device)
    mirroring = Mirroring(store, mirror, plan.serves)
    for task in plan.tasks:
        if task.key in plan.done:
            mirroring.add(task)
    if plan.todo:
        prepare_data(store, plan.todo, runtime, jobs, watcher)
    workers = executor or LocalWorkers(store.out, jobs, runtime)
    try:
        summary = Schedule(store, plan, workers, watcher, mirroring).run()
    finally:
        if executor is None:
            workers.stop()
    mirroring.finish()
    return summary


def prepare_data(store: Store, tasks: Iterable[Task], runtime: Runtime, jobs: int, watcher: Watcher) -> None:
    """Render or scan and decode every set that the tasks read, once, in `jobs` processes, before the workers need them."""
    sets = {(data.model_dump_json(), task.replicate): data for task in tasks if (data := getattr(task.stage.config, "data", None))}
    for (_, replicate), data in sets.items():
        name = getattr(data, "part", data.kind)

        def tell(what: str, done: int, total: int, name: str = name, replicate: int = replicate) -> None:
            watcher.data(f"{what} {name} · {replicate}", done, total)

        with store.named_errors():
            open_once(data, Seeds(replicate), store.cache, runtime, jobs, tell)
