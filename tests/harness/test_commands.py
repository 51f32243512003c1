"""Runs as shell lines: what they are, what executing one does, and that SLURM's script is one that a shell runs."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from fame.errors import FameError
from studies.harness import commands
from studies.harness.plan import make_plan
from studies.harness.store import Store
from studies.setting.options import Options
from tests.harness.test_runner import PROBE, STAGES, Here, empty_store, trouble  # noqa: F401 (a fixture)
from tests.programs import ran

SBATCH = """#!/bin/sh
echo sbatch "$@" >> calls
for word in "$@"; do case $word in --array=*) indices=${word#--array=} ;; esac; done
cat > job
for index in $(echo "$indices" | tr , ' '); do SLURM_ARRAY_TASK_ID=$index sh job >> ran; done
wc -l < calls
"""


def test_a_line_runs_once_after_its_upstream(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "GRACE", 0.0)
    monkeypatch.setattr(commands, "LOOK", 0.01)
    plan, workers = make_plan(store, STAGES, (0,), 1), Here(store)
    commands.keep_stages(store, plan.todo)
    commands.keep_stages(store, [])  # a later study keeps the lines of an earlier one
    names = [line.split()[1] for line in commands.shell_lines(plan, ["echo"], gpu=False)]
    assert sorted(names) == sorted(f"{task.stage.id}/0" for task in plan.tasks)
    with pytest.raises(FameError, match=r"its upstream pretrain .* is not finished"):
        commands.run_one(store, f"{PROBE.id}/0", workers)
    trouble(store, **{f"s{PROBE.id}": "fail"})
    statuses = {name: outcome.status for name in names if (outcome := commands.run_one(store, name, workers))}
    assert [name for name, status in statuses.items() if status != "done"] == [f"{PROBE.id}/0"]
    trouble(store)
    again = [name for name in names if commands.run_one(store, name, workers)]
    assert again == [f"{PROBE.id}/0"]
    for unknown in ("0123456789ab/0", PROBE.id):
        with pytest.raises(FameError, match="knows no such run"):
            commands.run_one(store, unknown, workers)


def test_the_slurm_script_runs_every_run_after_its_upstream(store: Store, tmp_path: Path) -> None:
    plan = make_plan(store, STAGES, (0, 1), 1)
    (tmp_path / "sbatch").write_text(SBATCH)
    (tmp_path / "sbatch").chmod(0o755)
    script = "\n".join(commands.slurm_script(plan, ["echo"], gpu=True))
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", script, "script", "--partition=a b"], cwd=tmp_path, env=os.environ | path, check=True)
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert "--gres=gpu:1" in first and first.endswith("--partition=a b")
    assert "--dependency=aftercorr:1 " in second
    order = (tmp_path / "ran").read_text().split()
    assert sorted(order) == sorted(f"{task.stage.id}/{task.replicate}" for task in plan.tasks)
    for task in plan.tasks:
        if upstream := task.upstream():
            assert order.index(f"{upstream.stage.id}/{task.replicate}") < order.index(f"{task.stage.id}/{task.replicate}")


def test_what_is_not_of_this_machine_is_no_word_of_a_line() -> None:
    options = Options.read({"data_root": "videos", "plugin": ["a.py"], "exclude_broken": True, "jobs": "3"})
    words = options.typed("data_root", "plugin", "exclude_broken", "most_broken")
    assert words == ["--data-root", str(Path("videos").resolve()), "--plugin", str(Path("a.py").resolve()), "--exclude-broken"]


@pytest.mark.long
def test_lines_in_any_order_that_has_upstream_first_give_the_same_tables(tmp_path: Path) -> None:
    asked = ["--scale", "smoke", "--only", "temporal_kernels", "--device", "cpu", "--out"]
    ran(*asked, "here", "--jobs", "2", cwd=tmp_path)
    out, _ = ran("commands", *asked, "lines", cwd=tmp_path)
    lines = out.splitlines()
    upstream = sum("# pretrain" in line for line in lines)
    shuffled = [
        *random.Random(0).sample(lines[:upstream], upstream),
        *random.Random(0).sample(lines[upstream:], len(lines) - upstream),
    ]
    xargs = ["xargs", "-d", "\n", "-P", "2", "-I{}", "sh", "-c", "{}"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(xargs, input="\n".join(shuffled), text=True, cwd=tmp_path, env=environment, check=True)
    assert ran("commands", *asked, "lines", cwd=tmp_path)[0] == ""
    ran("report", "--out", "lines", cwd=tmp_path)
    here, there = (json.loads((tmp_path / out / "report" / "report.json").read_text())["tables"] for out in ("here", "lines"))
    assert here == there
