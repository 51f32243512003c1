"""Report what a scan found, as a CSV file, a line for each fault and remark; and bound the faults.

A broken video stops the run, or is left out, listed here and counted by split: none is replaced silently.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fame.data.disk import writing
from fame.data.faults import FAULTS, MOST_BROKEN, REMARKS, Fault, Remark, VideoError
from fame.data.layouts import Entry
from fame.data.manifest import tested_with
from fame.errors import FameError
from fame.files import write_atomically

_NAMED = 10  # broken videos named in a message; the report has them all

Facts = dict[str, Any]  # frames, fps, width, height, remarks, sha256
log = logging.getLogger(__name__)
_warned: set[str] = set()  # warnings of this process, each given once


class Finding(NamedTuple):
    """One line of the report. `video` is relative to the set's root."""

    video: str
    split: str
    what: Literal["fault", "remark"]
    name: Fault | Remark
    says: str


class BrokenVideos(FameError):
    """More videos are broken than may be left out; `report` lists them."""

    def __init__(self, message: str, report: Path) -> None:
        super().__init__(message)
        self.report = report


def findings(entries: Iterable[Entry], facts: Mapping[str, Facts], faults: Mapping[str, VideoError]) -> list[Finding]:
    """Return faults first, then remarks, each in the order of the names in faults.py and then of the entries."""
    entries = list(entries)
    found = [Finding(e.path, e.split, "fault", faults[e.path].name, faults[e.path].fault) for e in entries if e.path in faults]
    known = [entry for entry in entries if entry.path in facts]
    found += [Finding(e.path, e.split, "remark", name, says) for e in known for name, says in facts[e.path]["remarks"].items()]
    found += _copies(known, facts)
    return sorted(found, key=lambda finding: (*FAULTS, *REMARKS).index(finding.name))


def _copies(entries: list[Entry], facts: Mapping[str, Facts]) -> Iterator[Finding]:
    """Videos of the same bytes: `leaked` across train (or val) and test, or folds; `duplicate` otherwise, all but the first."""
    by_content = defaultdict(list)
    for entry in entries:
        by_content[facts[entry.path]["sha256"]].append(entry)
    for same in by_content.values():
        for index, entry in enumerate(same):
            across = [other for other in same if tested_with(other.split) != tested_with(entry.split)]
            if across or index:
                first = (across or same)[0]
                name: Remark = "leaked" if across else "duplicate"
                yield Finding(entry.path, entry.split, "remark", name, f"the same bytes as {first.path} ({first.split})")


def counted_by(found: Iterable[Finding]) -> dict[str, Counter[str]]:
    """Count videos per name and split: {"corrupt": {"train": 2, "test": 1}}, in the order of the report."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for finding in found:
        counts[finding.name][finding.split] += 1
    return counts


def write_report(file: Path, found: list[Finding]) -> bool:
    """Write the findings as csv; True where the file says something else than before."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Finding._fields)
    rows.writerows(found)
    return is_news(file, text.getvalue())


def read_report(file: Path) -> list[Finding]:
    """Read what `write_report` wrote; FameError where it is not there or of another form."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return [Finding(**row) for row in csv.DictReader(lines)]  # type: ignore[arg-type]
    except (OSError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise FameError(f"{file}: the scan's report cannot be read ({error}); scan again") from None


def is_news(file: Path, text: str) -> bool:
    """Write a text whole where the file holds another one, and return whether it did."""
    try:
        if file.read_bytes() == text.encode():
            return False
    except OSError:
        if not text:
            return False
    with writing(file, "what the scan finds"):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda beside: beside.write_bytes(text.encode()))
    return True


def log_remarks(kind: str, found: list[Finding], report: Path) -> None:
    """Log one line on the remarks; a warning where test videos are among those trained on."""
    many = Counter(finding.name for finding in found if finding.what == "remark")
    level = logging.WARNING if many["leaked"] else logging.INFO
    if many:
        log.log(level, "%s: remarks: %s; list: %s", kind, ", ".join(f"{count} {name}" for name, count in many.items()), report)


def judge(kind: str, found: Iterable[Finding], total: int, report: Path, most_broken: float) -> None:
    """Raise BrokenVideos where more than a share `most_broken` of `total` are broken; warn of fewer.

    Above 0 a single broken video is always within the bound: a hundredth of a small set would be none.
    """
    faults = [finding for finding in found if finding.what == "fault"]
    if not faults:
        return
    named = "; ".join(f"{finding.video}: {finding.name}: {finding.says}" for finding in faults[:_NAMED])
    splits = ", ".join(f"{count} {split}" for split, count in Counter(finding.split for finding in faults).items())
    more = f"; {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    what = f"{kind}: {len(faults)} of {total} videos are broken: {splits} ({named}{more}; list: {report})"
    if most_broken <= 0:
        mend = f"put sound files in their place, or leave them out with --exclude-broken (at most {MOST_BROKEN:.0%} of the set)"
        raise BrokenVideos(f"{what}; {mend}", report)
    if len(faults) > max(1, most_broken * total):
        enough = math.ceil(1000 * len(faults) / total) / 1000
        bound = f"more than the share of {most_broken:g} that may be left out"
        mend = f"get the set again, or put sound files in their place; --most-broken {enough:g} would leave them all out"
        raise BrokenVideos(f"{what}; {bound}: {mend}", report)
    level = logging.INFO if what in _warned else logging.WARNING  # a run scans again before it opens the videos
    _warned.add(what)
    log.log(level, "%s; they are left out: numbers on this copy are of %d videos", what, total - len(faults))
