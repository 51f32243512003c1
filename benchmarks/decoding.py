"""(5) Real videos: clips a second from the raw store, from the packed one, and decoded from the original files; what each takes.

The same random clips of the same UCF101 videos, in alternation. Straight decoding reads a file from its beginning to the clip's
last frame, with threads over clips as the packed store has: both sides use all the threads that there are.
"""

from __future__ import annotations

from pathlib import Path

import torch
from fame.data.packed import PackedStore

from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.setting import Setting, threads
from benchmarks.timing import Spread, alternate
from fame.config import Clip, VideoData
from fame.data import open_videos, scan_videos
from fame.data.clips import VideoSet
from fame.seeds import SELECTION_REPLICATES, Seeds

TITLE = "Real videos: the prepared stores against decoding the files"
ROOT = Path(__file__).resolve().parents[2] / "shared" / "real-video"  # UCF-101/ and ucfTrainTestlist/; never in the project
UCF101_FRAMES = 2.49e6  # 13320 videos of 186.5 frames (Soomro, Zamir, Shah 2012: 1600 minutes at 25 frames a second, about)
CODECS = ("raw", "jpeg", "straight")
FASTER = {
    codec: Target(f"clips of 16 frames at stride 2, {codec} store: clips/s against decoding the avi", 10, "x", at_most=False)
    for codec in ("raw", "jpeg")
}
DISK = Target("UCF101 at 128 px, packed", 16, "GB", at_most=True)
TARGETS = (*FASTER.values(), DISK)


def measure(setting: Setting) -> Outcome:
    sheet = Sheet("decoding", TITLE, {"frames": 16, "stride": 2, "short side": 128, "threads": setting.threads}, setting.why_not)
    if not (ROOT / "UCF-101").is_dir():
        for target in TARGETS:
            sheet.skip(target, "there are no UCF101 clips beside the checkout (../shared/real-video)")
        return sheet.outcome()
    sets = opened(setting)
    clip, rows = Clip(frames=16, stride=2, size=112), torch.arange(len(sets["raw"]))
    rows = rows[:: 24 if setting.tiny else 4 if setting.quick else 1]
    sheet.settings["clips a round"] = len(rows)
    with threads(setting.threads):
        # each has a generator of its own from one seed: the same clips for all
        works = {codec: _reader(videos, rows, clip) for codec, videos in sets.items()}
        took = alternate(works, setting.rounds)
    for codec in CODECS:
        took_it = took.of(codec)
        rate = Spread(len(rows) / took_it.median, len(rows) / took_it.high, len(rows) / took_it.low, took_it.rounds)
        sheet.add(f"{codec}: clips read", rate, "clips/s")
    for codec, target in FASTER.items():
        sheet.add(f"{codec}: times as fast as straight decoding", took.ratio("straight", codec), "x", target=target)
    packed = sets["jpeg"].store
    assert isinstance(packed, PackedStore)
    a_frame = packed.data.size / float(packed.frames.sum())
    for name, value in (("raw", 3.0 * packed.heights[0] * packed.widths[0]), ("jpeg", a_frame)):
        whole = Spread(value * UCF101_FRAMES / 1e9, value * UCF101_FRAMES / 1e9, value * UCF101_FRAMES / 1e9, 1)
        judged = DISK if name == "jpeg" else None
        sheet.add(
            f"{name}: UCF101's {UCF101_FRAMES / 1e6:.2f} million frames",
            whole,
            "GB",
            target=judged,
            note=f"{value:.0f} bytes a frame",
        )
    return sheet.outcome()


def opened(setting: Setting) -> dict[str, VideoSet]:
    """The real clips in each codec, scanned and stored in the setting's folder."""
    digest = scan_videos(ROOT, "ucf101", 1, setting.folder, setting.threads).digest()
    return {
        codec: open_videos(
            VideoData(kind="ucf101", manifest=digest, codec=codec),  # type: ignore[arg-type]
            Seeds(SELECTION_REPLICATES),
            setting.folder,
            ROOT,
            setting.threads,
        )
        for codec in CODECS
    }


def _reader(videos: VideoSet, rows: torch.Tensor, clip: Clip):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(0)
    return lambda: videos.clips(rows, videos.random_starts(rows, clip, generator), clip)
