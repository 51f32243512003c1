"""The packed store: the right frames, close to the raw ones."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fame.config import Clip, VideoData
from fame.data import open_videos, scan_videos
from fame.data.clips import VideoSet
from fame.data.manifest import Manifest, Video
from fame.data.packed import PackedStore
from fame.data.store import FrameStore
from fame.data.video import decode
from fame.seeds import Seeds
from tests.videos import moving_square, write_video

LENGTHS = [5, 40, 17, 24]
CLIP = Clip(frames=4, stride=2, size=16)
REAL = Path(__file__).parents[3] / "shared" / "real-video"


def manifest_of(root: Path, sizes: list[tuple[int, int]]) -> Manifest:
    videos = []
    for index, (frames, (height, width)) in enumerate(zip(LENGTHS, sizes, strict=True)):
        path = f"c{index % 2}/{index}.avi"
        write_video(root / path, moving_square(frames, height, width, seed=index))
        videos.append(Video(path, index % 2, "train" if index < 3 else "test", frames, 12.0, width, height))
    return Manifest("tiny", root, ["c0", "c1"], videos)


@pytest.fixture(
    name="both", scope="module", params=[[(64, 96)] * 4, [(64, 96), (96, 64), (48, 48), (48, 80)]], ids=["one size", "mixed"]
)
def raw_and_packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoSet, VideoSet]:
    """The same videos, raw and packed."""
    root = tmp_path_factory.mktemp("packed")
    manifest = manifest_of(root, request.param)
    raw = VideoSet(manifest, FrameStore.prepare(manifest, root / "raw", 48, 1))
    return raw, VideoSet(manifest, PackedStore.prepare(manifest, root / "packed", 48, 1))


@pytest.fixture(name="manifest")
def four_videos(tmp_path: Path) -> Manifest:
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
