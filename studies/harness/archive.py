"""One part of a study as a file: `replicate-0003.tar.xz`, which holds setting.json and runs/STAGE/REPLICATE/NAME.

Kept of a run are its result, configuration and log, its per-video tables, and of one replicate the arrays that only pictures need.
The same files give the same bytes. Reading trusts nothing: a part is read whole or not at all, and only names that are written here
are accepted, so nothing can land outside runs/.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import tarfile
from pathlib import Path
from typing import Any

from fame.errors import FameError
from studies.harness.store import CONFIG, METRICS, RESULT, SETTING

NAME = re.compile(r"replicate-(\d{4,})\.tar\.xz")
MEMBER = re.compile(r"runs/([0-9a-f]{12})/(0|[1-9]\d*)/(\w[\w.-]*)", re.ASCII)
DATA, TABLES, PICTURES = (RESULT, CONFIG, METRICS), ".csv", ".npz"
WINDOW = 64 << 20  # bytes: xz preset 9's; a smaller tar takes a window of its own size, and so less memory
LARGEST = 1 << 30  # bytes of an unpacked part; no real one comes near

Run = tuple[str, int]  # stage id and replicate
Files = dict[str, bytes]  # by name, of one run


def path_in(folder: Path, replicate: int) -> Path:
    return folder / f"replicate-{replicate:04d}.tar.xz"


def paths_in(folder: Path) -> list[Path]:
    """The parts that lie in a folder, in order."""
    return sorted(path for path in folder.glob("replicate-*.tar.xz") if NAME.fullmatch(path.name))


def files_of(folder: Path, pictures: bool) -> Files:
    """What is kept of a finished run, with the arrays of its `pictures` or without. FameError where it has lost a table."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if _kept(path.name, pictures) and path.is_file()}
    if gone := _missing(found):
        raise FameError(f"{folder}: has lost {gone}; delete the folder and run the study again")
    return found


def encode(runs: dict[Run, Files], setting: dict[str, Any]) -> bytes:
    """The archive."""
    members = {f"runs/{stage}/{number}/{name}": data for (stage, number), files in runs.items() for name, data in files.items()}
    members[SETTING] = (json.dumps(setting, indent=1, sort_keys=True) + "\n").encode()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for name in sorted(members):
            entry = tarfile.TarInfo(name)  # its time, user and group are 0, and nameless
            entry.size, entry.mode = len(members[name]), 0o644
            file.addfile(entry, io.BytesIO(members[name]))
    plain = tar.getvalue()
    window = min(WINDOW, max(1 << 20, len(plain)))
    return lzma.compress(plain, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": window}])


def decode(path: Path) -> tuple[dict[Run, Files], dict[str, Any]]:
    """The runs and the setting of an archive. Nothing is written; FameError where it is not what `encode` gives."""
    try:
        replicate = int(_match(NAME, path.name)[1])
        reader = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        plain = reader.decompress(path.read_bytes(), LARGEST)
        if not reader.eof:
            raise ValueError(f"it is cut off, or larger than {LARGEST >> 30} GiB")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as file:
            members = {entry.name: _content(file, entry) for entry in file}
        setting = parsed(members.pop(SETTING, b"null"))
        runs: dict[Run, Files] = {}
        for name, data in members.items():
            stage_id, number, file_name = _match(MEMBER, name).groups()
            if int(number) != replicate:
                raise ValueError(f"it holds {name!r}, of another replicate")
            runs.setdefault((stage_id, replicate), {})[file_name] = data
        for run, files in runs.items():
            if gone := _missing(files):
                raise ValueError(f"runs/{run[0]}/{run[1]} lacks {gone}")
        return runs, setting
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError, ValueError) as error:
        why = " ".join(str(error).split())
        raise FameError(
            f"{path}: is damaged, or no part that `pack` wrote ({why}); nothing of it is used, fetch it again"
        ) from None


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object; ValueError for anything else."""
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("a JSON object is missing")
    return value


def _kept(name: str, pictures: bool = True) -> bool:
    return name in DATA or (not name.startswith(".") and name.endswith((TABLES, PICTURES) if pictures else TABLES))


def _missing(files: Files) -> str:
    """The first file without which a run is not whole; "" where all are there."""
    names = [RESULT, CONFIG]
    if RESULT in files:
        names += [str(name) for name in parsed(files[RESULT]).get("artifacts", ()) if str(name).endswith(TABLES)]
    return next((name for name in names if name not in files), "")


def _content(file: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    """Of a plain file with a name as `encode` gives them: no link, no folder, nothing outside runs/."""
    known = entry.name == SETTING or _kept(_match(MEMBER, entry.name)[3])
    content = file.extractfile(entry) if known and entry.isreg() else None
    if content is None:
        raise ValueError(f"it holds {entry.name!r}, which no part holds")
    return content.read()


def _match(pattern: re.Pattern[str], name: str) -> re.Match[str]:
    if (match := pattern.fullmatch(name)) is None:
        raise ValueError(
            f"it holds {name!r}, which no part holds" if pattern is MEMBER else f"its name is not {path_in(Path(), 3)}"
        )
    return match
