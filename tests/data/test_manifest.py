"""The manifest: what enters its digest, what does not, and what a damaged one says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fame.data.manifest import Manifest, Video
from fame.errors import FameError

VIDEOS = [
    Video("A/a.avi", 0, "train", 12, 12.0, 48, 32, {"scene": "3"}, "00"),
    Video("B/b.avi", 1, "train", 12, 12.0, 48, 32, {}, "11"),
    Video("B/c.avi", 1, "test/deranged", 9, 25.0, 48, 32, {}, "22"),
]


def manifest(root: Path = Path("data"), videos: list[Video] = VIDEOS) -> Manifest:
    return Manifest("tiny", root, ["A", "B"], list(videos))


def test_it_returns_from_disk_as_it_was_and_moves_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    made = manifest(tmp_path / "there")
    made.save(tmp_path / "here" / "manifest.json")
    (tmp_path / "here").rename(tmp_path / "there")
    loaded = Manifest.load(tmp_path / "there" / "manifest.json")
    assert loaded == made and loaded.digest() == made.digest()


def test_the_digest_is_of_classes_and_videos_in_their_order() -> None:
    assert manifest().digest() == "3e3011f8bf62"  # changes only with VERSION
    assert manifest(Path("elsewhere")).digest() == manifest().digest() == replace(manifest(), name="other").digest()
    assert replace(manifest(), classes=["A", "C"]).digest() != manifest().digest()
    assert manifest(videos=VIDEOS[::-1]).digest() != manifest().digest()


def _edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "No such file"),
        (lambda file: file.write_text(file.read_text()[:100]), "Unterminated"),
        (lambda file: file.write_text("[]"), "indices must be"),
        (lambda file: _edit(file, version=99), "its digest does not agree"),
        (lambda file: _edit(file, classes=["A", "C"]), "its digest does not agree"),
        (lambda file: _edit(file, videos=[{"paths": "a"}]), "unexpected keyword argument 'paths'"),
    ],
)
def test_a_damaged_manifest_is_one_clear_line(tmp_path: Path, damage: Any, message: str) -> None:
    file = tmp_path / "manifest.json"
    manifest(tmp_path).save(file)
    damage(file)
    with pytest.raises(FameError, match=message) as caught:
        Manifest.load(file)
    assert str(caught.value).startswith(str(file)) and "\n" not in str(caught.value)
