"""Making the packed store: once, by one process, and going on where it was killed or the disk was full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fame.data import packing
from fame.data.manifest import Manifest
from fame.data.packed import PackedStore
from fame.errors import FameError
from tests.data.test_packed import LENGTHS, four_videos, packed  # noqa: F401 (a fixture)
from tests.videos import write_video

# ---------------------------------------------------------------- making it


def test_it_is_made_once_for_a_manifest_and_a_size(manifest: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = packed(manifest, folder)
    made = (folder / "index.json").stat().st_mtime_ns
    assert packed(manifest, folder).size == store.size == (48, 72)
    assert (folder / "index.json").stat().st_mtime_ns == made
    assert sorted(path.name for path in folder.iterdir()) == ["frames.bin", "index.json"]
    other = replace(manifest, videos=manifest.videos[:2])
    assert len(packed(other, folder)) == 2
    assert PackedStore.prepare(other, folder, 32, 1).size == (32, 48)


def half(manifest: Manifest, folder: Path, monkeypatch: pytest.MonkeyPatch, done: int = 2) -> None:
    """Stop after `done` videos, as a full disk would."""
    record, count = packing._record, iter(range(100))

    def stops(*given):
        if next(count) == done:
            raise OSError(28, "No space left on device")
        return record(*given)

    with monkeypatch.context() as patch:
        patch.setattr(packing, "_record", stops)
        with pytest.raises(FameError, match=r"cannot be written.*what is written stays"):
            packed(manifest, folder)


def rows_packed(manifest: Manifest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make the store, and tell which rows had to be packed for it."""
    record, seen = packing._record, []
    monkeypatch.setattr(packing, "_record", lambda root, side, item: seen.append(item[0]) or record(root, side, item))
    store = packed(manifest, folder)
    assert store.check() == []
    whole = packed(manifest, folder.with_name("whole"))
    for row, frames in enumerate(LENGTHS):
        assert np.array_equal(store.frames_of(row, range(frames)), whole.frames_of(row, range(frames)))
    return seen[: len(seen) - len(LENGTHS)]


def test_what_was_packed_before_a_full_disk_stays(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half(manifest, tmp_path / "store", monkeypatch)
    with pytest.raises(FameError, match="no prepared videos"):
        PackedStore.open(tmp_path / "store")
    assert rows_packed(manifest, tmp_path / "store", monkeypatch) == [2, 3]


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda frames, journal: frames.write_bytes(frames.read_bytes() + b"half a record"), [2, 3]),
        (lambda frames, journal: frames.write_bytes(frames.read_bytes()[:-1]), [1, 2, 3]),
        (lambda frames, journal: journal.write_bytes(journal.read_bytes()[:-9]), [1, 2, 3]),
        (lambda frames, journal: journal.write_bytes(b"\0" * 99 + b"\n"), [0, 1, 2, 3]),
        (
            lambda frames, journal: journal.write_bytes(journal.read_bytes().replace(b'"quality": 85', b'"quality": 5')),
            [0, 1, 2, 3],
        ),
        (lambda frames, journal: frames.unlink(), [0, 1, 2, 3]),
        (lambda frames, journal: frames.write_bytes(bytes([frames.read_bytes()[0] ^ 1]) + frames.read_bytes()[1:]), [0, 1, 2, 3]),
    ],
)
def test_only_whole_records_are_taken_over(manifest: Manifest, tmp_path: Path, monkeypatch, damage, left: list[int]) -> None:
    half(manifest, tmp_path / "store", monkeypatch)
    damage(tmp_path / "store" / "frames.bin", tmp_path / "store" / "journal.jsonl")
    assert rows_packed(manifest, tmp_path / "store", monkeypatch) == left


SLOWLY = """
import sys, time
from pathlib import Path
from fame.data import packing
from fame.data.manifest import Manifest
from fame.data.packed import PackedStore
record = packing._record
def slow(root, side, item):
    time.sleep(float(sys.argv[3]))
    with open(sys.argv[2] + ".log", "a") as log:
        log.write(f"{item[0]}\\n")
    return record(root, side, item)
packing._record = slow
PackedStore.prepare(Manifest.load(Path(sys.argv[1])), Path(sys.argv[2]), 48, 1)
"""


def start(manifest: Manifest, folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    manifest.save(folder.with_suffix(".manifest"))
    words = [sys.executable, "-c", SLOWLY, str(folder.with_suffix(".manifest")), str(folder), str(seconds)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[2])


def journalled(folder: Path) -> int:
    journal = folder / "journal.jsonl"
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0


def test_killed_half_way_it_goes_on_where_it_was(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "store"
    process = start(manifest, folder, 1.0)
    until = time.monotonic() + 120
    while journalled(folder) < 1 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = journalled(folder)
    assert 1 <= done < 4 and not (folder / "index.json").exists()
    assert rows_packed(manifest, folder, monkeypatch) == list(range(done, 4))


def test_of_two_processes_one_makes_it(manifest: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    pair = [start(manifest, folder, 0.1) for _ in range(2)]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]
    assert sorted(folder.with_name("store.log").read_text().split()) == ["0", "1", "2", "3"]
    assert PackedStore.open(folder).check() == []


def test_a_changed_video_is_named(manifest: Manifest, tmp_path: Path) -> None:
    write_video(manifest.root / "c1/3.avi", 7)
    with pytest.raises(FameError, match=r"c1.3\.avi: the file has changed"):
        packed(manifest, tmp_path / "store")
