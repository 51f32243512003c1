"""Run a search: alone in this process, or in several of its own, and write what came of it: OUT/search/search.json, trials.csv."""

from __future__ import annotations

import csv
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any

from filelock import FileLock

from fame.errors import FameError
from fame.files import write_atomically, write_json
from fame.plugins import Plugin, load, loaded
from fame.processes import without_main
from studies.harness.plan import make_plan
from studies.harness.pool import LocalWorkers
from studies.harness.progress import Lines
from studies.harness.runner import run_stages
from studies.harness.store import Store
from studies.harness.worker import Runtime
from studies.search.mirror import NAME, mirror_search
from studies.search.search import Execute, Search, best, confirm, enter, tried, work
from studies.setting.cell import Stage
from studies.tracking import Tracker

LOOK = 1.0  # seconds between two looks at the trials


@contextmanager
def executing(
    store: Store, jobs: int, runtime: Runtime, watcher: Lines | None = None, mirror: Tracker | None = None
) -> Iterator[Execute]:
    """Give a function that runs what is missing of a chain, `jobs` runs side by side."""
    workers = LocalWorkers(store.out, jobs, runtime)

    def execute(stages: list[Stage], replicates: Sequence[int]) -> None:
        named = {stage.id: (stage, (NAME,)) for stage in stages}
        run_stages(store, named, replicates, jobs=jobs, runtime=runtime, watcher=watcher, mirror=mirror, executor=workers)

    try:
        yield execute
    finally:
        workers.stop()


def searched(
    search: Search, store: Store, runtime: Runtime, watcher: Lines, mirror: Tracker | None, *, jobs: int, workers: int, fresh: int
) -> dict[str, Any]:
    """Search with so many workers, confirm on `fresh` replicates, and return and write what was found, as search.json has it."""
    space = search.space
    folder = store.out / "search"
    with store.named_errors():
        folder.mkdir(exist_ok=True)
    with FileLock(folder / ".enter.lock"):  # two starts at once would enter everything twice
        if entered := enter(search, store):
            watcher.note(f"{entered} choices were run before, for the tables: they enter as trials")
    with executing(store, jobs, runtime, watcher, mirror) as execute:
        if workers == 1:
            work(search, store, execute, lambda one: watcher.note(described(one)))
        else:
            several(search, store, runtime, workers, jobs, watcher)
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


def several(search: Search, store: Store, runtime: Runtime, workers: int, jobs: int, watcher: Lines) -> None:
    """Work in so many processes, telling of each trial that ends, and of workers that die: the others take up what they had.

    FameError where the search is not at its end when the last one has ended.
    """
    context = multiprocessing.get_context("spawn")
    each = max(1, jobs // workers)
    chain = {stage.id: (stage, (NAME,)) for stage in search.space.stage({}).chain()}
    todo = make_plan(store, chain, search.replicates, jobs, runtime.device).tasks
    LocalWorkers(store.out, jobs, runtime).prepare(todo, watcher.naming)
    processes: list[BaseProcess] = [
        context.Process(target=serve, args=(search, store, runtime, each, loaded())) for _ in range(workers)
    ]
    try:
        with without_main():
            for process in processes:
                process.start()
        _watch(search, processes, watcher.note)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
    if len(tried(search.open())) < search.goal:
        raise FameError("the search's workers have ended before it: see above; the same command goes on")


def _watch(search: Search, processes: list[BaseProcess], note: Callable[[str], None]) -> None:
    study = search.open()
    known = {one["trial"] for one in tried(study)}
    left = dict(enumerate(processes, 1))
    while left:
        time.sleep(LOOK)
        ended = {number: process.exitcode for number, process in left.items() if process.exitcode is not None}
        for one in tried(study):
            if one["trial"] not in known:
                known.add(one["trial"])
                note(described(one))
        for number, code in ended.items():
            del left[number]
            if code:
                note(f"worker {number} ended with code {code}; the others take up its trial")


def described(one: dict[str, Any]) -> str:
    """`trial 3: merge.beta 0.3: 62.5 +- 3.1 %`, and where it was pruned or the runs were there, that."""
    said = ", ".join(f"{name} {value}" for name, value in one["params"].items())
    how = " (was there)" if one["reused"] else " (pruned)" if one["state"] == "pruned" else ""
    return f"trial {one['trial']}: {said}: {one['value']:.1f} ± {one['standard_error']:.1f} %{how}"


def serve(search: Search, store: Store, runtime: Runtime, jobs: int, plugins: tuple[Plugin, ...]) -> None:
    """Live as a worker. Told to end, it fails its trial, which is then free to be tried by others."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    for plugin in plugins:
        load(*plugin)
    try:
        with executing(store, jobs, runtime) as execute:
            work(search, store, execute)
    except FameError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _interrupt(*_: Any) -> None:
    """Stop once. Ctrl-C comes from the terminal and, as SIGTERM, from the parent, and the trial is to be failed in peace."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt
