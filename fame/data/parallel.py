"""Run a function on many files in processes of a fork server (the caller may hold threads and locks); read ahead in a thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from fame.errors import FameError
from fame.processes import without_main

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]  # (what is being done, files done, files in all)

_LARGEST_CHUNK = 16  # files: what an interrupted process still finishes


def each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    """Yield `work(item)` of every item, in order, from `jobs` processes; the first exception is raised as it was."""
    jobs = min(jobs, len(items))
    if jobs <= 1:
        yield from map(work, items)
        return
    size = max(1, min(_LARGEST_CHUNK, len(items) // (4 * jobs)))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fame.data.store"])  # imported once, not once a process
    executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=live_with_parent)
    try:
        with without_main():
            results = executor.map(work, items, chunksize=size)
        yield from results
    except BrokenProcessPool:
        raise FameError(
            f"a process that reads or writes videos was killed (out of memory?); run again with fewer --jobs than {jobs}"
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def counted(results: Iterable[Result], what: str, total: int, progress: Progress | None) -> Iterator[Result]:
    """Pass `results` through and report each to `progress`."""
    if progress:
        progress(what, 0, total)
    for done, result in enumerate(results, 1):
        if progress:
            progress(what, done, total)
        yield result


def ahead(items: Iterable[Item], threaded: bool) -> Iterator[Item]:
    """Yield `items` in order; with `threaded` a thread makes the next one meanwhile, and errors are raised where it is due."""
    if not threaded:
        yield from items
        return
    coming = iter([item] for item in items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        made: Future[list[Item]] = pool.submit(next, coming, [])
        while item := made.result():
            made = pool.submit(next, coming, [])
            yield item[0]


def live_with_parent() -> None:
    """Ctrl-C is the parent's to handle; and a parent that is killed takes its processes with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
