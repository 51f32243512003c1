"""Read back what was asked for last in an output folder."""

from __future__ import annotations

import json

from fame.errors import FameError
from studies.harness.store import SETTING, Store
from studies.setting.asked import Asked, read_asked


def recall(store: Store) -> Asked:
    """Return what OUT/setting.json holds. FameError where there is none, or where it is damaged or of another version."""
    path, mend = store.out / SETTING, "delete it and start the study again"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FameError(
            f"{store.out}: nothing was run there yet (no {SETTING}); name the folder with --out, or run something"
        ) from None
    except (OSError, ValueError) as error:
        raise FameError(f"{path}: damaged, or not to be read ({error}); {mend}") from None
    return read_asked(value, str(path), mend)
