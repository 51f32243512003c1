"""Processes that do not run the caller's script once more."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def without_main() -> Iterator[None]:
    """Processes that are started in here leave `__main__` alone.

    Python would have each of them import the script that is running, and one without `if __name__ == "__main__":` would begin its
    work again there, start processes of its own, and never end. What they are given must come from modules that can be imported.
    """
    main = sys.modules["__main__"]
    with _ONE_AT_A_TIME:
        held: dict[str, Any] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
        vars(main).update(dict.fromkeys(held))
        try:
            yield
        finally:
            vars(main).update(held)
