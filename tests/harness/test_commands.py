"""Runs as shell lines: what they are, what executing one does, and that SLURM's script is one that a shell runs."""

from __future__ import annotations

import json
import math
import os
import random
import re
import subprocess
from pathlib import Path

import pytest
import torch

from fame.errors import FameError
from studies.harness import commands
from studies.harness.memory import forget_peak, peak
from studies.harness.plan import HEADROOM, make_plan
from studies.harness.store import Store
from studies.setting.options import Options
from tests.harness.test_runner import PROBE, STAGES, Here, empty_store, run, trouble  # noqa: F401 (a fixture)
from tests.programs import ran

SBATCH = """#!/bin/sh
echo sbatch "$@" >> calls
for word in "$@"; do case $word in --array=*) indices=${word#--array=} ;; esac; done
cat > job
for index in $(echo "$indices" | tr , ' '); do SLURM_ARRAY_TASK_ID=$index sh job >> ran; done
wc -l < calls
"""


def test_a_line_runs_once_and_after_its_upstream(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "LOOK", 0.01)
    plan, workers = make_plan(store, STAGES, (0,), 1), Here(store)
    commands.keep_stages(store, plan.todo)
    commands.keep_stages(store, [])  # a later study keeps the lines of an earlier one
    names = [line.split()[1] for line in commands.shell_lines(plan, ["echo"], gpu=False)]
    assert sorted(names) == sorted(f"{task.stage.id}/0" for task in plan.tasks)
    trouble(store, **{f"s{PROBE.id}": "fail"})
    workers.answers[PROBE.upstream.id, 0] = ["busy"]  # for a while, another process is at it
    ended = [(one.task.stage, one.status) for one in commands.run_one(store, f"{PROBE.id}/0", workers)]
    assert ended == [(PROBE.upstream, "done"), (PROBE, "failed")], "its upstream is made where it is missing"
    ended = [(one.task.stage, one.status) for name in names for one in commands.run_one(store, name, workers)]
    assert [stage for stage, status in ended if status != "done"] == [PROBE] and len(ended) == len(names) - 1
    trouble(store)
    assert [one.task.stage for name in names for one in commands.run_one(store, name, workers)] == [PROBE]
    for unknown in ("0123456789ab/0", PROBE.id):
        with pytest.raises(FameError, match="knows no such run"):
            next(commands.run_one(store, unknown, workers))


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


def test_memory_is_asked_for_once_runs_of_the_kind_have_told_theirs(store: Store) -> None:
    def said() -> tuple[list[str], list[str]]:
        plan = make_plan(store, STAGES, (0, 1), 1)
        return [*commands.shell_lines(plan, ["echo"], gpu=False)], commands.slurm_script(plan, ["echo"], gpu=False)

    assert not any("memory" in line or "--mem" in line for lines in said() for line in lines)
    run(store)
    lines, script = said()
    assert all(re.search(r"; memory [\d.]+ [MG]B$", line) for line in lines)
    asked = [int(line.partition("--mem=")[2].partition("M")[0]) for line in script if "sbatch" in line and "--mem" in line]
    took = [(store.result(stage, 0) or {})["memory"]["host"] / 2**20 for stage in STAGES]
    assert len(asked) == 2 and max(asked) == math.ceil(HEADROOM * max(took))


def test_a_peak_is_of_what_came_after_the_last_one() -> None:
    device = torch.device("cpu")
    forget_peak(device)
    before = peak(device, 1)["host"]
    assert len(b"x" * 300_000_000) and peak(device, 1)["host"] > before + 250_000_000
    forget_peak(device)
    assert peak(device, 1)["host"] < before + 50_000_000


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
