"""Planted faults: each is found under its own name, listed, and left out or not as the bound says."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from fame.data.faults import FAULTS, REMARKS
from fame.data.scan import BrokenVideos, Finding, read_report, report_file, scan
from tests.miniatures import put
from tests.videos import encode, truncate, write_video


def noise(frames: int = 40, height: int = 32, width: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (frames, height, width, 3), dtype=np.uint8)


def patched(path: Path, begin: float, end: float) -> None:
    """Random bytes over a part of a file."""
    content = bytearray(path.read_bytes())
    first, last = int(begin * len(content)), int(end * len(content))
    content[first:last] = np.random.default_rng(1).integers(0, 256, last - first, dtype=np.uint8).tobytes()
    path.write_bytes(content)


def overstated(path: Path) -> None:
    """An avi whose header and stream header claim twice the frames."""
    content = bytearray(write_video(path, noise()).read_bytes())
    for at in (content.find(b"avih") + 24, content.find(b"strh") + 40):
        assert struct.unpack_from("<I", content, at) == (40,)
        struct.pack_into("<I", content, at, 80)
    path.write_bytes(content)


def two_sizes(path: Path) -> None:
    """Two transport streams of different sizes, one after the other."""
    parts = [write_video(path.with_suffix(f".{width}.ts"), noise(width=width), codec="libx264") for width in (32, 48)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()


def image(path: Path) -> None:
    from PIL import Image

    Image.fromarray(noise()[0]).save(path.with_suffix(".png"))
    path.with_suffix(".png").rename(path)


def held_in_parts(path: Path) -> None:
    """Damage within one frame, which the decoder conceals."""
    write_video(path, noise())
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 200] = bytes(200)
    path.write_bytes(content)


Make = Callable[[Path], object]
PLANTED: dict[str, tuple[str, str, Make]] = {  # file: what, name, how it is made
    "empty.avi": ("fault", "not-a-video", lambda path: path.touch()),
    "half.avi": ("fault", "corrupt", lambda path: truncate(write_video(path, noise()))),
    "image.avi": ("fault", "not-a-video", image),
    "one.avi": ("fault", "one-frame", lambda path: write_video(path, 1)),
    "claims.avi": ("remark", "ends-early", overstated),
    "sizes.mp4": ("fault", "size-changes", two_sizes),
    "folder.avi": ("fault", "unreadable", lambda path: path.mkdir()),
    "link.avi": ("fault", "unreadable", lambda path: path.symlink_to(path.with_name("nothing.avi"))),
    "scratched.avi": ("remark", "concealed", held_in_parts),
}


def planted(root: Path) -> Path:
    """Split folders: PLANTED in a training class, sound videos, and a copy across splits."""
    for name, (_, _, make) in PLANTED.items():
        path = root / "train" / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    for index in range(3):
        write_video(root / "train" / "b" / f"sound{index}.avi", noise(seed=2 + index))
    put(root / "test" / "b" / "leak.avi", (root / "train" / "b" / "sound1.avi").read_bytes())
    write_video(root / "test" / "a" / "sound.avi", noise(seed=9))
    write_video(root / "val" / "a" / "sound.avi", noise(seed=10))
    return root


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted(tmp_path_factory.mktemp("planted"))


def found_in(root: Path, cache: Path) -> list[Finding]:
    return read_report(report_file(root, "folder", 1, cache))


def test_every_planted_kind_is_found_under_its_name(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenVideos, match=r"^folder: 7 of 15 videos are broken: 7 train ") as caught:
        scan(damaged, "folder", 1, tmp_path, 1)
    message = str(caught.value)
    assert "(first: train/a/folder.avi: unreadable" in message and "--exclude-broken" in message
    assert str(caught.value.report) in message and "\n" not in message
    found = found_in(damaged, tmp_path)
    assert caught.value.report == report_file(damaged, "folder", 1, tmp_path)
    expected = {(f"train/a/{name}", "train", what, kind) for name, (what, kind, _) in PLANTED.items()}
    copies = {
        ("train/b/sound1.avi", "train", "remark", "leaked"),
        ("test/b/leak.avi", "test", "remark", "leaked"),
    }
    assert {finding[:4] for finding in found} >= expected | copies
    assert {finding.video for finding in found} == {video for video, *_ in expected | copies}  # nothing is said of the sound ones
    assert {finding.video for finding in found if finding.what == "fault"} == {
        video for video, _, what, _ in expected if what == "fault"
    }
    assert all(finding.says for finding in found)
    kinds = {finding.name for finding in found}
    assert kinds == {*FAULTS, *REMARKS}
    assert sorted(finding.split for finding in found if finding.name == "leaked") == ["test", "train"]


def test_the_bound_decides(damaged: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BrokenVideos, match=r"share of 0\.3 that may be left out: .*--most-broken 0\.467 would"):
        scan(damaged, "folder", 1, tmp_path, 1, most_broken=0.3)
    manifest = scan(damaged, "folder", 1, tmp_path, 1, most_broken=0.467)
    left = {Path(video.path).name for video in manifest.videos}
    assert len(manifest.videos) == 8 and not left & {name for name, (what, _, _) in PLANTED.items() if what == "fault"}
    assert "they are left out: numbers on this copy are of 8 videos" in caplog.text


def test_one_broken_test_video_of_a_small_set_is_within_any_bound_but_none(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for index in range(2):
            write_video(tmp_path / "set" / split / "a" / f"{index}.avi", noise(seed=index + 7 * len(split)))
    (tmp_path / "set/test/a/0.avi").write_bytes(b"")
    with pytest.raises(BrokenVideos, match="1 of 6 videos are broken: 1 test "):
        scan(tmp_path / "set", "folder", 1, tmp_path, 1, most_broken=0)
    assert len(scan(tmp_path / "set", "folder", 1, tmp_path, 1, most_broken=0.01).select("test")) == 1


def test_the_command_shows_the_counts_and_stops(damaged: Path, tmp_path: Path) -> None:
    from run_study import app

    command = ["data", "scan", "--dataset", "folder", "--data-root", str(damaged), "--out", str(tmp_path), "--jobs", "1"]
    stopped = CliRunner().invoke(app, command)
    assert stopped.exit_code != 0 and any(line.split()[:3] == ["fault", "corrupt", "1"] for line in stopped.output.splitlines())
    went = CliRunner().invoke(app, [*command, "--most-broken", "1"])
    assert went.exit_code == 0 and "5 train" in went.output.replace("\n", " ") and ".report.csv" in went.output


def with_longer_sound(path: Path, late: int = 0) -> None:
    """A video of 40 frames, 3.3 s, that begins after `late` seconds, and whose sound goes on for 9 s."""
    with av.open(str(path), "w") as container:
        encode(container, noise(), codec="libx264", clock=lambda index: index + 12 * late, sound=9)


def through_a_pipe(path: Path) -> None:
    """An avi whose writer could not go back to state lengths in its header."""

    class Pipe:
        def __init__(self) -> None:
            self.content = b""

        def write(self, more: bytes) -> int:
            self.content += more
            return len(more)

    pipe = Pipe()
    with av.open(pipe, "w", format="avi") as container:
        encode(container, noise())
    path.write_bytes(pipe.content)


def cut_without_encoding(path: Path) -> None:
    """The last 40 of 100 frames, copied with their lead-in from the keyframe on, which an edit list hides."""
    whole = write_video(path.with_name("whole.mp4"), noise(100), codec="libx264", options={"g": "100", "bf": "0"})
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        old = source.streams.video[0]
        new = container.add_stream_from_template(old)
        assert old.time_base
        shift = round(60 / 12 / old.time_base)
        for packet in source.demux(old):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, new
                container.mux(packet)
    whole.unlink()
