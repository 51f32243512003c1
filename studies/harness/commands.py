"""Write the runs that are missing as shell lines, and execute such a line: for xargs, GNU parallel, SLURM or any other scheduler.

`OUT/tasks.json` holds the stages of all lines that were ever written for OUT, by id; a line names one and a replicate.
"""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence

from fame.errors import FameError
from fame.files import write_json
from studies.harness.plan import Plan, Task, duration
from studies.harness.pool import LocalWorkers, Outcome
from studies.harness.status import state_of
from studies.harness.store import Store
from studies.setting.cell import Stage

TASKS = "tasks.json"
GRACE = 20.0  # seconds that an upstream run, whose line was started just before, has to begin
LOOK = 0.5  # seconds between two looks at a run
MARGIN = 2.0  # time asked of SLURM, in forecasts: a job that reaches its limit is killed


def keep_stages(store: Store, tasks: Iterable[Task]) -> None:
    """Add the tasks' stages to OUT/tasks.json."""
    with store.named_errors():
        write_json(store.out / TASKS, _kept(store) | {task.stage.id: task.stage.to_json() for task in tasks})


def shell_lines(plan: Plan, command: Sequence[str], gpu: bool) -> Iterator[str]:
    """Yield a line a run, upstream first: `command` with the run's name, and in a comment what it is and needs."""
    for task in _ordered(plan):
        took = duration(plan.forecast.seconds(task.stage))
        need = f"{task.ranks} GPU" if gpu else f"{task.cores} CPU"
        yield f"{_line(command, [task])}  # {task.name}; {need}; time {took}"


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


def run_one(store: Store, name: str, workers: LocalWorkers) -> Outcome | None:
    """Execute the run STAGE/REPLICATE; None where it is finished already. Waits for a process that is at it, or at its upstream.

    FameError where no line was written for it, and where its upstream is neither finished nor going on.
    """
    stage_id, _, number = name.partition("/")
    try:
        task = Task(Stage.from_json(_kept(store)[stage_id]), int(number))
    except (KeyError, ValueError):
        known = f"{store.out / TASKS} knows no such run (STAGE/REPLICATE) of this version of the program"
        raise FameError(f"{name}: {known}; write the lines again with `commands`") from None
    if _finished(store, task):
        return None
    begun, upstream = time.monotonic(), task.upstream()
    while upstream and not _finished(store, upstream):
        if time.monotonic() - begun > GRACE:
            first = f"{upstream.name} ({upstream.stage.id}/{upstream.replicate})"
            raise FameError(f"{name}: its upstream {first} is not finished; execute that line first")
        time.sleep(LOOK)
    workers.submit(task)
    while not (found := workers.wait(LOOK)):
        pass
    return found[0]


def _finished(store: Store, task: Task) -> bool:
    """Return whether a run is finished, once no process is at it any more."""
    while state_of(store, *task.key)[0] == "running":
        time.sleep(LOOK)
    return store.whole(*task.key)


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
    indices = ",".join(str(index) for index, group in enumerate(groups) if group)
    return [
        f"array=$(sbatch --parsable --job-name={name} --array={indices} --cpus-per-task={max(task.cores for task in runs)} "
        f"{gpus}{time_limit}{depends}\"$@\" <<'END'",
        "#!/bin/sh",
        "case $SLURM_ARRAY_TASK_ID in",
        *(f"({index}) {_line(command, group)} ;;" for index, group in enumerate(groups) if group),
        "esac",
        "END",
        ")",
    ]


def _kept(store: Store) -> dict[str, dict[str, object]]:
    try:
        return dict(json.loads((store.out / TASKS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
