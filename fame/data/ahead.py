"""Reading one batch ahead in a thread, so that a GPU does not wait for the disk. A CPU has no time to spare: there it is plain."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item], threaded: bool) -> Iterator[Item]:
    """`items` in order; with `threaded` the next one is made while the last one is in use. Errors are raised where the item is due.

    The thread ends with the iterator, also when that is left early (closed or collected).
    """
    if not threaded:
        yield from items
        return
    made: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(maxsize=1)
    left = threading.Event()

    def hand(kind: str, value: Item | BaseException | None) -> bool:
        while not left.is_set():
            try:
                made.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not hand("item", item):
                    return
            hand("end", None)
        except BaseException as error:  # whatever it is, the consumer is the one to be told
            hand("error", error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]
    finally:
        left.set()
        thread.join()
