"""Write the runs that are missing as shell lines, and execute such a line: for xargs, GNU parallel, SLURM or any other scheduler.

`OUT/tasks.json` holds the stages of all lines that were ever written for OUT, by id; a line names one and a replicate.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence

from rich.filesize import decimal

from fame.errors import FameError
from fame.files import read_json, write_json
from studies.harness.plan import Plan, Task, duration
from studies.harness.pool import LocalWorkers, Outcome
from studies.harness.store import Store
from studies.setting.cell import Stage

TASKS = "tasks.json"
LOOK = 0.5  # seconds between two looks at a run
MARGIN = 2.0  # time asked of SLURM, in forecasts: a job that reaches its limit is killed


def keep_stages(store: Store, tasks: Iterable[Task]) -> None:
    """Add the tasks' stages to OUT/tasks.json."""
    with store.named_errors():
        write_json(store.out / TASKS, read_json(store.out / TASKS) | {task.stage.id: task.stage.to_json() for task in tasks})


def shell_lines(plan: Plan, command: Sequence[str], gpu: bool) -> Iterator[str]:
    """Yield a line a run, upstream first: `command` with the run's name, and in a comment what it is and needs."""
    for task in _ordered(plan):
        needs = [f"{task.ranks} GPU" if gpu else f"{task.cores} CPU", f"time {duration(plan.forecast.seconds(task.stage))}"]
        if memory := plan.forecast.memory(task.stage):
            needs.append(f"memory {decimal(memory)}")
        yield f"{_line(command, [task])}  # {task.name}; {'; '.join(needs)}"


def slurm_script(plan: Plan, command: Sequence[str], gpu: bool) -> list[str]:
    """Return the lines of a script that submits two job arrays: task i of the second evaluates what task i of the first made."""
    chains: dict[Task, list[Task]] = {}
    for task in _ordered(plan):
        if upstream := task.upstream():
            chains.setdefault(upstream, []).append(task)
        else:
            chains.setdefault(task, [])
    levels = [[[head] for head in chains], list(chains.values())]
    script = ["#!/bin/sh", "# submits the runs that are missing; options of sbatch given to this script go to each array", "set -e"]
    if chains:
        script += _array(plan, levels[0], command, gpu, "fame-1", "")
    if any(levels[1]):
        script += _array(plan, levels[1], command, gpu, "fame-2", "--dependency=aftercorr:$array --kill-on-invalid-dep=yes ")
    return script


def run_one(store: Store, name: str, workers: LocalWorkers) -> Iterator[Outcome]:
    """Execute the run STAGE/REPLICATE and what is missing of its upstream, up to a failure; yield what became of them.

    Waits for a process that is at one of them. FameError where no line was written for it.
    """
    stage_id, _, number = name.partition("/")
    try:
        task = Task(Stage.from_json(read_json(store.out / TASKS)[stage_id]), int(number))
    except (KeyError, ValueError):
        known = f"{store.out / TASKS} knows no such run (STAGE/REPLICATE) of this version of the program"
        raise FameError(f"{name}: {known}; write the lines again with `commands`") from None
    for link in task.stage.chain():
        while not store.whole(link.id, task.replicate):
            workers.submit(Task(link, task.replicate))
            while not (found := workers.wait(LOOK)):
                pass
            if found[0].status == "busy":
                time.sleep(LOOK)
                continue
            yield found[0]
            if found[0].status != "done":
                return


def _ordered(plan: Plan) -> list[Task]:
    return sorted(plan.todo, key=lambda task: (len(task.stage.chain()), -plan.forecast.cost(task.stage)))


def _line(command: Sequence[str], tasks: Iterable[Task]) -> str:
    return shlex.join([*command, *(f"{task.stage.id}/{task.replicate}" for task in tasks)])


def _array(plan: Plan, groups: list[list[Task]], command: Sequence[str], gpu: bool, name: str, depends: str) -> list[str]:
    """Return the lines that submit one array, whose task i executes the i-th group, if that is not empty."""
    runs = [task for group in groups for task in group]
    longest = max(sum(plan.forecast.seconds(task.stage) for task in group) for group in groups)
    time_limit = "" if math.isnan(longest) else f"--time={math.ceil(MARGIN * longest / 60)} "
    gpus = f"--gres=gpu:{max(task.ranks for task in runs)} " if gpu else ""
    memory = [plan.forecast.memory(task.stage) for task in runs]
    limit = "" if None in memory else f"--mem={math.ceil(max(filter(None, memory)) / 2**20)}M "
    indices = ",".join(str(index) for index, group in enumerate(groups) if group)
    return [
        f"array=$(sbatch --parsable --job-name={name} --array={indices} --cpus-per-task={max(task.cores for task in runs)} "
        f"{gpus}{time_limit}{limit}{depends}\"$@\" <<'END'",
        "#!/bin/sh",
        "case $SLURM_ARRAY_TASK_ID in",
        *(f"({index}) {_line(command, group)} ;;" for index, group in enumerate(groups) if group),
        "esac",
        "END",
        ")",
    ]
