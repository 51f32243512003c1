"""From a folder of videos to a manifest: every listed video is opened, decoded whole and hashed, once.

The result of each file is kept in the cache by path, size and time of change, one JSON line a file, so that a scan that is
interrupted goes on where it was, and a second one only looks at the folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from fame.data.layouts import Entry, Kind, Listing, compare_with_official, read_layout
from fame.data.manifest import Manifest, Video, count_splits, file_sha256
from fame.data.parallel import Progress, counted, each
from fame.data.video import DECODER, VideoError, VideoInfo, inspect
from fame.errors import FameError
from fame.run import write_atomically

MOST_BROKEN = 0.1  # share of a data set's videos that may be left out; beyond it the set is damaged, not unlucky
_NAMED = 3  # files named in a message; the list file has them all

log = logging.getLogger(__name__)


def scan(
    root: Path, kind: Kind, fold: int, cache: Path, jobs: int, progress: Progress | None = None, exclude_broken: bool = False
) -> Manifest:
    """The manifest of the data set below `root`, its videos decoded in `jobs` processes.

    FameError names broken videos unless `exclude_broken`, and always where more than a tenth are. Entries of split files that are
    not on disk are counted and listed in the cache, not an error while any is there.
    """
    root = root.resolve()
    listing = read_layout(root, kind, fold, cache)
    memory = cache / f"scan-{kind}-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}.jsonl"
    _tell_missing(kind, listing, memory.with_suffix(f".fold{fold}.missing.txt"))
    _tell_counts([*compare_with_official(kind, fold, listing), *listing.notes], memory.with_suffix(f".fold{fold}.counts.txt"))
    facts, faults = _facts(root, listing.entries, memory, jobs, progress)
    if faults:
        _judge_faults(kind, faults, len(listing.entries), memory.with_suffix(".broken.txt"), exclude_broken)
    videos = [_video(entry, facts[entry.path]) for entry in listing.entries if entry.path in facts]
    if not any(video.split == "train" for video in videos):
        raise FameError(f"{kind}: no training video of {root} can be decoded")
    name = root.name if kind == "folder" else f"{kind}-fold{fold}"
    log.info("%s: %s", name, ", ".join(f"{count} {split}" for split, count in count_splits(videos).items()))
    return Manifest(name, root, listing.classes, videos)


Facts = dict[str, Any]  # frames, fps, width, height, sha256


def _facts(
    root: Path, entries: list[Entry], memory: Path, jobs: int, progress: Progress | None
) -> tuple[dict[str, Facts], dict[str, str]]:
    """What is known of each file, and the faults of the broken ones. Faults are not remembered: a mended file is seen."""
    remembered = _recall(memory)
    keys = {entry.path: _key(root / entry.path) for entry in entries}
    facts = {path: remembered[path]["facts"] for path, key in keys.items() if path in remembered and remembered[path]["key"] == key}
    todo = [entry.path for entry in entries if entry.path not in facts]
    faults: dict[str, str] = {}
    if todo:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with memory.open("a", encoding="utf-8") as file:
            file.write("\n")  # ends a line that an interrupted scan may have torn
            for path, found in counted(each(partial(_look, root), todo, jobs), "scan", len(todo), progress):
                if isinstance(found, str):
                    faults[path] = found
                else:
                    facts[path] = found
                    file.write(json.dumps({"path": path, "key": keys[path], "facts": found}) + "\n")
                    file.flush()
    return facts, faults


def _look(root: Path, path: str) -> tuple[str, Facts | str]:
    try:
        info: VideoInfo = inspect(root / path)
        return path, {**asdict(info), "sha256": file_sha256(root / path)}
    except VideoError as error:
        return path, error.fault


def _key(path: Path) -> list[Any]:
    try:
        stat = path.stat()
    except OSError:
        return [DECODER, None]  # a dangling link: inspecting it names the fault
    return [DECODER, stat.st_size, stat.st_mtime_ns]


def _recall(memory: Path) -> dict[str, Any]:
    """Remembered results by path; later lines win, a torn line is passed over."""
    recalled: dict[str, Any] = {}
    if memory.exists():
        for line in memory.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                value = json.loads(line)
                recalled[value["path"]] = {"key": value["key"], "facts": value["facts"]}
            except (ValueError, KeyError, TypeError):
                continue
    return recalled


def _video(entry: Entry, facts: Facts) -> Video:
    return Video(path=entry.path, label=entry.label, split=entry.split, tags={}, **facts)


def _judge_faults(kind: Kind, faults: dict[str, str], total: int, file: Path, exclude_broken: bool) -> None:
    """FameError for broken videos, or a warning where leaving them out was asked for and they are few."""
    lines = [f"{path}: {fault}" for path, fault in sorted(faults.items())]
    _write_list(file, lines)
    first = "; ".join(lines[:_NAMED]) + ("; ..." if len(lines) > _NAMED else "")
    what = f"{kind}: {len(faults)} of {total} videos cannot be decoded ({first}; list: {file})"
    if len(faults) > max(1, MOST_BROKEN * total):
        raise FameError(f"{what}; more than {MOST_BROKEN:.0%} may not be left out: the data set is damaged, get it again")
    if not exclude_broken:
        raise FameError(f"{what}; rerun with --exclude-broken to leave them out of the manifest")
    log.warning("%s; they are left out", what)


def _tell_missing(kind: Kind, listing: Listing, file: Path) -> None:
    """Warn of listed videos that are not on disk, once for each set of them."""
    if not listing.missing:
        file.unlink(missing_ok=True)
        return
    text = "\n".join(listing.missing) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    _write_list(file, listing.missing)
    listed = len(listing.missing) + len(listing.entries)
    first = ", ".join(listing.missing[:_NAMED])
    log.warning("%s: %d of %d listed videos are not on disk (first: %s; list: %s)", kind, len(listing.missing), listed, first, file)


def _tell_counts(lines: list[str], file: Path) -> None:
    """What differs from the published set and what is left out: once for each state of the folder."""
    text = "".join(f"{line}\n" for line in lines)
    if text == (file.read_text(encoding="utf-8") if file.exists() else ""):
        return
    _write_list(file, lines)
    for line in lines:
        log.log(logging.INFO if line.endswith("as published") else logging.WARNING, line)


def _write_list(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)

    def write(beside: Path) -> None:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")

    write_atomically(file, write)
