"""kill -9 in the middle of a scan and of preparing, and two processes at one folder, as a user types it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.miniatures import put
from tests.videos import moving_square, write_video

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
MANY = 40


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty videos, each long enough that a scan of them all takes seconds; no two have the same bytes."""
    root = tmp_path_factory.mktemp("kills") / "set"
    content = write_video(root.with_name("long.avi"), moving_square(160, 240, 320)).read_bytes()
    for index in range(MANY):
        name = f"{'ab'[index % 2]}/v_x_g{index // 2:02d}_c01.avi"
        put(root / name, content + bytes([index]))  # a byte behind the avi's own end
    return root


def typed(verb: str, root: Path, out: Path, *words: str) -> list[str]:
    common = ["--dataset", "folder", "--data-root", str(root), "--out", str(out)]
    return [sys.executable, str(ROOT / "run_study.py"), "data", verb, *common, *words]


def ran(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def killed_when(command: list[str], begun: Callable[[], bool]) -> None:
    """Start the command, kill -9 it alone as soon as `begun`; wait until its processes have gone."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not begun() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    assert process.poll() is None, "it had finished before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 20
    while any_of_session(process.pid):
        assert time.monotonic() < until, "a process was left behind"
        time.sleep(0.05)


def any_of_session(session: int) -> bool:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        found.append(int(of) == session and state != "Z")
    return any(found)


def lines(folder: Path, pattern: str) -> int:
    """Whole lines of the one file that is called so; 0 while there is none."""
    return sum(file.read_bytes().count(b"}\n") for file in folder.glob(pattern))


def looked_at(output: str, what: str) -> int | None:
    """How many files the command said at the end that it had looked at; None where it looked at none."""
    found = re.search(rf"^{what}: (\d+) of \1$", output, re.MULTILINE)
    return int(found[1]) if found else None


def digest(output: str) -> str:
    found = re.search(r"^manifest ([0-9a-f]{12})$", output, re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def unbroken(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """OUT of a scan that nobody disturbed, and what it said."""
    out = tmp_path_factory.mktemp("unbroken")
    said = ran(typed("scan", root, out, "--jobs", "2"))
    assert looked_at(said, "scan") == MANY
    return out, digest(said)


def test_a_scan_that_is_killed_goes_on(root: Path, unbroken: tuple[Path, str], tmp_path: Path) -> None:
    command = typed("scan", root, tmp_path, "--jobs", "2")
    scanned = tmp_path / "cache" / "scan"
    killed_when(command, lambda: lines(scanned, "*.jsonl") >= 7)
    done = lines(scanned, "*.jsonl")
    assert 7 <= done < MANY
    again = ran(command)
    assert looked_at(again, "scan") == MANY - done and digest(again) == unbroken[1]
    third = ran(command)
    assert looked_at(third, "scan") is None and digest(third) == unbroken[1]


def stored(out: Path) -> dict[str, bytes]:
    """The stored files below OUT, by name."""
    return {path.name: path.read_bytes() for path in out.glob("cache/videos/*/*/[0-9a-f]*")}


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_preparing_that_is_killed_goes_on(codec: str, root: Path, unbroken: tuple[Path, str], tmp_path: Path) -> None:
    words = ("--codec", codec, "--jobs", "2", "--scale", "smoke")
    out, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (out, whole):
        shutil.copytree(unbroken[0], folder)  # scanned already
    command = typed("prepare", root, out, *words)
    killed_when(command, lambda: len(list(out.glob("cache/videos/*/*/[0-9a-f]*"))) >= 8)
    done = len(stored(out))
    assert 8 <= done < MANY
    again = ran(command)
    assert looked_at(again, "scan") is None and looked_at(again, "decode") == MANY - done
    assert looked_at(ran(typed("prepare", root, whole, *words)), "decode") == MANY
    assert stored(out) == stored(whole) and len(stored(out)) == MANY
    assert not list(out.glob("cache/videos/*/*/.*"))  # nothing half-written is left


def test_who_finds_another_at_work_waits_and_says_so(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with FileLock(tmp_path / "cache" / ".scan.lock"):  # another process, as far as the command can tell
        command = typed("scan", root, tmp_path, "--jobs", "1")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        line = next(line for line in process.stderr if "another process is at work on" in line)
        assert line.startswith("warning: ") and not lines(tmp_path / "cache" / "scan", "*.jsonl")
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and looked_at(out, "scan") == MANY


def test_two_at_one_folder_do_nothing_twice(root: Path, tmp_path: Path) -> None:
    command = typed("prepare", root, tmp_path, "--jobs", "1", "--scale", "smoke")
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [looked_at(out, "scan") for out, _ in said].count(MANY) == 1  # each file is opened by one of them
    assert [looked_at(out, "decode") for out, _ in said].count(MANY) == 1
    assert sorted((looked_at(out, "scan") or 0) for out, _ in said) == [0, MANY]
    assert len(stored(tmp_path)) == MANY
    assert lines(tmp_path / "cache" / "scan", "*.jsonl") == MANY  # none was looked at twice
