"""The report: tables, figures, report.json and the one self-contained page, in OUT/report.

Nothing is made again while nothing has changed: a stamp over the runs' results, the setting and the code of the reports is compared
first, and only then are the libraries that draw and count imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.real_masks import SEQUENCES

if TYPE_CHECKING:
    from studies.harness.store import Store
    from studies.setting.resolve import Setting
    from studies.study import Study

STAMP = ".stamp.json"
PAGE = "index.html"
DATA = "report.json"
ROOM = Path(__file__).parent
# the studies themselves are hashed as they are declared
DECLARED = ("setting", "paper")


def build(
    store: Store,
    setting: Setting,
    studies: tuple[Study, ...],
    replicates: int | Sequence[int],
    out: Path,
    *,
    commit: str = "unknown",
    command: str | None = None,
) -> Path:
    """Make OUT/report from the runs in the store and return the page; at once where it is up to date.

    `replicates` are their numbers, or how many from 0 on. `command` is what was typed, recorded beside the page's own.
    Missing runs leave "not run" in their place. FameError where the folder cannot be written or the disk is full.
    """
    numbers = tuple(range(replicates)) if isinstance(replicates, int) else tuple(replicates)
    folder = Path(out) / "report"
    stamp = fingerprint(store, setting, studies, numbers, commit)
    before = _stamp(folder)
    if before.get("stamp") == stamp and all((folder / name).exists() for name in before["files"]):
        return folder / PAGE
    from reports.writing import write_report

    with store.named_errors():
        for name in ("tables", "figures"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / STAMP).unlink(missing_ok=True)  # from here on the folder is neither the old report nor the new one
        written = write_report(store, setting, studies, numbers, folder, folder / DATA, folder / PAGE, commit, command)
        names = sorted(str(path.relative_to(folder)) for path in written)
        for stale in sorted(set(before.get("files", ())) - set(names)):
            (folder / stale).unlink(missing_ok=True)
        (folder / STAMP).write_text(json.dumps({"stamp": stamp, "files": names}, indent=1), encoding="utf-8")
    return folder / PAGE


def fingerprint(store: Store, setting: Setting, studies: tuple[Study, ...], replicates: tuple[int, ...], commit: str) -> str:
    """SHA-256 over all that the report is made from: results, failures, setting, declared studies, masks on real video, code."""
    digest = hashlib.sha256()
    asked = (setting, studies, replicates, commit, store.setting())
    digest.update(repr(asked).encode())
    code = [
        *ROOM.rglob("*.py"),
        *(ROOM / "templates").iterdir(),
        *(path for name in DECLARED for path in sorted((ROOM.with_name("studies") / name).glob("*.*"))),
    ]
    code += [SEQUENCES] if SEQUENCES.exists() else []
    results = [path for name in ("result.json", "failure.json") for path in store.runs.glob(f"*/*/{name}")]
    for path in sorted(code) + sorted(results):
        digest.update(str(path.relative_to(path.parents[2])).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamp(folder: Path) -> dict[str, Any]:
    """The stamp of the report that lies there; empty where there is none or it cannot be read."""
    try:
        value = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return value if isinstance(value["stamp"], str) and isinstance(value["files"], list) else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
