"""Pack finished runs of a study into an archive a replicate, and put them back on another machine, where the study goes on.

`replicate-0003.tar.gz` holds setting.json and runs/STAGE/REPLICATE/*: results, tables and encoders; no checkpoints or videos.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fame.errors import FameError
from fame.files import write_atomically
from studies.harness.store import CHECKPOINT, FAILURE, LOCK, RESULT, SETTING, Store
from studies.paper.registry import SELECTION
from studies.setting.asked import Asked, listed, read_asked
from studies.setting.resolve import all_stages


@dataclass
class Unpacked:
    """Count the runs that were put back and those that were there; a line for each thing that was left out."""

    runs: int = 0
    already: int = 0
    left_out: list[str] = field(default_factory=list)


def pack(store: Store, asked: Asked, folder: Path, replicates: Sequence[int] = ()) -> list[tuple[Path, int]]:
    """Archive each replicate's finished runs; return paths and run counts. FameError where no run is finished or a file exists."""
    stages = all_stages(asked.setting, asked.studies)
    packed = []
    for replicate in replicates or asked.replicates:
        runs = [store.folder(stage_id, replicate) for stage_id in stages if store.whole(stage_id, replicate)]
        if runs:
            path = folder / f"replicate-{replicate:04d}.tar.gz"
            if path.exists():
                raise FameError(f"{path}: is there already; take it away, or pack into another folder")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(path, lambda beside, runs=runs: _write(beside, store.out, runs))  # type: ignore[misc]
            except OSError as error:
                raise FameError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from None
            packed.append((path, len(runs)))
        elif replicates:
            raise FameError(f"{store.out}: no run of replicate {replicate} is finished; it is not packed")
    if not packed:
        numbers = listed(asked.replicates)
        raise FameError(f"{store.out}: no run of its study is finished (replicates: {numbers}); there is nothing to pack")
    return packed


def unpack(folder: Path, store: Store) -> Unpacked:
    """Put archived runs into the store. FameError where no archive is there, or one is damaged: nothing of that one is put back."""
    paths = sorted(folder.glob("replicate-*.tar.gz"))
    if not paths:
        raise FameError(f"{folder}: holds no replicate-NNNN.tar.gz; name the folder that `pack` wrote")
    done = Unpacked()
    for path in paths:
        with tempfile.TemporaryDirectory(dir=store.out, prefix=".unpacking-") as place, store.named_errors():
            unpacked = Store(place)
            setting = _extract(path, unpacked)
            for stage_id, replicate in unpacked.all():
                _put(store, unpacked.folder(stage_id, replicate), stage_id, replicate, done)
            _take_setting(store, path, setting, done)
    return done


def _write(path: Path, out: Path, runs: list[Path]) -> None:
    with tarfile.open(path, "w:gz") as file:
        file.add(out / SETTING, SETTING)
        for part in (part for run in runs for part in sorted(run.iterdir())):
            if part.is_file() and not part.name.startswith(".") and part.name not in (CHECKPOINT, FAILURE):
                file.add(part, part.relative_to(out).as_posix())


def _extract(path: Path, unpacked: Store) -> dict[str, Any]:
    """Extract an archive that `pack` wrote, of whole runs, and return its setting; FameError for any other."""
    number = path.name.removeprefix("replicate-").removesuffix(".tar.gz")
    try:
        member = re.compile(rf"{re.escape(SETTING)}|runs/[0-9a-f]{{12}}/{int(number)}/\w[\w.-]*", re.ASCII)
        with tarfile.open(path) as file:
            for entry in file:
                if not entry.isreg() or not member.fullmatch(entry.name):
                    raise ValueError(f"it holds {entry.name!r}")
            file.extractall(unpacked.out, filter="data")
        setting = unpacked.setting()
        if setting is None or not all(unpacked.whole(*key) for key in unpacked.all()):
            raise ValueError(f"a {RESULT} or {SETTING} is missing or damaged")
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        why = " ".join(str(error).split())
        raise FameError(f"{path}: is damaged, or not what `pack` wrote ({why}); nothing of it is used, fetch it again") from None
    return setting


def _put(store: Store, unpacked: Path, stage_id: str, replicate: int, done: Unpacked) -> None:
    """Move one run into the store, its result last, so that it is finished only when it is whole."""
    if store.whole(stage_id, replicate):
        done.already += 1
        return
    folder = store.folder(stage_id, replicate)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            for name in (CHECKPOINT, FAILURE):  # of an attempt whose place this run takes
                (folder / name).unlink(missing_ok=True)
            for part in sorted(unpacked.iterdir(), key=lambda part: part.name == RESULT):
                shutil.move(part, folder / part.name)
        done.runs += 1
    except Timeout:
        done.left_out.append(f"{folder}: a process is at this run, left out; unpack again when it has ended")


def _take_setting(store: Store, path: Path, theirs: dict[str, Any], done: Unpacked) -> None:
    """Give a new folder the archive's setting; one that has a setting keeps it, and a difference is told."""
    ours = store.setting()
    if ours is None:
        read_asked(theirs, f"{path}: {SETTING}", "its runs are there; run the study, which writes a new one")
        store.write_setting(theirs)
    elif ours != theirs and theirs.get("options", {}).get("only") != [SELECTION]:  # selection worlds lie beside a study
        differing = ", ".join(sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)))
        done.left_out.append(f"{path}: was packed from a study with other {differing}; {store.out / SETTING} is kept as it is")
