"""Read one batch ahead in a thread, so that a GPU does not wait for the disk. A CPU has no time to spare: there it is plain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], threaded: bool) -> Iterator[Item]:
    """Yield `items` in order; with `threaded` the next one is made while the last one is in use. Errors are raised where it is due.

    The thread ends with the iterator, also when that is left early (closed or collected).
    """
    if not threaded:
        yield from items
        return
    coming = iter([item] for item in items)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        made: Future[list[Item]] = pool.submit(next, coming, [])
        while item := made.result():
            made = pool.submit(next, coming, [])
            yield item[0]
