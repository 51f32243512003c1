"""What an earlier scan left, damaged; no room and no leave to write. The scan goes on, or stops with one clear line."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.config import VideoData
from fame.data import open_videos, scan_report, scan_videos
from fame.data import scan as scan_module
from fame.data.inspection import inspect
from fame.data.layouts import Kind
from fame.data.store import ChangedVideo
from fame.errors import FameError
from fame.seeds import Seeds
from tests.miniatures import folder, kinetics, put, ucf101
from tests.videos import write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", 6).read_bytes()


# ---------------------------------------------------------------- what an earlier scan left


def damage_facts(value: dict[str, object]) -> None:
    value["facts"] = {"frames": 3}


def damage_fault(value: dict[str, object]) -> None:
    value |= {"facts": None, "fault": ["gone"]}


def damage_both(value: dict[str, object]) -> None:
    value |= {"facts": None, "fault": None}


@pytest.mark.parametrize("damage", [damage_facts, damage_fault, damage_both])
def test_a_remembered_result_of_another_form_is_looked_for_again(
    damage: Callable[[dict[str, object]], None], tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = folder(tmp_path / "set", clip), tmp_path / "cache"
    before = scan_videos(root, "folder", 1, cache)
    (memory,) = (cache / "scan").glob("*.jsonl")
    kept = [json.loads(line) for line in memory.read_text().splitlines() if line]
    damage(kept[3])
    memory.write_text("\n".join(map(json.dumps, kept)))
    looked: list[Path] = []
    monkeypatch.setattr(scan_module, "inspect", lambda path: (looked.append(path), inspect(path))[1])
    assert scan_videos(root, "folder", 1, cache) == before
    assert [path.relative_to(root).as_posix() for path in looked] == [kept[3]["path"]]


def test_a_cache_of_nonsense_is_made_anew(tmp_path: Path, clip: bytes) -> None:
    root, cache = ucf101(tmp_path / "set", clip, groups=2), tmp_path / "cache"
    (root / "UCF-101/Diving/v_Diving_g03_c01.avi").unlink()
    before = scan_videos(root, "ucf101", 1, cache)
    files = {path: path.read_bytes() for path in (cache / "scan").iterdir()}
    assert {path.name.partition(".")[2] for path in files} == {
        "jsonl",
        "fold1.report.csv",
        "fold1.counts.txt",
        "fold1.missing.txt",
    }
    for path in files:
        path.write_bytes(b'\xff\xfe\0bad{"')
    assert scan_videos(root, "ucf101", 1, cache) == before
    assert all(path.read_bytes() == was for path, was in files.items() if path.suffix != ".jsonl")


def test_rot_under_the_same_size_and_time_is_found_and_the_mend_mends(tmp_path: Path, clip: bytes) -> None:
    root, cache = folder(tmp_path / "set", clip), tmp_path / "cache"
    digest = scan_videos(root, "folder", 1, cache).digest()
    path = root / "class0" / "00.avi"
    was = path.stat()
    path.write_bytes(clip[:-1] + bytes([clip[-1] ^ 1]))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert scan_videos(root, "folder", 1, cache).digest() == digest  # size and time are all that a second scan looks at
    with pytest.raises(ChangedVideo, match=r"00\.avi: the file has changed since it was scanned .*`touch` it"):
        open_videos(VideoData(kind="folder", manifest=digest, short_side=16), Seeds(0), cache, root)
    path.touch()
    assert scan_videos(root, "folder", 1, cache).digest() != digest


# ---------------------------------------------------------------- no room, no leave


def full_after(writes: int) -> Callable[..., object]:
    """json.dumps that fails as a write to a full disk does, after so many lines."""
    left = iter(range(writes))
    dumps = json.dumps

    def failing(value: object, **options: object) -> str:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return dumps(value, **options)  # type: ignore[arg-type]

    return failing


def test_a_full_disk_while_scanning_is_one_line_and_what_was_scanned_is_kept(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = ucf101(tmp_path / "set", clip, groups=2), tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(scan_module.json, "dumps", full_after(5))
        with pytest.raises(FameError, match=r"\.jsonl: what the scan finds cannot be written \(No space left.*make room"):
            scan_videos(root, "ucf101", 1, cache)
    seen: list[tuple[str, int, int]] = []
    assert len(scan_videos(root, "ucf101", 1, cache, progress=lambda *at: seen.append(at)).videos) == 24
    assert seen[0] == ("scan", 0, 24 - 5)


def test_a_full_disk_at_the_report_and_a_cache_that_is_a_file_are_one_line(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "set", clip)

    def full(path: Path, write: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(scan_report, "write_atomically", full)
        with pytest.raises(FameError, match=r"report\.csv: what the scan finds cannot be written \(No space left"):
            scan_videos(root, "folder", 1, tmp_path / "cache")
    put(tmp_path / "file", "")
    with pytest.raises(FameError, match=r"file: its lock file cannot be written"):
        scan_videos(root, "folder", 1, tmp_path / "file")


@pytest.mark.parametrize(("kind", "make"), [("ucf101", ucf101), ("folder", folder), ("kinetics400", kinetics)])
def test_nothing_is_written_into_the_videos_folder(kind: Kind, make: Callable[..., Path], tmp_path: Path, clip: bytes) -> None:
    """It is read-only for all but root; and for root, times of change tell of a file that is written or made."""
    root, cache = make(tmp_path / "set", clip), tmp_path / "cache"
    for path in (root, *root.rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))}
    data = VideoData(kind=kind, manifest=scan_videos(root, kind, 1, cache).digest(), short_side=16)
    open_videos(data, Seeds(0), cache, root)
    assert {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))} == before
    for path in (root, *root.rglob("*")):
        path.chmod(0o700)
