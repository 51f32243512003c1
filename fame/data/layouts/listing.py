"""Define an entry (one video) and a listing (a data set); find files and read lists for all readers."""

from __future__ import annotations

import csv
import io
import mimetypes
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from fame.data.video import SUFFIXES
from fame.errors import FameError

SPLITS = ("train", "val", "test")
_SYSTEM = (  # no classes, in any case
    ".", "@eadir", "@rec", "$recycle.bin", "#recycle", "#snapshot", "__macosx", "__pycache__", "system volume information",
    "lost+found",
)  # fmt: skip


class Entry(NamedTuple):
    """One video a data set lists: path relative to the root, label, split."""

    path: str
    label: int
    split: str


@dataclass(frozen=True)
class Listing:
    """What a data set has: entries are on disk, `missing` are listed only, `notes` are for the user."""

    classes: list[str]
    entries: list[Entry]
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def first_folder(kind: str, root: Path, names: tuple[str, ...], what: str) -> Path:
    """Return the first of `names` that is a folder below `root`; FameError where none is."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise FameError(f"{kind}: {root} has no folder {' or '.join(names)} with {what}; give the data set's folder with --data-root")


def first_file(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first file of one of `names` in `root` or its folder `annotations`, else None."""
    return next(
        (folder / name for folder in (root, root / "annotations") for name in names if (folder / name).is_file()),
        None,
    )


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


def read_rows(kind: str, file: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read the columns of a csv list, and its rows with their line numbers, without blanks around values."""
    found = csv.reader(io.StringIO(read_text(kind, file), newline=""))
    rows: list[tuple[int, list[str]]] = []
    try:
        rows += ((found.line_num, [word.strip() for word in row]) for row in found if any(map(str.strip, row)))
    except csv.Error as error:
        raise FameError(f"{kind}: line {found.line_num} of {file} is not csv ({error}); mend it, or get the list again") from None
    columns = rows[0][1] if rows else []
    return columns, [(line, dict(zip(columns, row + [""] * len(columns), strict=False))) for line, row in rows[1:]]


def list_once(kind: str, listed: dict[str, Entry], entry: Entry, file: Path) -> None:
    """Take one line of a list, once; FameError where the video stands there otherwise, too."""
    if listed.setdefault(_stem(entry.path), entry)[1:] != entry[1:]:
        raise FameError(f"{kind}: {file} lists {entry.path} again, with another label or split; get the official lists again")


def find_listed(kind: str, root: Path, classes: list[str], listed: Iterable[Entry], lists: Path, videos: Path) -> Listing:
    """Return the listed entries whose file lies below `videos`, whatever its case and suffix; FameError where none is there."""
    found = sorted(reversed(videos_below(videos)), key=lambda path: path.parent.name.lower() in path.stem.lower())
    on_disk = {_stem(path.name): path for path in found}  # of copies the one in its class's folder
    entries, missing = [], []
    for entry in listed:
        path = on_disk.pop(_stem(entry.path), None)
        if entry.split and path:
            entries.append(entry._replace(path=path.relative_to(root).as_posix()))
        elif entry.split:
            missing.append(entry.path)
    if not entries:
        raise none_found(kind, missing, lists, videos)
    return Listing(classes, entries, missing, left_out(root, on_disk.values()))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rsplit(".", 1)[0].lower()


def none_found(kind: str, missing: list[str], lists: Path, videos: Path) -> FameError:
    """Return the error where a list and a folder have nothing in common."""
    first = missing[0] if missing else "none listed"
    return FameError(f"{kind}: none of the {len(missing)} videos that {lists} lists is in {videos} (first: {first})")


def left_out(root: Path, paths: Iterable[Path], why: str = "the lists do not name them") -> list[str]:
    """Return a note on videos that are on disk and not taken; none where there are none."""
    names = sorted(path.relative_to(root).as_posix() for path in paths)
    return [f"{len(names)} videos on disk are left out: {why} (first: {names[0]})"] if names else []


def videos_below(folder: Path) -> list[Path]:
    """List the videos below `folder`, at any depth, in order; FameError for an unreadable folder or a name that is no UTF-8."""
    found = [path for path in _files_below(folder) if path.suffix.lower() in SUFFIXES]
    for path in found:
        if re.search("[\r\ud800-\udfff]", str(path)):
            why = "the file's name is no UTF-8, or has a carriage return, and cannot stand in a list"
            raise FameError(f"{os.fsencode(path)!r}: {why}; rename it")
    return sorted(found)


def like_videos_below(folder: Path) -> list[Path]:
    """List the files below `folder` whose name is that of a kind of video which is not read."""
    named = ((path, mimetypes.guess_type(path.name)[0] or "") for path in _files_below(folder))
    return [path for path, kind in named if kind.startswith("video/") and path.suffix.lower() not in SUFFIXES]


def _files_below(folder: Path) -> Iterable[Path]:
    """Folders are among them: one that is named as a video is an error to be told."""
    for place, folders, files in os.walk(folder, onerror=_unread, followlinks=True) if folder.is_dir() else ():
        folders[:] = [name for name in folders if not name.lower().startswith(_SYSTEM) and not _leads_back(Path(place, name))]
        yield from (Path(place, name) for name in (*folders, *files) if not name.startswith("."))


def _unread(error: OSError) -> NoReturn:
    raise FameError(f"{error.filename}: the folder cannot be read ({error.strerror}); its videos would be missing unseen")


def _leads_back(path: Path) -> bool:
    """A link to a folder that it lies in."""
    return path.is_symlink() and path.resolve() in {parent.resolve() for parent in path.parents}
