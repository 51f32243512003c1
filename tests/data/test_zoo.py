"""A zoo of video files: every sound one is used with the frames that it shows, every broken one is named, and none is mistaken."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from fame.data import scan_videos
from fame.data.faults import FAULTS, REMARKS, VideoError
from fame.data.manifest import Manifest
from fame.data.scan import Finding, read_report, report_file
from fame.data.video import decode
from tests.videos import (
    cut_without_encoding,
    held_in_parts,
    image,
    moving_square,
    noise,
    overstated,
    patched,
    through_a_pipe,
    truncate,
    two_sizes,
    with_longer_sound,
    write_sound,
    write_video,
)

FRAMES = 8
Make = Callable[[Path], object]

PLAIN = {  # container: codecs, each written where this FFmpeg has an encoder
    "mp4": "libx264 libx265 mpeg4 mpeg2video mjpeg libvpx-vp9 libsvtav1",
    "mov": "libx264 mpeg4 mjpeg prores qtrle png h263 jpeg2000",
    "mkv": "libx264 libx265 libvpx libsvtav1 ffv1 mjpeg mpeg2video",
    "avi": "mpeg4 libx264 mjpeg ffv1 huffyuv msmpeg4 rawvideo cinepak msvideo1 utvideo",
    "webm": "libvpx libvpx-vp9 libsvtav1", "mpg": "mpeg1video mpeg2video libx264", "ts": "mpeg2video libx264 libx265",
    "flv": "flv libx264 flashsv", "wmv": "wmv1 wmv2 msmpeg4", "mxf": "mpeg2video prores", "3gp": "h263 mpeg4", "gif": "gif",
    "ogv": "libvpx", "asf": "msmpeg4v3", "vob": "mpeg2video", "m2ts": "libx264", "h264": "libx264", "hevc": "libx265",
    "m2v": "mpeg2video", "m4v": "mpeg4", "f4v": "libx264", "y4m": "rawvideo",
}  # fmt: skip


def written(codec: str = "libx264", height: int = 96, width: int = 128, frames: int = FRAMES, **how: Any) -> Make:
    """Return what writes a moving square to a path, `how` as `write_video` takes it."""
    if codec == "libsvtav1":
        how["options"] = {"preset": "12"}
    return lambda path: write_video(path, moving_square(frames, height, width), 25, codec, **how)


def noisy(codec: str, damage: Make) -> Make:
    """Return what writes 30 frames of noise, so that damage hits pictures, and damages the file."""
    return lambda path: damage(write_video(path, noise(30), 25, codec))


def after_a_cover(path: Path) -> None:
    """Write a picture and then a video of another size; Matroska does not say which one is the cover."""
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream(codec, rate=25) for codec in ("mjpeg", "libx264")]
        for stream, side in zip(streams, (32, 64)):
            stream.width, stream.height, stream.pix_fmt = side, side, "yuvj420p"
        for stream, frames in zip(streams, (1, FRAMES)):
            for picture in moving_square(frames, stream.height, stream.width):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())


def replaced(make: Make, old: bytes, new: bytes) -> Make:
    """Return what makes a file and replaces bytes of it, which are there."""

    def made(path: Path) -> None:
        make(path)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))

    return made


def coloured(matrix: int) -> Make:
    """Return what writes ProRes whose frames' headers name a colour matrix by its number."""
    return replaced(written("prores"), b"fmpg\0\x80\0\x60\x80\0\2\2\2", b"fmpg\0\x80\0\x60\x80\0\2\2" + bytes([matrix]))


# the display matrix of a track in an mp4, and the width in pixels after it
UPRIGHT = b"\0\1\0\0" + bytes(12) + b"\0\1\0\0" + bytes(12) + b"\x40\0\0\0\0\x80"
TURNED = bytes(4) + b"\0\1\0\0" + bytes(4) + b"\xff\xff\0\0" + bytes(16) + b"\x40\0\0\0\0\x80"
late, halting = (lambda index: index + 50), (lambda index: index + 3 * (index // 4))
WRAPS = 25 * 95443  # frames after which the clock of a ts begins anew
overwritten = partial(patched, begin=1 / 3, end=1 / 2)
SOUND: dict[str, Make] = {
    **{f"{codec}.{suffix}": written(codec) for suffix, codecs in PLAIN.items() for codec in codecs.split()},
    **{f"late.{suffix}": written(clock=late) for suffix in ("mp4", "mov", "mkv", "ts", "flv")},
    **{f"uneven.{suffix}": written(clock=halting) for suffix in ("mp4", "mkv", "ts", "flv")},
    **{f"null_frames_{codec}.avi": written(codec, clock=halting) for codec in ("mpeg4", "mjpeg", "msmpeg4", "huffyuv")},
    **{f"b_frames.{suffix}": written("mpeg4", options={"bf": "2"}) for suffix in ("avi", "mp4")},
    **{f"longer_sound.{suffix}": with_longer_sound for suffix in ("mp4", "mkv", "mov")},
    "cover_libx264.mkv": after_a_cover,
    "wrapped_libx264.ts": written(clock=lambda index: index + WRAPS),
    "trimmed.mp4": cut_without_encoding,
    "piped.avi": through_a_pipe,
    "no_edit_list.mp4": written(muxing={"use_editlist": "0"}),
    **{f"fragments.{suffix}": written(muxing={"movflags": "frag_keyframe+empty_moov"}) for suffix in ("mp4", "mov")},
    **{f"live.{suffix}": written("libvpx", muxing={"live": "1"}) for suffix in ("mkv", "webm")},
    "turned.mp4": replaced(written(), UPRIGHT, TURNED),
    "odd.mp4": written(height=33, width=47, pixels="yuv444p"),
    **{f"odd_{codec}.mkv": written(codec, 33, 47) for codec in ("mpeg2video", "libvpx-vp9", "mpeg4", "mjpeg")},
    "one_pixel.mkv": written("ffv1", 1, 1),
    **{f"{pixels}.mkv": written("ffv1", pixels=pixels) for pixels in ("gray", "gray16le", "yuv420p10le", "bgra", "yuva420p")},
    **{f"ten_bit_{codec}.mp4": written(codec, pixels="yuv420p10le") for codec in ("libx264", "libx265")},
    "alpha.webm": written("libvpx-vp9", pixels="yuva420p"),
    "alpha.mov": written("png", pixels="rgba"),
    "reserved_matrix.mov": coloured(3),
    "latin1.mp4": replaced(written(), b"isomiso2avc1mp41", b"isomiso2avc1\xe9t\xe9s"),
    "latin1.mkv": replaced(written(), b"ENCODER", b"\xc9NCODER"),
    "latin1.flv": replaced(written("flv"), b"encoder", b"\xe9ncoder"),
    "other_size_in_header.webm": replaced(written("libvpx"), b"\xb0\x81\x80\xba\x81\x60", b"\xb0\x81\xa0\xba\x81\x78"),
    **{f"torn.{suffix}": noisy(codec, truncate) for suffix, codec in (("ts", "mpeg2video"), ("webm", "libvpx"), ("mkv", "ffv1"))},
    "ends_early.avi": overstated,
    "concealed.avi": held_in_parts,
    **{f"torn_inside_{codec}.mkv": noisy(codec, overwritten) for codec in ("mjpeg", "libvpx")},
}
for absent in {"libx264", "libx265", "libsvtav1", "libvpx", "libvpx-vp9"} - av.codecs_available:
    SOUND = {name: make for name, make in SOUND.items() if absent not in name}
WHOLE = {
    name for name in SOUND if not name.startswith(("torn", "ends_early.", "concealed.", "longer_sound.", "trimmed.", "piped."))
}

CONTAINERS = {
    "mp4": "libx264",
    "mkv": "libx264",
    "avi": "mpeg4",
    "webm": "libvpx",
    "ts": "libx264",
    "flv": "flv",
    "wmv": "wmv2",
}
BROKEN: dict[str, tuple[str, Make]] = {
    **{f"empty.{suffix}": ("not-a-video", Path.touch) for suffix in (*CONTAINERS, "h264", "gif")},
    **{f"header.{suffix}": ("not-a-video", noisy(codec, partial(truncate, share=0.0005))) for suffix, codec in CONTAINERS.items()},
    **{f"text.{suffix}": ("not-a-video", lambda path: path.write_text("not a video\n" * 50)) for suffix in (*CONTAINERS, "gif")},
    **{f"sound.{suffix}": ("not-a-video", write_sound) for suffix in ("mp4", "mkv", "avi", "ts", "flv")},
    "cover.mp4": ("not-a-video", partial(write_sound, cover=True)),
    "cover.mkv": ("one-frame", partial(write_sound, cover=True)),
    **{f"one.{suffix}": ("one-frame", written(codec, frames=1)) for suffix, codec in CONTAINERS.items()},
    **{f"half.{suffix}": ("not-a-video", noisy("mpeg4", truncate)) for suffix in ("mp4", "mov", "3gp")},
    **{f"half_{codec}.avi": ("corrupt", noisy(codec, truncate)) for codec in ("mjpeg", "ffv1", "utvideo")},
    **{f"middle_{codec}.mov": ("corrupt", noisy(codec, overwritten)) for codec in ("prores", "png", "libx264")},
    "middle.mkv": ("corrupt", noisy("ffv1", overwritten)),
    "not_permitted.wmv": ("not-a-video", replaced(written("wmv2"), bytes.fromhex("c0ef19bc4d5bcf11"), bytes(8))),
    "sizes.mp4": ("size-changes", two_sizes),
    "no_rgb.mov": ("corrupt", coloured(8)),
    "image.avi": ("not-a-video", image),
    "folder.avi": ("unreadable", Path.mkdir),
    "link.avi": ("unreadable", lambda path: path.symlink_to(path.with_name("nothing.avi"))),
}


def plain(path: Path) -> tuple[int, str]:
    """Return how many frames a plain loop decodes, and FFmpeg's word where it fails."""
    frames = 0
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if stream := container.streams.best("video"):
                stream.thread_type = "NONE"
                for _ in container.decode(stream):
                    frames += 1
    except av.error.FFmpegError as error:
        return frames, error.strerror
    return frames, ""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, list[Finding]]:
    """Return a scan's manifest and findings: one class of sound files, one of broken ones."""
    root, cache = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("cache")
    made = {f"sound/{name}": make for name, make in SOUND.items()} | {f"broken/{name}": make for name, (_, make) in BROKEN.items()}
    for name, make in made.items():
        path = root / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    (root / "test" / "sound").mkdir(parents=True)
    (root / "test" / "sound" / "leak.avi").write_bytes((root / "train" / "sound" / "mpeg4.avi").read_bytes())
    return scan_videos(root, "folder", 1, cache, most_broken=1), read_report(report_file(root, "folder", 1, cache / "scan"))


def test_every_sound_file_is_used_with_the_frames_that_it_shows(zoo: tuple[Manifest, list[Finding]]) -> None:
    manifest, found = zoo
    assert len(SOUND) > 60 and {Path(video.path).name for video in manifest.videos} == {*SOUND, "leak.avi"}
    for video in manifest.videos:
        path = manifest.root / video.path
        shown = decode(path)
        assert (video.frames, "") == plain(path) and shown.shape == (video.frames, video.height, video.width, 3), path.name
        assert path.name not in WHOLE or (video.frames == FRAMES and video.fps > 0), path.name
    said = {(Path(finding.video).name, finding.name) for finding in found if finding.what == "remark"}
    assert said >= {("ends_early.avi", "ends-early"), ("concealed.avi", "concealed")}
    assert {name for name, remark in said if name in {*WHOLE, "leak.avi"} or remark == "leaked"} == {"mpeg4.avi", "leak.avi"}
    assert {finding.name for finding in found} == {*FAULTS, *REMARKS} and all(finding.says for finding in found)


def test_every_broken_file_is_named_with_ffmpeg_s_word(zoo: tuple[Manifest, list[Finding]]) -> None:
    manifest, found = zoo
    faults = {Path(finding.video).name: finding for finding in found if finding.what == "fault"}
    assert {name: finding.name for name, finding in faults.items()} == {name: fault for name, (fault, _) in BROKEN.items()}
    for name, finding in faults.items():
        path = manifest.root / finding.video
        assert not path.is_file() or plain(path)[1] in finding.says or path.stat().st_size == 0, name
        if finding.name not in ("one-frame", "size-changes"):  # which only an inspection minds
            with pytest.raises(VideoError, match=finding.name):
                decode(path)
