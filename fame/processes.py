"""Start processes that do not run the caller's script once more."""

from __future__ import annotations

import sys
import threading
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
