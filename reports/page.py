"""Make OUT/report: tables, figures, report.json and the one self-contained page; nothing again while its stamp is the same."""

import hashlib
import json
from pathlib import Path
from typing import Any

from filelock import FileLock

from fame.files import read_json
from studies.harness.progress import Tell, silent
from studies.harness.store import Store
from studies.mirrored import noted
from studies.real_masks import SEQUENCES
from studies.records import CELLS, STUDY, earlier, read

STAMP = ".stamp.json"
LOCK = ".report.lock"  # in OUT: a viewer and the end of a study may both make its report
PAGE = "index.html"
DATA = "report.json"
ROOM = Path(__file__).parent
DECLARED = ("findings", "paper")  # folders of studies/ whose declarations a report is made from


def build(
    store: Store,
    *,
    commit: str = "unknown",
    command: str | None = None,
    other: dict[str, Any] | None = None,
    tell: Tell = silent,
) -> Path:
    """Make OUT/report from the records and runs in the store and return the page; at once where it is up to date.

    `command` is what was typed, `other` a report to compare with (reports/against.py); `tell` hears of the steps.
    FameError where nothing was run there, the folder cannot be written or the disk is full, or the other report has no number in
    common.
    """
    folder, records = store.out / "report", read(store.out)
    stamp = fingerprint(store, f"{commit} {other}")
    if _made(folder, stamp):
        return folder / PAGE
    from reports.writing import write_report

    with store.named_errors(), FileLock(store.out / LOCK):
        before = read_json(folder / STAMP)
        if _made(folder, stamp):  # by another process meanwhile
            return folder / PAGE
        for name in ("tables", "figures"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / STAMP).unlink(missing_ok=True)  # from here on the folder is neither the old report nor the new one
        written = write_report(store, records, folder, folder / DATA, folder / PAGE, commit, command, other, tell)
        names = sorted(str(path.relative_to(folder)) for path in written)
        for stale in sorted(set(before.get("files", ())) - set(names)):
            (folder / stale).unlink(missing_ok=True)
        (folder / STAMP).write_text(json.dumps({"stamp": stamp, "files": names}, indent=1), encoding="utf-8")
    return folder / PAGE


def _made(folder: Path, stamp: str) -> bool:
    """Return whether the report in `folder` bears the stamp and all its files are there."""
    before = read_json(folder / STAMP)
    return before.get("stamp") == stamp and all((folder / name).exists() for name in before["files"])


def fingerprint(store: Store, given: str) -> str:
    """SHA-256 over what a report is made from: `given`, records, results, failures, studies, masks on real video, mirrors, code."""
    digest = hashlib.sha256(repr((given, earlier(store.out), noted(store.out))).encode())
    code = [
        *ROOM.rglob("*.py"),
        *(ROOM / "templates").iterdir(),
        *(path for name in DECLARED for path in (ROOM.with_name("studies") / name).glob("*.*")),
    ]
    code += [SEQUENCES] if SEQUENCES.exists() else []
    results = [path for name in ("result.json", "failure.json") for path in store.runs.glob(f"*/*/{name}")]
    for path in sorted(code) + sorted(results) + [store.out / CELLS, store.out / STUDY, *store.out.glob("search/search.json")]:
        digest.update("/".join(path.parts[-3:]).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def answer_of(page: Path) -> str:
    """Return the report's sentence and its tally of verdicts, a line each; "" where report.json cannot be read."""
    found = read_json(page.with_name(DATA)).get("answer")
    if not found:
        return ""
    counted = [f"{count} {verdict}" for verdict, count in found["tally"].items()]
    return f"{found['sentence']}\nVerdicts on the paper's claims: {', '.join(counted)}."
