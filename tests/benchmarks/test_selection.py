"""What selection tried: trials run on the harness, and the page tells what the log says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import selection
from fame.errors import FameError

ROOT = Path(__file__).parents[2]
LOG = ROOT / "docs" / "results" / "selection" / "trials.jsonl"
TOLD = ("top1", "top1/deranged", "scene_following", "balanced/top1/deranged")
SMALL = {
    "part": {"train": 16, "val": 8, "test": 8, "conditions": ["deranged"]},
    "world": {"frames": 8},
    "clip": {"frames": 4},
    "backbone": {"width": 4},
    "optim": {"epochs": 1, "batch": 8},
    "moco": {"queue": 16, "dim": 16},
}


def test_trials_are_run_once_and_logged(tmp_path: Path) -> None:
    """Two trials that share a world; the second call computes nothing and logs the same."""
    trials = [{"name": "small", "method": "moco", **SMALL}, {"name": "small", "method": "fame", "merge": {"beta": 0.3}, **SMALL}]
    file, log = tmp_path / "trials.jsonl", tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(trial) + "\n" for trial in trials))
    for _ in range(2):
        assert selection.main([str(file), str(log), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 0
    first, second, *again = [json.loads(line) for line in log.read_text().splitlines()]
    assert [first, second] == again
    assert (first["method"], second["method"], second["merge"]) == ("moco", "fame", {"beta": 0.3})
    assert first["steps"] == 2
    assert first["loss"] != second["loss"]
    assert set(TOLD) <= set(first)


def test_a_world_of_verdicts_is_refused() -> None:
    with pytest.raises(FameError, match="replicate 3 is for verdicts"):
        selection.Trial.read(json.dumps({"name": "x", "method": "moco", "replicate": 3}))


def test_the_page_tells_what_the_log_says() -> None:
    """Each line of version 2's tables is a trial; two are not in the log, and the page says so."""
    page = (
        (ROOT / "docs" / "notebook" / "benchmark-log.md")
        .read_text(encoding="utf-8")
        .split("### Version 2", 1)[1]
        .split("\n## ", 1)[0]
    )
    trials = [json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines()]
    numbers = {(trial["steps"], *(float(trial[name]) for name in TOLD)) for trial in trials}
    worlds = {(trial["replicate"], *(float(trial[name]) for name in TOLD)) for trial in trials}
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if re.match(r"\| (f|g\d|h\d|i\d|100\d) ", line)
    ]
    missing = []
    for draft, *cells in rows:
        values = tuple(float(cell) for cell in cells[-4:])
        world = draft if draft.isdigit() else cells[0] if draft.startswith("i") else None  # other drafts are of world 1000
        known = (int(world), *values) in worlds if world else (int(cells[2]), *values) in numbers
        if not known:
            missing.append(draft + cells[0])
    assert len(rows) > 50
    assert missing == ["h2contrast .6, 3 objects"] * 2
    assert "The two lines of contrast .6 at 0 and 4096 steps are not in the file" in page
