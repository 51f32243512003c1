"""Scan a folder of videos into a manifest: every listed video is decoded whole and hashed, once.

The cache keeps one JSON line a file, by its path, size and time of change: an interrupted scan goes on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import math
from collections import Counter, defaultdict
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fame.data.disk import writing
from fame.data.faults import FAULTS, MOST_BROKEN, REMARKS, Fault, Remark, VideoError
from fame.data.inspection import VideoInfo, inspect
from fame.data.layouts import Entry, Kind, Listing, compare_with_official, read_layout
from fame.data.manifest import Manifest, Video, is_fold, tested_with
from fame.data.parallel import Progress, counted, each
from fame.data.video import DECODER
from fame.errors import FameError
from fame.files import write_atomically

SCAN = 10  # version of what is kept of a file; raised when more is looked at, or judged otherwise

Known = dict[str, VideoInfo | VideoError]  # by path
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


def scan(
    root: Path,
    kind: Kind,
    fold: int,
    cache: Path,
    jobs: int,
    progress: Progress | None = None,
    most_broken: float = 0.0,
) -> Manifest:
    """Return the manifest of the data set below `root`, without broken videos; BrokenVideos where they are too many (`_judge`)."""
    root = root.resolve()
    listing = read_layout(root, kind, fold, cache)
    report = report_file(root, kind, fold, cache)
    _log_listing(kind, fold, listing, report.with_suffix("").with_suffix(".missing.txt"))
    known = _look_at_all(root, listing.entries, _memory(root, kind, cache), jobs, progress)
    found = _findings(listing.entries, known)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Finding._fields, *found])
    leaked = sum(finding.name == "leaked" for finding in found)
    if _is_news(report, text.getvalue()) and leaked:
        log.warning("%s: %d videos are both trained on and tested with; list: %s", kind, leaked, report)
    _judge(kind, [finding for finding in found if finding.what == "fault"], len(listing.entries), report, most_broken)
    videos = []
    for entry in listing.entries:
        if isinstance(info := known[entry.path], VideoInfo):
            facts = {name: value for name, value in asdict(info).items() if name != "remarks"}  # no part of the identity
            videos.append(Video(**entry._asdict(), **facts))
    if not any(video.split == "train" or is_fold(video.split) for video in videos):
        raise FameError(f"{kind}: no training video of {root} can be decoded")
    name = root.name if kind in ("folder", "target", "pool") else f"{kind}-fold{fold}"
    return Manifest(name, root, listing.classes, videos)


def report_file(root: Path, kind: Kind, fold: int, cache: Path) -> Path:
    """Return the CSV file that a scan of `root` writes its findings to."""
    return _memory(root.resolve(), kind, cache).with_suffix(f".fold{fold}.report.csv")


def read_report(file: Path) -> list[Finding]:
    """Read what a scan found."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [Finding(**row) for row in csv.DictReader(lines)]  # type: ignore[arg-type]


def _memory(root: Path, kind: Kind, cache: Path) -> Path:
    return cache / f"scan-{kind}-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}.jsonl"


def _look_at_all(root: Path, entries: list[Entry], memory: Path, jobs: int, progress: Progress | None) -> Known:
    """Return what each file holds, or its fault."""
    remembered = _recall(memory, root)
    keys = {entry.path: _key(root / entry.path) for entry in entries}
    known = {path: remembered[path][1] for path, key in keys.items() if path in remembered and remembered[path][0] == key}
    todo = [path for path in keys if path not in known]
    if not todo:
        return known
    with writing(memory, "what the scan finds"):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with memory.open("a", encoding="utf-8") as file:
            file.write("\n")  # ends a line that an interrupted scan may have torn
            for path, found in counted(each(partial(_look, root), todo, jobs), "scan", len(todo), progress):
                known[path] = found
                kept: dict[str, Any] = {"path": path, "key": keys[path]}
                if isinstance(found, VideoInfo):
                    kept["facts"] = asdict(found)
                elif found.name == "unreadable":  # may be mended without a change of the file
                    continue
                else:
                    kept["fault"] = [found.name, found.fault]
                file.write(json.dumps(kept) + "\n")
                file.flush()
    return known


def _look(root: Path, path: str) -> tuple[str, VideoInfo | VideoError]:
    try:
        return path, inspect(root / path)
    except VideoError as error:
        return path, error
    except OSError as error:  # between two looks at it the file has gone, or the disk fails
        return path, VideoError(root / path, "unreadable", f"the file cannot be read ({error.strerror})")


def _key(path: Path) -> list[Any]:
    try:
        stat = path.stat()
    except OSError:
        return [SCAN, DECODER, None]  # a dangling link: inspecting it names the fault
    return [SCAN, DECODER, stat.st_size, stat.st_mtime_ns]


def _recall(memory: Path, root: Path) -> dict[str, tuple[list[Any], VideoInfo | VideoError]]:
    """Return remembered keys and results by path; later lines win, a damaged line is passed over."""
    recalled: dict[str, tuple[list[Any], VideoInfo | VideoError]] = {}
    for line in memory.read_text(encoding="utf-8", errors="replace").splitlines() if memory.is_file() else ():
        try:
            value = json.loads(line)
            path = value["path"]
            found = VideoInfo(**value["facts"]) if "facts" in value else VideoError(root / path, *value["fault"])
            recalled[path] = value["key"], found
        except (ValueError, KeyError, TypeError):
            continue
    return recalled


def _findings(entries: list[Entry], known: Known) -> list[Finding]:
    """Return faults first, then remarks, each in the order of the names in faults.py and then of the entries."""
    found, by_content = [], defaultdict(list)
    for entry in entries:
        info = known[entry.path]
        if isinstance(info, VideoError):
            found.append(Finding(entry.path, entry.split, "fault", info.name, info.fault))
        else:
            found += [Finding(entry.path, entry.split, "remark", name, says) for name, says in info.remarks.items()]
            by_content[info.sha256].append(entry)
    for same in by_content.values():
        for entry in same:
            for other in [other for other in same if tested_with(other.split) != tested_with(entry.split)][:1]:
                says = f"the same bytes as {other.path} ({other.split})"
                found.append(Finding(entry.path, entry.split, "remark", "leaked", says))
    return sorted(found, key=lambda finding: (*FAULTS, *REMARKS).index(finding.name))


def _is_news(file: Path, text: str) -> bool:
    """Write a text whole where the file holds another one, and return whether it did."""
    if (file.read_bytes() if file.is_file() else b"") == text.encode():
        return False
    with writing(file, "what the scan finds"):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda beside: beside.write_bytes(text.encode()))
    return True


def _log_listing(kind: Kind, fold: int, listing: Listing, file: Path) -> None:
    """Tell what is missing, differs from the published set or is left out: once for each state of the folder."""
    lines = [*compare_with_official(kind, fold, listing), *listing.notes]
    if not _is_news(file, "".join(f"{line}\n" for line in (*lines, *listing.missing))):
        return
    for line in lines:
        log.warning(line)
    if missing := listing.missing:
        listed = f"{len(missing)} of {len(missing) + len(listing.entries)} listed videos"
        log.warning("%s: %s are not on disk (first: %s; list: %s)", kind, listed, missing[0], file)


def _judge(kind: str, faults: list[Finding], total: int, report: Path, most_broken: float) -> None:
    """Raise BrokenVideos where more than a share `most_broken` of `total` is broken (above 0, one always may be); warn of fewer."""
    if not faults:
        return
    splits = ", ".join(f"{count} {split}" for split, count in Counter(finding.split for finding in faults).items())
    first = f"{faults[0].video}: {faults[0].name}: {faults[0].says}"
    what = f"{kind}: {len(faults)} of {total} videos are broken: {splits} (first: {first}; list: {report})"
    if most_broken <= 0:
        mend = f"put sound files in their place, or leave them out with --exclude-broken (at most {MOST_BROKEN:.0%} of the set)"
        raise BrokenVideos(f"{what}; {mend}", report)
    if len(faults) > max(1, most_broken * total):
        enough = math.ceil(1000 * len(faults) / total) / 1000
        bound = f"more than the share of {most_broken:g} that may be left out"
        mend = f"get the set again, or put sound files in their place; --most-broken {enough:g} would leave them all out"
        raise BrokenVideos(f"{what}; {bound}: {mend}", report)
    if what not in _warned:  # a run scans again before it opens the videos
        log.warning("%s; they are left out: numbers on this copy are of %d videos", what, total - len(faults))
    _warned.add(what)
