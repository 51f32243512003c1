"""The raw store while it is written: stopped, it goes on with the rest; what is not whole in it is done anew; no room is named."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fame.data import filling
from fame.data.filling import FRAMES, INDEX, JOURNAL, PARTIAL, ChangedVideo
from fame.data.manifest import Manifest, Video
from fame.data.store import FrameStore
from fame.data.video import decode
from fame.errors import FameError
from tests.videos import moving_square, write_video

LENGTHS = [5, 21, 17, 9]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    videos = []
    for index, frames in enumerate(LENGTHS):
        write_video(tmp_path / "videos" / f"{index}.avi", moving_square(frames, 64, 96, seed=index))
        videos.append(Video(f"{index}.avi", 0, "train", frames, 12.0, 96, 64))
    return Manifest("tiny", tmp_path / "videos", ["one"], videos)


def prepared(manifest: Manifest, folder: Path) -> FrameStore:
    return FrameStore.prepare(manifest, folder, 48, 1)


def stopped(manifest: Manifest, folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, after: int = 2) -> None:
    """Begin the store, and raise `error` in place of decoding the video after so many."""
    decode_scanned, left = filling.decode_scanned, iter(range(after))

    def stops(root: Path, video: Video, short_side: int | None) -> np.ndarray:
        if next(left, None) is None:
            raise error
        return decode_scanned(root, video, short_side)

    with monkeypatch.context() as patch:
        patch.setattr(filling, "decode_scanned", stops)
        with pytest.raises((type(error), FameError)):
            prepared(manifest, folder)
    assert not (folder / INDEX).exists()


def decoded_for(manifest: Manifest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make the store, see that every frame is the decoder's, and tell which videos had to be decoded for it."""
    decode_scanned, seen = filling.decode_scanned, []
    monkeypatch.setattr(
        filling, "decode_scanned", lambda root, video, side: seen.append(video.path) or decode_scanned(root, video, side)
    )
    store = prepared(manifest, folder)
    for row, video in enumerate(manifest.videos):
        assert np.array_equal(store.video(row), decode(manifest.root / video.path, 48))
    assert sorted(path.name for path in folder.iterdir()) == [FRAMES, INDEX]
    return seen


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_was_decoded_before_a_stop_stays(
    error: BaseException, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(manifest, tmp_path / "store", monkeypatch, error)
    with pytest.raises(FameError, match="no prepared videos there"):
        FrameStore.open(tmp_path / "store")
    assert decoded_for(manifest, tmp_path / "store", monkeypatch) == ["2.avi", "3.avi"]


def flipped(folder: Path) -> None:
    content = bytearray((folder / PARTIAL).read_bytes())
    content[48 * 72 * 3 * 6] ^= 1  # in the second video
    (folder / PARTIAL).write_bytes(content)


def torn(folder: Path) -> None:
    (folder / JOURNAL).write_bytes((folder / JOURNAL).read_bytes()[:-3])


def of_another_size(folder: Path) -> None:
    (folder / JOURNAL).write_bytes((folder / JOURNAL).read_bytes().replace(b'"short_side": 48', b'"short_side": 32'))


def named(folder: Path) -> None:
    (folder / PARTIAL).rename(folder / FRAMES)


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        (flipped, [1, 2, 3]),
        (torn, [1, 2, 3]),
        (of_another_size, [0, 1, 2, 3]),
        (lambda folder: (folder / JOURNAL).write_bytes(b"\0" * 40 + b"\n"), [0, 1, 2, 3]),
        (lambda folder: (folder / PARTIAL).write_bytes(b"cut"), [0, 1, 2, 3]),
        (lambda folder: (folder / PARTIAL).unlink(), [0, 1, 2, 3]),
        (lambda folder: (folder / JOURNAL).unlink(), [0, 1, 2, 3]),
        (named, [2, 3]),
    ],
)
def test_only_what_is_whole_is_taken_over(
    damage: Callable[[Path], object], again: list[int], manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(manifest, tmp_path / "store", monkeypatch, KeyboardInterrupt())
    damage(tmp_path / "store")
    assert decoded_for(manifest, tmp_path / "store", monkeypatch) == [f"{row}.avi" for row in again]


def test_stopped_before_its_index_nothing_is_decoded_again(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(filling, "write_json", stops)
        with pytest.raises(KeyboardInterrupt):
            prepared(manifest, tmp_path / "store")
    assert (tmp_path / "store" / FRAMES).exists()
    assert decoded_for(manifest, tmp_path / "store", monkeypatch) == []


@pytest.mark.parametrize("damage", ["cut", "index", "version", "gone"])
def test_a_damaged_store_is_refused_and_made_anew(manifest: Manifest, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "store"
    prepared(manifest, folder)
    index = json.loads((folder / INDEX).read_text())
    match damage:
        case "cut":
            (folder / FRAMES).write_bytes((folder / FRAMES).read_bytes()[:-1])
        case "index":
            (folder / INDEX).write_text("{")
        case "version":
            (folder / INDEX).write_text(json.dumps(index | {"decoder": "other"}))
        case "gone":
            (folder / FRAMES).unlink()
    with pytest.raises(FameError, match=str(folder)):
        FrameStore.open(folder)
    assert np.array_equal(prepared(manifest, folder).video(3), decode(manifest.root / "3.avi", 48))


def test_a_video_that_changed_is_named_and_leaves_no_file_that_nobody_will_use(manifest: Manifest, tmp_path: Path) -> None:
    write_video(manifest.root / "3.avi", 7)
    with pytest.raises(ChangedVideo, match=r"3\.avi: the file has changed since it was scanned"):
        prepared(manifest, tmp_path / "store")
    assert not (tmp_path / "store" / PARTIAL).exists()


def test_a_full_disk_is_one_line(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(filling.os, "posix_fallocate", full)
        with pytest.raises(FameError, match=r"the prepared videos \(\d+ bytes\) cannot be written \(No space left"):
            prepared(manifest, tmp_path / "store")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(FameError, match=r"need \d+ bytes .* and 10 bytes are free; make room"):
        prepared(manifest, tmp_path / "other")
