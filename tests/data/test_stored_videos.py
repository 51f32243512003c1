"""Stored frames: exact, shared, resumed, checked, and mended where a file is damaged."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.data import store as store_module
from fame.data.faults import VideoError
from fame.data.manifest import Manifest, Video
from fame.data.store import ChangedVideo, Codec, FrameStore, open_store, ready_file
from fame.data.stored import middle_frame
from fame.data.video import decode
from fame.errors import FameError
from fame.files import sha256_of
from tests.videos import moving_square, write_video

LENGTHS = (5, 9, 4, 7)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Four videos of two sizes."""
    root = tmp_path_factory.mktemp("videos")
    videos = []
    for index, frames in enumerate(LENGTHS):
        height, width = ((32, 48), (48, 32))[index % 2]
        path = write_video(root / f"{index}.avi", moving_square(frames, height, width, seed=index))
        videos.append(Video(path.name, 0, "train", frames, 12.0, width, height, {}, sha256_of(path)))
    return Manifest("four", root, ["one"], videos)


@pytest.fixture(params=["raw", "jpeg"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return request.param


def stored(manifest: Manifest, folder: Path, codec: Codec = "raw") -> FrameStore:
    return FrameStore(manifest, folder, 16, codec).prepare()


def decoded_by(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the videos that are decoded while `work` runs."""
    seen: list[str] = []
    frames_of = store_module.frames_of
    with monkeypatch.context() as patched:
        patched.setattr(store_module, "frames_of", lambda path, side: seen.append(path.name) or frames_of(path, side))
        work()
    return seen


def test_a_raw_file_is_an_array_that_numpy_reads(manifest: Manifest, tmp_path: Path) -> None:
    store = stored(manifest, tmp_path)
    for row, video in enumerate(manifest.videos):
        expected = decode(manifest.root / video.path, 16)
        assert np.array_equal(np.load(store.paths[row], mmap_mode="r"), expected)
        assert np.array_equal(store.video(row), expected)


def test_the_middle_frame_is_read_without_the_manifest(manifest: Manifest, tmp_path: Path, codec: Codec) -> None:
    store = stored(manifest, tmp_path, codec)
    for row, frames in enumerate(LENGTHS):
        found = middle_frame(store.paths[row])
        assert found is not None and np.array_equal(found, store.video(row)[frames // 2])
    store.paths[0].write_bytes(b"no video")
    assert middle_frame(store.paths[0]) is None and middle_frame(tmp_path / "none.npy") is None


def test_other_processes_and_threads_read_the_same(manifest: Manifest, tmp_path: Path, codec: Codec) -> None:
    store = stored(manifest, tmp_path, codec)
    other = pickle.loads(pickle.dumps(store))
    with ThreadPoolExecutor(4) as pool:
        for row, found in enumerate(pool.map(other.video, range(4))):
            assert np.array_equal(found, store.video(row))


def test_another_order_shares_the_files(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(manifest, tmp_path, 16)
    fold = replace(manifest, videos=[replace(video, split="test") for video in manifest.videos[:0:-1]])
    ready = [ready_file(fold.digest(), tmp_path, 16, codec) for codec in ("raw", "jpeg")]
    assert not ready[0].exists()
    assert decoded_by(lambda: open_store(fold, tmp_path, 16), monkeypatch) == []
    assert ready[0].exists() and not ready[1].exists()
    assert np.array_equal(open_store(fold, tmp_path, 16).video(0), open_store(manifest, tmp_path, 16).video(3))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_what_was_decoded_before_a_stop_stays(
    error: BaseException, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames_of, left = store_module.frames_of, iter(range(2))

    def stops(path: Path, side: int | None):  # type: ignore[no-untyped-def]
        frames = frames_of(path, side)
        yield next(frames)
        if next(left, None) is None:
            raise error
        yield from frames

    with monkeypatch.context() as patched, pytest.raises((KeyboardInterrupt, FameError)):
        patched.setattr(store_module, "frames_of", stops)
        stored(manifest, tmp_path)
    (tmp_path / "00").mkdir(exist_ok=True)
    (tmp_path / "00" / ".half.npy.1").write_bytes(b"left by a process that was killed")
    assert decoded_by(lambda: stored(manifest, tmp_path), monkeypatch) == ["2.avi", "3.avi"]
    assert not list(tmp_path.glob("*/.*"))


@settings(max_examples=30, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), how=st.sampled_from(["raw", "jpeg"]))
def test_one_wrong_bit_anywhere_is_named_and_mended(
    manifest: Manifest, tmp_path_factory: pytest.TempPathFactory, where: float, bit: int, how: Codec
) -> None:
    store = stored(manifest, tmp_path_factory.getbasetemp() / f"bits-{how}", how)
    content = store.paths[1].read_bytes()
    at = int(where * len(content))
    store.paths[1].write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
    with patch.object(store_module.log, "warning") as told:
        store.video(1)
    assert "1.avi" in told.call_args[0] and store.paths[1].read_bytes() == content


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b""), None])
def test_damage_is_mended_where_it_is_read(
    damage: Callable[[Path], object] | None,
    manifest: Manifest,
    codec: Codec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = stored(manifest, tmp_path, codec).paths[2]
    expected = stored(manifest, tmp_path, codec).video(2)
    store = stored(manifest, tmp_path, codec)
    (damage or (lambda path: path.write_bytes(path.read_bytes()[:-9] + b"\0" * 9)))(path)
    assert decoded_by(lambda: [store.video(row) for row in (0, 1, 2, 3, 2)], monkeypatch) == ["2.avi"]
    assert np.array_equal(store.video(2), expected)
    assert "the stored frames of 2.avi are damaged or gone; decoded anew" in caplog.text


def test_a_video_that_changed_or_is_gone_is_named(manifest: Manifest, tmp_path: Path) -> None:
    write_video(tmp_path / "set" / "0.avi", 5, seed=9)
    moved = replace(manifest, root=tmp_path / "set")
    with pytest.raises(ChangedVideo, match=r"0\.avi: the file has changed since it was scanned"):
        FrameStore(moved, tmp_path / "store", 16).prepare()
    (tmp_path / "set" / "0.avi").unlink()
    with pytest.raises(VideoError, match=r"0\.avi: unreadable"):
        FrameStore(moved, tmp_path / "store", 16).prepare()


@pytest.mark.parametrize("frames", [4, 6])
def test_another_number_of_frames_is_a_changed_video(frames: int, manifest: Manifest, tmp_path: Path) -> None:
    wrong = replace(manifest, videos=[replace(manifest.videos[0], frames=frames)])
    with pytest.raises(ChangedVideo):
        stored(wrong, tmp_path)
    assert not [path for path in tmp_path.glob("*/*") if path.is_file()]


def test_a_full_disk_is_one_line_beforehand(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(FameError, match=r"need \d+ bytes .* and 10 bytes are free; make room"):
        stored(manifest, tmp_path)
