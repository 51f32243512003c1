"""Scan a folder of videos into a manifest: every listed video is opened, decoded whole and hashed, once.

The result of each file is kept in the cache by path, size and time of change, one JSON line a file: an interrupted
scan goes on where it was, and a second one only looks at the folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from fame.data.disk import writing
from fame.data.faults import FAULTS, VideoError
from fame.data.inspection import VideoInfo, inspect
from fame.data.layouts import Entry, Kind, Listing, compare_with_official, read_layout
from fame.data.manifest import Manifest, Video, count_splits, is_fold
from fame.data.parallel import Progress, counted, each
from fame.data.scan_report import Facts, findings, is_news, judge, log_remarks, write_report
from fame.data.video import DECODER
from fame.errors import FameError
from fame.files import sha256_of

SCAN = 6  # version of what is kept of a file; raised when more is looked at, or judged otherwise
_NAMED = 3  # files named in a message; the list file has them all
_FACTS = {*VideoInfo.__dataclass_fields__, "sha256"}

log = logging.getLogger(__name__)


def scan(
    root: Path, kind: Kind, fold: int, cache: Path, jobs: int, progress: Progress | None = None, most_broken: float = 0.0
) -> Manifest:
    """Return the manifest of the data set below `root`, its videos decoded in `jobs` processes.

    Faults and remarks go into `report_file`. BrokenVideos where the share of broken videos is above `most_broken` (where that is
    above 0, one may be broken in any case); fewer are left out of the manifest. Entries of split files that are not on disk are
    counted and listed in the cache, not an error while any is there.
    """
    root = root.resolve()
    listing = read_layout(root, kind, fold, cache)
    memory = _memory(root, kind, cache)
    _log_listing(kind, fold, listing, memory)
    facts, faults = _facts(root, listing.entries, memory, jobs, progress)
    found = findings(listing.entries, facts, faults)
    report = report_file(root, kind, fold, cache)
    if write_report(report, found):
        log_remarks(kind, found, report)
    judge(kind, found, len(listing.entries), report, most_broken)
    videos = [_video(entry, facts[entry.path]) for entry in listing.entries if entry.path in facts]
    if not any(video.split == "train" or is_fold(video.split) for video in videos):
        raise FameError(f"{kind}: no training video of {root} can be decoded")
    name = root.name if kind == "folder" else f"{kind}-fold{fold}"
    log.info("%s: %s", name, ", ".join(f"{count} {split}" for split, count in count_splits(videos).items()))
    return Manifest(name, root, listing.classes, videos)


def report_file(root: Path, kind: Kind, fold: int, cache: Path) -> Path:
    """Return the file that a scan of `root` writes its findings to (fame/data/scan_report.py)."""
    return _memory(root.resolve(), kind, cache).with_suffix(f".fold{fold}.report.csv")


def _memory(root: Path, kind: Kind, cache: Path) -> Path:
    return cache / f"scan-{kind}-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}.jsonl"


def _facts(
    root: Path, entries: list[Entry], memory: Path, jobs: int, progress: Progress | None
) -> tuple[dict[str, Facts], dict[str, VideoError]]:
    """Return what is known of each file, and the faults of the broken ones."""
    remembered = _recall(memory)
    keys = {entry.path: _key(root / entry.path) for entry in entries}
    known = {path: remembered[path] for path, key in keys.items() if path in remembered and remembered[path]["key"] == key}
    facts = {path: value["facts"] for path, value in known.items() if value["facts"]}
    faults = {path: VideoError(root / path, *value["fault"]) for path, value in known.items() if value["fault"]}
    todo = [entry.path for entry in entries if entry.path not in known]
    if not todo:
        return facts, faults
    memory.parent.mkdir(parents=True, exist_ok=True)
    with writing(memory, "what the scan finds"), memory.open("a", encoding="utf-8") as file:
        file.write("\n")  # ends a line that an interrupted scan may have torn
        for path, found in counted(each(partial(_look, root), todo, jobs), "scan", len(todo), progress):
            kept: dict[str, Any] = {"path": path, "key": keys[path], "facts": None, "fault": None}
            if isinstance(found, VideoError):
                faults[path] = found
                kept["fault"] = [found.name, found.fault]
            else:
                facts[path] = kept["facts"] = found
            if kept["facts"] or faults[path].name != "unreadable":  # that may be mended without a change of the file
                file.write(json.dumps(kept) + "\n")
                file.flush()
    return facts, faults


def _look(root: Path, path: str) -> tuple[str, Facts | VideoError]:
    try:
        info: VideoInfo = inspect(root / path)
        return path, {**asdict(info), "sha256": sha256_of(root / path)}
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


def _recall(memory: Path) -> dict[str, Any]:
    """Return remembered results by path; later lines win, a damaged line is passed over."""
    recalled: dict[str, Any] = {}
    for line in memory.read_text(encoding="utf-8", errors="replace").splitlines() if memory.is_file() else ():
        try:
            value = json.loads(line)
            facts, fault = value["facts"], value["fault"]
            if (fault is None and facts.keys() == _FACTS) or (facts is None and len(fault) == 2 and fault[0] in FAULTS):
                recalled[value["path"]] = {name: value[name] for name in ("key", "facts", "fault")}
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return recalled


def _video(entry: Entry, facts: Facts) -> Video:
    known = {name: value for name, value in facts.items() if name != "remarks"}  # a remark is no part of the identity
    return Video(path=entry.path, label=entry.label, split=entry.split, tags={}, **known)


def _log_listing(kind: Kind, fold: int, listing: Listing, memory: Path) -> None:
    """Tell what is missing, differs from the published set or is left out: once for each state of the folder."""
    file = memory.with_suffix(f".fold{fold}.missing.txt")
    if is_news(file, "".join(f"{path}\n" for path in listing.missing)) and listing.missing:
        listed, first = len(listing.missing) + len(listing.entries), ", ".join(listing.missing[:_NAMED])
        log.warning(
            "%s: %d of %d listed videos are not on disk (first: %s; list: %s)", kind, len(listing.missing), listed, first, file
        )
    lines = [*compare_with_official(kind, fold, listing), *listing.notes]
    if is_news(memory.with_suffix(f".fold{fold}.counts.txt"), "".join(f"{line}\n" for line in lines)):
        for line in lines:
            log.log(logging.INFO if line.endswith("as published") else logging.WARNING, line)
