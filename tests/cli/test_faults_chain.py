"""Real UCF101 clips with every kind of fault among them, from the scan to the report."""

from __future__ import annotations

import csv
import json
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fame.data.faults import FAULTS
from fame.data.layouts.ucf101 import read_ucf101
from tests.programs import ROOT, ran, started
from tests.videos import image, noise, overstated, patched, truncate, two_sizes, write_sound, write_video

REAL = ROOT.parent / "shared" / "real-video"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not REAL.is_dir(), reason="no real UCF101 clips beside the checkout (../shared/real-video)"),
]
TRAIN, TEST = 30, 12  # clips that are copied


def without_codec(path: Path) -> None:
    """The real clip under a codec's name that no decoder knows."""
    path.write_bytes(path.read_bytes().replace(b"XVID", b"ZZ9Z").replace(b"xvid", b"ZZ9Z"))


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("v.avi", b"0" * 5000)


def made_as(make: Callable[[Path], object], suffix: str) -> Callable[[Path], object]:
    """A maker of a file of another container, which then gets the avi's name."""

    def under_its_name(path: Path) -> None:
        make(path.with_suffix(suffix))
        path.with_suffix(suffix).replace(path)

    return under_its_name


def gone(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """The clip is deleted before `make`."""
    return lambda path: (path.unlink(), make(path))


Plant = tuple[str, Callable[[Path], object]]
BROKEN: list[Plant] = [
    ("not-a-video", lambda path: truncate(path, 0.002)),
    ("not-a-video", lambda path: path.write_bytes(b"")),
    ("not-a-video", lambda path: path.write_text("<html>404</html>\n" * 50)),
    ("not-a-video", archive),
    ("not-a-video", lambda path: path.write_text("ffconcat version 1.0\nfile other.avi\n")),
    ("not-a-video", gone(image)),
    ("not-a-video", gone(write_sound)),
    ("one-frame", lambda path: write_video(path, noise(1, 240, 320))),
    ("corrupt", gone(made_as(lambda path: patched(write_video(path, noise(), codec="libx264"), 1 / 3, 1 / 2), ".mp4"))),
    ("unreadable", gone(lambda path: path.mkdir())),
    ("unreadable", gone(lambda path: path.symlink_to("nothing.avi"))),
    ("size-changes", gone(made_as(two_sizes, ".mp4"))),
    ("not-a-video", without_codec),
]
KEPT: list[Plant] = [
    ("ends-early", lambda path: patched(path, 1 / 3, 1 / 2)),
    ("ends-early", overstated),
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], dict[str, str]]:
    """(folder of the set, fault by path, remark by path). Every third fault is among the tests."""
    root = tmp_path_factory.mktemp("planted") / "ucf101"
    shutil.copytree(REAL / "ucfTrainTestlist", root / "ucfTrainTestlist")
    entries = read_ucf101(REAL, 1).entries
    chosen = [e.path for e in entries if e.split != "test"][:TRAIN], [e.path for e in entries if e.split == "test"][:TEST]
    for path in (*chosen[0], *chosen[1]):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REAL / path, root / path)
    rooms = [iter(paths) for paths in chosen]
    told: list[dict[str, str]] = []
    for plants in (BROKEN, KEPT):
        told.append({})
        for index, (name, make) in enumerate(plants):
            path = next(rooms[index % 3 == 2])
            make(root / path)
            told[-1][path] = name
    return root, *told


ROW = ("--scale", "smoke", "--only", "area_ratio/0.5/single", "--device", "cpu", "--jobs", "2")


def of(root: Path, out: Path) -> tuple[str, ...]:
    return "--dataset", "ucf101", "--data-root", str(root), "--out", str(out)


def refused(*words: str, cwd: Path) -> tuple[str, str]:
    """What is printed, and the one line, the last one of standard error, that says why it stopped."""
    out, err = ran(*words, cwd=cwd, code=2)
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert err.splitlines()[-1] == line
    return out, line


def results(out: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in (out / "runs").rglob("result.json")}


Planted = tuple[Path, dict[str, str], dict[str, str]]


def test_without_leave_nothing_is_trained_and_every_fault_is_named(planted: Planted, tmp_path: Path) -> None:
    root, broken, remarks = planted
    out = tmp_path / "out"
    printed, line = refused("data", "scan", *of(root, out), cwd=tmp_path)
    splits = Counter("test" if path in list(broken)[2::3] else "train" for path in broken)
    assert f"ucf101: {len(broken)} of {TRAIN + TEST} videos are broken: " in line
    assert f"{splits['test']} test" in line
    assert "--exclude-broken" in line and "; list: " in line
    shown = {words[1] for words in map(str.split, printed.splitlines()) if words[:1] == ["fault"]}
    assert shown == set(broken.values()) == set(FAULTS)
    (report,) = (out / "cache" / "scan").glob("*.report.csv")
    rows = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    assert {row["video"]: row["name"] for row in rows if row["what"] == "fault"} == broken
    named = {(row["video"], row["name"]) for row in rows if row["what"] == "remark"}
    assert named >= set(remarks.items())
    assert refused(*of(root, out), *ROW, cwd=tmp_path)[1] == line
    assert not list((out / "runs").rglob("*")) and not (out / "setting.json").exists()


@pytest.fixture(scope="module")
def went_on(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("went on") / "out"  # with a blank in its path
    return out, ran(*of(planted[0], out), *ROW, "--most-broken", "0.5", cwd=out.parent)[1]


def test_with_a_bound_that_suffices_the_report_counts_and_names_what_is_left_out(
    planted: Planted, went_on: tuple[Path, str]
) -> None:
    (_, broken, _), (out, err) = planted, went_on
    warned = [line for line in err.splitlines() if "they are left out" in line]
    assert len(warned) == 1
    assert f"numbers on this copy are of {TRAIN + TEST - len(broken)} videos" in warned[0]
    report = json.loads((out / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["runs"]["finished"] == report["runs"]["planned"] == 3
    facts = report["videos"]
    assert facts["videos"] == TRAIN + TEST - len(broken)
    assert {one["video"]: one["fault"] for one in facts["left_out"]} == broken
    (line,) = facts["left_out_counted"]
    assert line.startswith(f"ucf101, fold 1: {len(broken)} broken videos left out: ")
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert line in page and all(f"{path} (" in page for path in broken)
    kept = json.loads((out / "setting.json").read_text(encoding="utf-8"))
    assert sum(kept["folds"][0]["A"]["counts"].values()) == facts["videos"]
    assert len(kept["left_out"]) == len(broken)
    predicted = {row["video"] for file in out.glob("runs/*/0/predictions.csv") for row in csv.DictReader(file.open())}
    assert predicted and not predicted & set(broken)


def test_a_video_that_breaks_after_the_scan_is_noticed(planted: Planted, went_on: tuple[Path, str], tmp_path: Path) -> None:
    root, out = tmp_path / "ucf101", tmp_path / "out"
    shutil.copytree(planted[0], root, symlinks=True)
    sound = next(path for path in sorted(root.rglob("*.avi")) if path.is_file() and _is_sound(path, planted))
    running = started(*of(root, out), *ROW, "--most-broken", "0.5", cwd=tmp_path)
    until = time.monotonic() + 300
    while not (out / "setting.json").exists():  # written after the scan, before the first run
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    sound.write_bytes(b"")
    _, err = running.communicate(timeout=600)
    (told,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert running.returncode == 2 and "Traceback" not in err and not results(out)
    assert "files changed since the scan; start the study anew, or bring the files back" in told
    assert str(root) in told
    _, line = refused(*of(root, out), *ROW, cwd=tmp_path)
    assert f"{len(planted[1]) + 1} of {TRAIN + TEST} videos are broken" in line


def _is_sound(path: Path, planted: Planted) -> bool:
    return not any(path.as_posix().endswith(other) for other in (*planted[1], *planted[2]))
