"""Processes leave the caller's script alone: one without `if __name__ == "__main__":` ends, and runs once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGUN = "print('begun', flush=True)\n"
READING = """
from fame.data.parallel import each
print(sorted(each(abs, [-1, -2, -3, -4], 2)))
"""
WORKER = """
import sys
from pathlib import Path
from tests.fake_stages import FAKES
from studies.harness.plan import Task
from studies.harness.pool import LocalWorkers
from studies.harness.worker import Runtime
from tests.harness.test_runner import PRETRAININGS
workers = LocalWorkers(Path(sys.argv[1]), 1, Runtime(stages=FAKES))
workers.submit(Task(PRETRAININGS[0], 0))
print([outcome.status for outcome in workers.wait(60)])
workers.stop()
"""


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param(READING, "[1, 2, 3, 4]", id="files"),
        pytest.param(WORKER, "['done']", id="worker"),
    ],
)
def test_a_script_without_a_guard_runs_once(tmp_path, script, told):
    file = tmp_path / "unguarded.py"
    file.write_text(BEGUN + script, encoding="utf-8")
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    found = subprocess.run(
        [sys.executable, str(file), str(tmp_path / "out")],
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split("\n") == ["begun", told, ""]
