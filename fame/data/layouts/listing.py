"""The words of every layout: an entry (one video), a listing (a data set), and what the readers share to find files."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from fame.data.video import SUFFIXES
from fame.errors import FameError

SPLITS = ("train", "val", "test")


class Entry(NamedTuple):
    """One video a data set lists: path relative to the root, label, split."""

    path: str
    label: int
    split: str


@dataclass(frozen=True)
class Listing:
    """What a layout says is there: entries are on disk, `missing` are listed but are not, `notes` are lines for the user."""

    classes: list[str]
    entries: list[Entry]
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def first_folder(kind: str, root: Path, names: Iterable[str], what: str) -> Path:
    """The first of `names` that is a folder below `root`; FameError where none is."""
    names = tuple(names)
    found = next((root / name for name in names if (root / name).is_dir()), None)
    if found is None:
        raise FameError(
            f"{kind}: {root} has no folder {' or '.join(names)} with {what}; give the folder that holds both with --data-root"
        )
    return found


def first_file(folders: Iterable[Path], names: Iterable[str]) -> Path | None:
    """The first file of one of `names` in one of `folders`, folders first; None where there is none."""
    names = tuple(names)
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def read_text(kind: str, file: Path) -> str:
    """A list's text; FameError where it cannot be read. A byte order mark at its beginning is passed over."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FameError(f"{kind}: {file} cannot be read ({error.strerror}); put the official split files there") from None
    except UnicodeDecodeError as error:
        raise FameError(f"{kind}: {file} is not UTF-8 text ({error.reason} at byte {error.start}); get it again") from None


def read_lines(kind: str, file: Path) -> list[str]:
    """The lines of a list that are not blank."""
    return [line for line in read_text(kind, file).splitlines() if line.strip()]


def read_json(kind: str, file: Path) -> Any:
    """The value of a JSON list; FameError where it is none."""
    try:
        return json.loads(read_text(kind, file))
    except ValueError as error:
        raise FameError(f"{kind}: {file} is not JSON ({error}); get the official file again") from None


def read_rows(kind: str, file: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns of a csv list, and its rows with their line numbers; blanks around a name or a value are passed over."""
    found = csv.reader(read_text(kind, file).splitlines())
    rows: list[tuple[int, list[str]]] = []
    try:
        rows += ((found.line_num, [word.strip() for word in row]) for row in found if any(map(str.strip, row)))
    except csv.Error as error:
        raise FameError(f"{kind}: line {found.line_num} of {file} is not csv ({error}); mend it, or get the list again") from None
    columns = rows[0][1] if rows else []
    return columns, [(line, dict(zip(columns, row + [""] * len(columns), strict=False))) for line, row in rows[1:]]


def list_once(kind: str, listed: dict[str, Entry], name: str, entry: Entry, file: Path) -> None:
    """Take one line of a list. The same line again is passed over; FameError where the video stands there otherwise, too."""
    if name in listed and listed[name][1:] != entry[1:]:
        raise FameError(f"{kind}: {file} lists {entry.path} again, with another label or split; get the official lists again")
    listed.setdefault(name, entry)


def videos_below(folder: Path) -> list[Path]:
    """Every file below `folder`, at any depth, whose name ends as a video's does, in order; what is hidden is passed over.

    Links to folders are followed, but for those that lead back. FameError where a folder cannot be read, which would be a class
    less, or a name cannot be written down.
    """
    found = []
    for place, folders, files in os.walk(folder, onerror=_unread, followlinks=True) if folder.is_dir() else ():
        folders[:] = [name for name in folders if not name.startswith(".") and not _leads_back(Path(place, name))]
        found += [Path(place, name) for name in (*folders, *files) if Path(name).suffix.lower() in SUFFIXES and name[0] != "."]
    for path in found:
        if _unwritable(str(path.relative_to(folder))):
            raise FameError(f"{os.fsencode(path)!r}: the file's name is no UTF-8, and cannot stand in a list; rename it")
    return sorted(found)


def _unread(error: OSError) -> NoReturn:
    raise FameError(f"{error.filename}: the folder cannot be read ({error.strerror}); its videos would be missing unseen")


def _leads_back(path: Path) -> bool:
    """A link to a folder that it lies in."""
    return path.is_symlink() and path.resolve() in {parent.resolve() for parent in path.parents}


def _unwritable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def none_found(kind: str, listed: int, lists: Path, videos: Path, first: str) -> FameError:
    """The error where a list and a folder have nothing in common."""
    return FameError(f"{kind}: none of the {listed} videos that {lists} lists is in {videos} (first: {first})")


def left_out(paths: list[str], why: str) -> list[str]:
    """A note on videos that are on disk and not taken; none where there are none."""
    return [f"{len(paths)} videos on disk are left out: {why} (first: {paths[0]})"] if paths else []
