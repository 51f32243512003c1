"""A study in parts: replicates computed on one machine, packed, and put back on another, where the study goes on.

Weights, checkpoints and caches stay behind. An unpacked pretraining therefore has no encoder, and is trained again where one of its
evaluations is still missing (studies/harness/worker.py); the report needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from fame.errors import FameError
from fame.files import write_atomically
from studies.harness.archive import Files, Run, decode, encode, files_of, parsed, path_in, paths_in
from studies.harness.store import CHECKPOINT, CONFIG, ENCODER, FAILURE, RESULT, SETTING, Store
from studies.harness.worker import LOCK
from studies.paper.registry import SELECTION
from studies.setting.asked import Asked, from_json
from studies.setting.cell import Stage
from studies.setting.replicates import listed
from studies.setting.resolve import all_stages


@dataclass(frozen=True)
class Packed:
    """A part that was written: of `planned` runs `runs` were finished. `size` in bytes."""

    path: Path
    runs: int
    planned: int
    size: int


@dataclass
class Unpacked:
    """How many runs were put back, how many were there, and a line for each thing that was left out."""

    runs: int = 0
    already: int = 0
    left_out: list[str] = field(default_factory=list)


def pack(store: Store, asked: Asked, folder: Path, replicates: Sequence[int] = ()) -> list[Packed]:
    """An archive of the finished runs of each of `replicates` in `folder`; none given: of every one that was begun.

    The arrays that only pictures need are kept of the study's first replicate. FameError where nothing is finished, where a run has
    lost a table, and where an archive that lies there holds runs that would be lost.
    """
    stages = all_stages(asked.setting, asked.studies)
    found: dict[int, dict[Run, Files]] = {}
    for replicate in replicates or asked.replicates:
        first = replicate == asked.replicates[0]
        keys = [(stage_id, replicate) for stage_id in stages if store.finished(stage_id, replicate)]
        if keys:
            found[replicate] = {key: files_of(store.folder(*key), pictures=first) for key in keys}
            _check_nothing_lost(path_in(folder, replicate), found[replicate])
        elif replicates:
            raise FameError(f"{store.out}: no run of replicate {replicate} is finished; nothing was packed")
    if not found:
        raise FameError(
            f"{store.out}: no run of its study is finished (replicates: {listed(asked.replicates)}); there is nothing to pack"
        )
    packed = []
    for replicate, runs in found.items():
        path, data = path_in(folder, replicate), encode(runs, asked.to_json())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(path, data)
        except OSError as error:
            raise FameError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from None
        packed.append(Packed(path, len(runs), len(stages), len(data)))
    return packed


def _check_nothing_lost(path: Path, runs: dict[Run, Files]) -> None:
    """FameError where a part of that name holds runs that the new one would not."""
    lost = decode(path)[0].keys() - runs.keys() if path.exists() else set()
    if lost:
        stage_id, replicate = min(lost)
        what = f"holds {len(lost)} runs that would be lost (runs/{stage_id}/{replicate}, ...), as this study lacks them"
        raise FameError(f"{path}: {what}; unpack {path.parent} first, or pack into another folder")


def unpack(folder: Path, store: Store) -> Unpacked:
    """Put the runs of every part in `folder` into the store, and setting.json where it has none. Finished runs stay as they are.

    FameError where there is no part, or where one is damaged or holds what no part holds: nothing of that one is put back.
    """
    paths = paths_in(folder)
    if not paths:
        raise FameError(f"{folder}: holds no replicate-NNNN.tar.xz; name the folder that `pack` wrote")
    done = Unpacked()
    for path in paths:
        runs, setting = decode(path)
        foreign = [run for run, files in runs.items() if not _ours(run, files)]
        for run in sorted(runs.keys() - set(foreign)):
            _put(store, run, runs[run], done)
        if foreign:
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            what = f"runs/{foreign[0][0]}/{foreign[0][1]}{more}"
            done.left_out.append(f"{path}: {what}: was made by another version of the program, left out")
        _take_setting(store, path, setting, done)
    return done


def _ours(run: Run, files: Files) -> bool:
    """Whether this version of the program gives a run's configuration the id under which it was packed, its result too."""
    try:
        config, result = parsed(files[CONFIG]), parsed(files[RESULT])
        same = Stage.from_json(config).id == config["id"] == run[0]
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return same and (result.get("stage"), result.get("replicate")) == run and isinstance(result.get("metrics"), dict)


def _put(store: Store, run: Run, files: Files, done: Unpacked) -> None:
    """Write one run, its result last, so that it is finished only when it is whole."""
    if store.finished(*run):
        done.already += 1
        return
    folder = store.folder(*run)
    with store.named_errors():
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0), store.named_errors():
            for name in (CHECKPOINT, ENCODER, FAILURE):  # of an attempt whose place this run takes
                (folder / name).unlink(missing_ok=True)
            for name in sorted(files, key=lambda name: (name == RESULT, name)):
                _write(folder / name, files[name])
        done.runs += 1
    except Timeout:
        done.left_out.append(f"{folder}: a process is at this run, left out; unpack again when it has ended")


def _take_setting(store: Store, path: Path, setting: dict[str, Any], done: Unpacked) -> None:
    """A new folder takes the part's setting; one that has a setting keeps it, and a difference is told."""
    there = store.setting()
    if setting.get("studies") == [SELECTION] and there is not None and there.get("scale") == setting.get("scale"):
        return  # selection worlds lie beside a study of their scale
    if there is None:
        from_json(setting, f"{path}: {SETTING}", "its runs are there; run the study, which writes a new one")
        store.write_setting(setting)
    elif there != setting:
        differing = ", ".join(sorted(key for key in there.keys() | setting.keys() if there.get(key) != setting.get(key)))
        done.left_out.append(f"{path}: was packed from a study with other {differing}; {store.out / SETTING} is kept as it is")


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, lambda beside: beside.write_bytes(data))
