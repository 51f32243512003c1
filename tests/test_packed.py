"""The packed store: the right frames, close to the raw ones; killed half way and resumed; damage named and mended."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fame.config import Clip, VideoData
from fame.data import open_videos, packing, scan_videos
from fame.data.clips import VideoSet
from fame.data.manifest import Manifest, Video
from fame.data.packed import PackedStore
from fame.data.store import FrameStore
from fame.data.video import decode
from fame.errors import FameError
from fame.seeds import Seeds
from tests.videos import moving_square, write_video

LENGTHS = [5, 40, 17, 24]
CLIP = Clip(frames=4, stride=2, size=16)
REAL = Path(__file__).parents[2] / "shared" / "real-video"


def manifest_of(root: Path, sizes: list[tuple[int, int]]) -> Manifest:
    videos = []
    for index, (frames, (height, width)) in enumerate(zip(LENGTHS, sizes, strict=True)):
        path = f"c{index % 2}/{index}.avi"
        write_video(root / path, moving_square(frames, height, width, seed=index))
        videos.append(Video(path, index % 2, "train" if index < 3 else "test", frames, 12.0, width, height))
    return Manifest("tiny", root, ["c0", "c1"], videos)


@pytest.fixture(scope="module", params=[[(64, 96)] * 4, [(64, 96), (96, 64), (48, 48), (48, 80)]], ids=["one size", "mixed"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoSet, VideoSet]:
    """The same videos, raw and packed."""
    root = tmp_path_factory.mktemp("packed")
    manifest = manifest_of(root, request.param)
    raw = VideoSet(manifest, FrameStore.prepare(manifest, root / "raw", 48, 1))
    return raw, VideoSet(manifest, PackedStore.prepare(manifest, root / "packed", 48, 1))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return manifest_of(tmp_path / "videos", [(64, 96)] * 4)


def packed(manifest: Manifest, folder: Path, jobs: int = 1) -> PackedStore:
    return PackedStore.prepare(manifest, folder, 48, jobs)


# ---------------------------------------------------------------- pixels


def test_a_set_of_packed_videos_is_that_of_raw_ones_but_for_the_pixels(both: tuple[VideoSet, VideoSet]) -> None:
    raw, packed = both
    rows = torch.tensor([0, 1, 2, 3, 1])
    assert torch.equal(raw.labels, packed.labels) and torch.equal(raw.length, packed.length) and raw.splits == packed.splits
    starts = [videos.random_starts(rows, CLIP, torch.Generator().manual_seed(3)) for videos in both]
    assert torch.equal(*starts)
    assert torch.equal(raw.uniform_starts(rows, CLIP, 5), packed.uniform_starts(rows, CLIP, 5))
    exact, close = raw.clips(rows, starts[0], CLIP), packed.clips(rows, starts[0], CLIP)
    assert isinstance(exact, torch.Tensor) == isinstance(close, torch.Tensor)
    for a, b in zip(exact, close, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype == torch.uint8 and b.is_contiguous()
        assert (a.int() - b.int()).abs().float().mean() < 4
    if isinstance(close, torch.Tensor):
        assert close.is_contiguous()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_clip_has_exactly_the_frames_of_its_numbers(both: tuple[VideoSet, VideoSet], data: st.DataObject) -> None:
    _, videos = both
    rows = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)))
    clip = Clip(frames=data.draw(st.integers(2, 6)), stride=data.draw(st.integers(1, 3)), size=16)
    starts = videos.random_starts(rows, clip, torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    store = videos.store
    assert isinstance(store, PackedStore)
    shown = videos.clips(rows, starts, clip)
    for row, numbers, frames in zip(rows.tolist(), videos.frame_numbers(rows, starts, clip), shown, strict=True):
        whole = store.frames_of(row, range(LENGTHS[row]))
        assert np.array_equal(frames.numpy(), whole[numbers.numpy()])


def test_the_frames_lie_in_the_videos_own_order(both: tuple[VideoSet, VideoSet]) -> None:
    """Read by another JPEG decoder straight from the file, each stored frame is nearest to the video's frame of its number."""
    _, videos = both
    store = videos.store
    assert isinstance(store, PackedStore)
    for row, video in enumerate(videos.manifest.videos):
        raw = decode(videos.manifest.root / video.path, 48).astype(int)
        record = store.data[int(store.offsets[row]) :][: int(store.sizes[row])]
        lengths = np.frombuffer(record[: 8 * len(raw)].tobytes(), "<u4")[::2]
        begin = 8 * len(raw)
        for number, length in enumerate(lengths):
            shown = np.asarray(Image.open(io.BytesIO(record[begin : begin + length].tobytes()))).astype(int)
            begin += length
            wrong = np.abs(raw - shown).mean(axis=(1, 2, 3))
            assert wrong[number] == wrong.min() < 4
            assert np.abs(store.frames_of(row, [number])[0].astype(int) - shown).mean() < 0.5
        assert begin == len(record)


def test_threads_and_processes_read_the_same_pixels(both: tuple[VideoSet, VideoSet]) -> None:
    _, videos = both
    rows, starts = torch.tensor([3, 1, 2]), torch.tensor([2, 20, 5])
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(videos.clips(rows, starts, CLIP))
    finally:
        torch.set_num_threads(before)
    found.append(pickle.loads(pickle.dumps(videos)).clips(rows, starts, CLIP))
    for others in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], others, strict=True))


def test_the_codec_is_chosen_by_the_configuration_and_in_the_identity(tmp_path: Path) -> None:
    for name in ("v_a_g01_c01", "v_a_g02_c01", "v_b_g01_c01", "v_b_g02_c01"):
        write_video(tmp_path / "set" / name[2] / f"{name}.avi", 9)
    digest = scan_videos(tmp_path / "set", "folder", 1, tmp_path / "cache").digest()
    chosen = {codec: VideoData(kind="folder", manifest=digest, short_side=32, codec=codec) for codec in ("raw", "jpeg")}
    opened = {codec: open_videos(data, Seeds(0), tmp_path / "cache", tmp_path / "set") for codec, data in chosen.items()}
    assert {codec: videos.store.codec for codec, videos in opened.items()} == {"raw": "raw", "jpeg": "jpeg"}
    assert isinstance(opened["jpeg"].store, PackedStore) and isinstance(opened["raw"].store, FrameStore)
    assert opened["jpeg"].store.folder != opened["raw"].store.folder


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
    return subprocess.Popen(words, cwd=Path(__file__).parents[1])


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


# ---------------------------------------------------------------- damage


@settings(max_examples=40, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_wrong_bit_anywhere_is_found_named_and_mended(both: tuple[VideoSet, VideoSet], where: float, bit: int) -> None:
    _, videos = both
    assert isinstance(videos.store, PackedStore)
    file = videos.store.folder / "frames.bin"
    sound, end = file.read_bytes(), max(videos.store.offsets + videos.store.sizes)
    place = int(where * end)
    row = int(np.flatnonzero((videos.store.offsets <= place) & (place < videos.store.offsets + videos.store.sizes))[0])
    try:
        with file.open("r+b") as target:
            target.seek(place)
            target.write(bytes([sound[place] ^ 1 << bit]))
        store = PackedStore.open(videos.store.folder)
        assert store.check() == [row]
        for other in range(4):
            if other != row:
                store.frames_of(other, range(LENGTHS[other]))
        with pytest.raises(FameError, match=rf"frames\.bin: (frame \d+|the record) of c{row % 2}/{row}\.avi is damaged.*--check"):
            store.frames_of(row, range(LENGTHS[row]))
    finally:
        with file.open("r+b") as target:
            target.write(sound)


def test_mending_packs_the_damaged_videos_anew(manifest: Manifest, tmp_path: Path) -> None:
    store = packed(manifest, tmp_path / "store")
    before = store.frames_of(1, range(LENGTHS[1]))
    with (tmp_path / "store" / "frames.bin").open("r+b") as file:
        file.seek(int(store.offsets[1]) + 999)
        file.write(b"\0\xff\0\xff")
    damaged = PackedStore.open(tmp_path / "store")
    assert damaged.check() == [1]
    mended = damaged.mend(manifest, [1])
    assert mended.check() == [] and np.array_equal(mended.frames_of(1, range(LENGTHS[1])), before)
    assert packed(manifest, tmp_path / "store").check() == []


@pytest.mark.parametrize("damage", ["cut", "index", "version", "gone"])
def test_a_damaged_store_is_refused_and_made_anew(manifest: Manifest, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "store"
    packed(manifest, folder)
    index = json.loads((folder / "index.json").read_text())
    match damage:
        case "cut":
            (folder / "frames.bin").write_bytes((folder / "frames.bin").read_bytes()[:-1])
        case "index":
            (folder / "index.json").write_text("{")
        case "version":
            (folder / "index.json").write_text(json.dumps(index | {"quality": 50}))
        case "gone":
            (folder / "frames.bin").unlink()
    with pytest.raises(FameError, match=str(folder)):
        PackedStore.open(folder)
    assert packed(manifest, folder).check() == []


# ---------------------------------------------------------------- real videos


@pytest.mark.skipif(not REAL.is_dir(), reason="no real UCF101 clips beside the checkout (../shared/real-video)")
def test_real_videos_are_close_to_the_raw_ones_and_small(tmp_path: Path) -> None:
    files = sorted((REAL / "UCF-101").glob("*/*.avi"))[::30]
    decoded = [decode(path, 128) for path in files]
    videos = [
        Video(str(path.relative_to(REAL)), 0, "train", len(frames), 25.0, 320, 240)
        for path, frames in zip(files, decoded, strict=True)
    ]
    store = PackedStore.prepare(Manifest("real", REAL, ["one"], videos), tmp_path / "store", 128, 1)
    for row, frames in enumerate(decoded):
        numbers = range(0, len(frames), 7)
        assert np.abs(store.frames_of(row, numbers).astype(int) - frames[::7]).mean() < 5
    assert store.data.size < 0.5 * sum(frames.size for frames in decoded) / 3
