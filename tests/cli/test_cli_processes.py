"""The command line in processes of its own: imports, Ctrl-C and resuming, a study from end to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from studies.harness.store import Store
from studies.paper.registry import studies
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SCALES
from tests.cli.test_cli import Typed, typed_here  # noqa: F401 (a fixture)
from tests.harness.test_runner_workers import living
from tests.programs import ROOT, free_port, ran, started, until


def test_reading_results_needs_neither_torch_nor_mlflow(typed: Typed, tmp_path: Path) -> None:
    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    code = (
        "import sys, run_study\n"
        "import studies.cli.session\n"  # MLflow is not imported where nothing is new: test_tracking.py
        "studies.cli.session.Tracker = run_study.Tracker = lambda *_: None\n"
        "for words in (['run', 'temporal_kernels', '--scale', 'smoke', '--device', 'cpu'], ['status']):\n"
        "    sys.argv = ['run_study.py', *words]\n"
        "    assert run_study.start(run_study.app) == 0\n"
        "heavy = {'torch', 'scipy', 'mlflow', 'pandas', 'matplotlib', 'av', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment)
    assert found.returncode == 0, found.stderr
    assert "0 runs done, 8 were there." in found.stdout


@pytest.mark.long
def test_ctrl_c_names_the_command_that_resumes_and_it_does(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT)!r}]\n"
        "from fake_stages import FAKES\nfrom studies.harness.worker import STAGES\nSTAGES.update(FAKES)\n"
        "import run_study\n"
        "if __name__ == '__main__':\n    sys.exit(run_study.start(run_study.app))\n"
    )
    stages = [stage for stage, _ in all_stages(Setting(SCALES["smoke"]), studies(["temporal_kernels"])).values()]
    held = {stage.id: "hold" for stage in stages if stage.kind == "pretrain"}
    store = Store(tmp_path / "out").prepare()
    (store.out / "plan.json").write_text(json.dumps(held))
    words = [sys.executable, "driver.py", "run", "temporal_kernels", "--scale", "smoke", "--jobs", "2", "--device", "cpu"]
    program = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: any(store.progress(stage_id, 0) for stage_id in held))
    there = [Path("/proc", one) for one in living(program.pid)]
    workers = [one for one in there if b"spawn_main" in (one / "cmdline").read_bytes()]
    blocked = [re.search(r"SigBlk:\s*(\w+)", (one / "status").read_text()) for one in workers]
    assert workers and all(mask and int(mask[1], 16) & 1 << signal.SIGINT - 1 for mask in blocked)  # Ctrl-C is the parent's
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130 and "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("stopped")]
    command = line.split("Continue with: ")[1]
    assert command.endswith("driver.py run temporal_kernels --scale smoke --jobs 2 --device cpu")
    until(lambda: not living(program.pid))
    (store.out / "plan.json").unlink()
    again = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert all(store.finished(stage.id, 0) for stage in stages)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_machines_share_each_pretraining(tmp_path: Path) -> None:
    """The same command typed on both, here on loopback: the numbers of two ranks on one machine, each run recorded once."""
    words = ["run", "area_ratio/0.5", "--scale", "smoke", "--ranks", "2", "--device", "cpu"]
    ran(*words, "--jobs", "1", "--out", "alone", cwd=tmp_path)
    shared = [*words, "--nnodes", "2", "--rdzv-endpoint", f"localhost:{free_port()}"]
    machines = [started(*shared, cwd=tmp_path) for _ in range(2)]
    for machine in machines:
        _, err = machine.communicate(timeout=600)
        assert machine.returncode == 0, err
    alone, both = Store(tmp_path / "alone"), Store(tmp_path / "out")
    assert list(both.all()) == list(alone.all())
    for key in both.all():
        assert (both.result(*key) or {})["metrics"] == (alone.result(*key) or {})["metrics"]
    assert not [path for path in both.runs.rglob("*") if path.name.startswith(("refused", "failure", "checkpoint", "log"))]


@pytest.mark.long
def test_a_study_end_to_end_at_smoke_scale(tmp_path: Path) -> None:
    words = ["--scale", "smoke", "--only", "background_source", "--only", "retrieval", "--device", "cpu"]
    ran(*words, cwd=tmp_path)
    assert (tmp_path / "out" / "report" / "index.html").stat().st_size > 1000
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    assert {row["metric"] for row in report["tables"]["background_source"]} >= {"top1", "top1/deranged", "background_gap"}
    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("result.json")}
    began = time.monotonic()
    assert "0 runs done" in ran(*words, cwd=tmp_path)[0]
    assert time.monotonic() - began < 10
    assert results == {path: path.stat().st_mtime_ns for path in results}
