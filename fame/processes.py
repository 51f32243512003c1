"""Start processes that do not run the caller's script once more; end those whose parent is gone; keep what SIGTERM does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def without_main() -> Iterator[None]:
    """Keep processes that are started in here from importing the running script.

    One without `if __name__ == "__main__":` would start processes without end. What they are given must come from other modules.
    """
    main = sys.modules["__main__"]
    with _ONE_AT_A_TIME:
        held: dict[str, Any] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
        vars(main).update(dict.fromkeys(held))
        try:
            yield
        finally:
            vars(main).update(held)


@contextmanager
def termination_kept() -> Iterator[None]:
    """Put back what this process does on SIGTERM, which libraries set and leave."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def end_with(parent: int) -> None:
    """End this process within a second of the death of its parent, given by its id, however that died."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
