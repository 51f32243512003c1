"""Every layout in miniature, from the folder as distributed to the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.data.layouts import Kind, read_layout
from tests.miniatures import counts, diving48, folder, hmdb51, kinetics, put, ucf101
from tests.programs import ran
from tests.videos import moving_square, write_video

pytestmark = pytest.mark.long


def kinetics_with_gaps(root: Path, content: bytes) -> Path:
    """As every copy is: two of the listed videos are not there, one in training and one in val."""
    kinetics(root, content)
    for split in ("train", "val"):
        next(iter(sorted((root / split).rglob("*.mp4")))).unlink()
    return root


def folder_with_list(root: Path, content: bytes) -> Path:
    """Videos whose list says train, val and test, with hostile names in it."""
    folder(root, content, 16)
    lines = ["path,label,split"]
    for index in range(16):
        split = ("train", "train", "val", "test")[index // 4]
        lines.append(f'class{index % 2}/{index:02d}.avi,"größe, {index % 2}",{split}')
    put(root / "splits.csv", "\ufeff" + "\r\n".join(lines) + "\r\n")
    return root


Make = Callable[[Path, bytes], Path]
SETS: dict[str, tuple[Kind, Make, str]] = {  # layout, folder, codec
    "ucf101": ("ucf101", ucf101, "raw"),
    "hmdb51": ("hmdb51", hmdb51, "jpeg"),
    "kinetics400 with gaps": ("kinetics400", kinetics_with_gaps, "raw"),
    "diving48": ("diving48", diving48, "jpeg"),
    "folder": ("folder", folder, "jpeg"),
    "folder with a list": ("folder", folder_with_list, "raw"),
}


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", moving_square(12, 36, 48)).read_bytes()


def made(make: Make, root: Path, content: bytes) -> Path:
    """The set with every file another one."""
    make(root, content)
    for index, path in enumerate(sorted(path for path in root.rglob("*") if path.suffix in (".avi", ".mp4"))):
        path.write_bytes(content + index.to_bytes(2, "big"))
    return root


@pytest.mark.parametrize("name", SETS)
def test_from_the_folder_to_the_report(name: str, content: bytes, tmp_path: Path) -> None:
    kind, make, codec = SETS[name]
    root = made(make, tmp_path / "the set", content)
    listing = read_layout(root, kind, 1, tmp_path / "out" / "cache" / "scan")
    words = ["--dataset", kind, "--data-root", "the set", "--scale", "smoke", "--only", "area_ratio/0.5/single"]
    words += ["--codec", codec, "--device", "cpu", "--jobs", "2"]
    planned = "".join(ran("plan", *words, cwd=tmp_path))
    assert "3 runs, 3 to do" in planned and not list((tmp_path / "out" / "runs").rglob("*"))
    gaps = f"{len(listing.missing)} of {len(listing.missing) + len(listing.entries)} listed videos are not on disk"
    assert (gaps in planned) == bool(listing.missing) == (name == "kinetics400 with gaps")
    done = "".join(ran(*words, cwd=tmp_path))
    assert "3 runs done, 0 were there." in done and "listed videos are not on disk" not in done  # that was told
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["dataset"] == kind and report["videos"]["splits"] == counts(listing)
    assert report["videos"]["left_out"] == []
    assert "broken" not in (tmp_path / "out/report/index.html").read_text(encoding="utf-8")
    entries = [entry for entry in report["tables"]["area_ratio"] if entry["status"] == "done"]
    assert entries and all(0 <= entry["mean"] <= 100 for entry in entries)
    tested = {entry.path for entry in listing.entries if entry.split == "test"}
    for file in (tmp_path / "out").glob("runs/*/0/predictions.csv"):
        with file.open(encoding="utf-8", newline="") as lines:
            own = {row["video"]: int(row["label"]) for row in csv.DictReader(lines) if row["condition"] == "own"}
        assert own == {entry.path: entry.label for entry in listing.entries if entry.path in tested}
    assert bool(list((tmp_path / "out" / "cache").glob("videos/*/*/*.npy"))) == (codec == "raw")
