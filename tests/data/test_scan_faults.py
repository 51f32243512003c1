"""Broken videos are named, listed, and left out or not as the bound says; the zoo (test_zoo.py) has every kind of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fame.data.scan import BrokenVideos, report_file, scan
from run_study import app
from tests.videos import noise, write_video


def test_the_bound_decides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One broken video is within any bound but none, however small the set."""
    root = tmp_path / "set"
    for split in ("train", "val", "test"):
        for index in range(2):
            write_video(root / split / "a" / f"{index}.avi", noise(seed=index + 7 * len(split)))
    (root / "test/a/0.avi").write_bytes(b"")
    report = report_file(root, "folder", 1, tmp_path)
    with pytest.raises(BrokenVideos) as caught:
        scan(root, "folder", 1, tmp_path, 1, most_broken=0)
    message = str(caught.value)
    assert message.startswith("folder: 1 of 6 videos are broken: 1 test (first: test/a/0.avi: not-a-video: ")
    assert f"list: {report}); " in message and "--exclude-broken" in message and caught.value.report == report
    assert len(scan(root, "folder", 1, tmp_path, 1, most_broken=0.01).select("test")) == 1
    assert "they are left out: numbers on this copy are of 5 videos" in caplog.text
    (root / "train/a/1.avi").write_bytes(b"")
    with pytest.raises(BrokenVideos, match=r"share of 0\.3 that may be left out: .*--most-broken 0\.334 would"):
        scan(root, "folder", 1, tmp_path, 1, most_broken=0.3)
    assert len(scan(root, "folder", 1, tmp_path, 1, most_broken=0.334).videos) == 4
    command = ["data", "scan", "--dataset", "folder", "--data-root", str(root), "--out", str(tmp_path), "--jobs", "1"]
    stopped = CliRunner().invoke(app, command)
    assert stopped.exit_code != 0 and any(line.split()[:3] == ["fault", "not-a-video", "1"] for line in stopped.output.splitlines())
    went = CliRunner().invoke(app, [*command, "--most-broken", "1"])
    assert went.exit_code == 0 and "1 train" in went.output.replace("\n", " ") and ".report.csv" in went.output
