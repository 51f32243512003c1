"""Run a search, one trial after another or several at once, and write what came of it: OUT/search/search.json, trials.csv."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

from filelock import FileLock
from rich.console import Console

from fame.errors import FameError
from fame.files import write_atomically, write_json
from studies.harness.plan import Plan, Task, make_plan
from studies.harness.pool import Workers
from studies.harness.progress import Lines
from studies.harness.runner import run_missing
from studies.harness.store import Step, Store
from studies.harness.worker import message_of
from studies.search.mirror import NAME, mirror_search
from studies.search.search import Execute, Search, best, confirm, enter, tried, work
from studies.setting.cell import Stage
from studies.tracking import Tracker


@dataclass(frozen=True)
class Place:
    """Hold where runs are computed, `jobs` side by side: `workers` makes what executes so many."""

    store: Store
    workers: Callable[[int], Workers]
    device: str
    jobs: int

    def plan(self, stages: Iterable[Stage], replicates: Iterable[int]) -> Plan:
        return make_plan(self.store, {stage.id: (stage, (NAME,)) for stage in stages}, replicates, self.jobs, self.device)

    @contextmanager
    def executing(self, watcher: Lines, mirror: Tracker | None = None) -> Iterator[tuple[Workers, Execute]]:
        """Give the workers, and a function that has them run what is missing of a chain."""
        workers = self.workers(self.jobs)

        def execute(stages: list[Stage], replicates: Sequence[int]) -> None:
            run_missing(self.store, self.plan(stages, replicates), workers, watcher, mirror)

        try:
            yield workers, execute
        finally:
            workers.stop()


def searched(search: Search, place: Place, watcher: Lines, mirror: Tracker | None, workers: int, fresh: int) -> dict[str, Any]:
    """Search with so many workers, confirm on `fresh` replicates, and return and write what was found, as search.json has it."""
    space, store = search.space, place.store
    folder = store.out / "search"
    with store.named_errors():
        folder.mkdir(exist_ok=True)
    with FileLock(folder / ".enter.lock"):  # two starts at once would enter everything twice
        if entered := enter(search, store):
            watcher.note(f"{entered} choices were run before, for the tables: they enter as trials")
    with place.executing(watcher, mirror) as (executor, execute):
        if workers == 1:
            work(search, store, execute, lambda one: watcher.note(described(one)))
        else:
            several(search, place, executor, workers, watcher)
        trials = tried(search.open())
        winner = best(trials, baseline=False)
        confirmed = confirm(search, store, execute, winner["params"], fresh) if fresh and winner else None
    found = {
        "study": search.name,
        "storage": search.storage,
        "scale": space.setting.scale.name,
        "dataset": space.setting.dataset,
        "objective": space.objective.metric,
        "says": space.objective.says,
        "fields": list(space.fields),
        "replicates": list(search.replicates),
        "pruner": search.pruner,
        "exhausted": len(trials) >= len({space.key(choice) for choice in space.choices} or range(len(trials) + 1)),
        "best": best(trials),
        "trials": trials,
        "confirmed": confirmed,
    }
    with store.named_errors():
        write_json(folder / "search.json", found)
        write_atomically(folder / "trials.csv", partial(_table, trials))
    if mirror:
        mirror_search(mirror, store, space, found, [folder / "search.json", folder / "trials.csv"])
    return found


def _table(trials: list[dict[str, Any]], path: Any) -> None:
    names = dict.fromkeys(name for one in trials for name in one["params"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", *names, "value", "standard_error", "replicates", "state", "reused", "cell"])
        for one in trials:
            values = [one["value"], one["standard_error"], len(one["values"]), one["state"], one["reused"], one["cell"]]
            writer.writerow([one["trial"], *(one["params"][name] for name in names), *values])


class Stoppable(Lines):
    """Show nothing. Once `stop` is set, end the runs that tell of themselves here, as Ctrl-C does in the main thread."""

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.stop = Event()

    def begin(self, done: int, total: int) -> None:
        self.running({}, 0.0)

    def running(self, tasks: Mapping[Task, Step | None], remaining: float) -> None:
        if self.stop.is_set():
            raise KeyboardInterrupt


def several(search: Search, place: Place, executor: Workers, number: int, watcher: Lines) -> None:
    """Work in so many threads, each with its share of the jobs; `executor` prepares the videos of all.

    FameError where the search is not at its end when the last one has ended.
    """
    executor.prepare(place.plan(search.space.stage({}).chain(), search.replicates), watcher.naming)
    each, quiet = replace(place, jobs=max(1, place.jobs // number)), Stoppable()

    def one() -> None:
        with each.executing(quiet) as (_, execute):
            work(search, place.store, execute, lambda trial: watcher.note(described(trial)))

    with ThreadPoolExecutor(number) as threads:
        try:
            for ended in as_completed([threads.submit(one) for _ in range(number)]):
                if error := ended.exception():
                    watcher.note(f"a worker has ended: {message_of(error)}")
        except BaseException:
            quiet.stop.set()
            raise
    if len(tried(search.open())) < search.goal:
        raise FameError("the search's workers have ended before it: see above; the same command goes on")


def described(one: dict[str, Any]) -> str:
    """`trial 3: merge.beta 0.3: 62.5 +- 3.1 %`, and where it was pruned or the runs were there, that."""
    said = ", ".join(f"{name} {value}" for name, value in one["params"].items())
    how = " (was there)" if one["reused"] else " (pruned)" if one["state"] == "pruned" else ""
    return f"trial {one['trial']}: {said}: {one['value']:.1f} ± {one['standard_error']:.1f} %{how}"
