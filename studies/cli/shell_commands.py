"""`commands` and `run-one`: the missing runs as shell lines, and what such a line executes."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from fame.plugins import load
from studies.cli.session import Session, asking, runtime_of, say
from studies.harness.commands import keep_stages, run_one, shell_lines, slurm_script
from studies.harness.hardware import resolve_device
from studies.harness.pool import LocalWorkers
from studies.harness.progress import described
from studies.harness.store import Store
from studies.setting.options import Options

PASSED = ("dataset", "data_root", "pretrained", "plugin", "out", "device", "exclude_broken", "most_broken")
Form = Annotated[Literal["lines", "slurm"], typer.Option("--format", help="slurm: a script that submits them as job arrays.")]
Runs = Annotated[list[str], typer.Argument(metavar="STAGE/REPLICATE...", help="Runs as `commands` names them.")]


@asking(without=("executor", "address", "gpus_per_run", "nnodes", "rdzv_endpoint"))
def commands(options: Options, form: Form = "lines") -> None:
    """One shell line a missing run, upstream first, each to be executed anywhere that sees OUT, alone and again."""
    session = Session(options, elsewhere=True)
    session.begin()
    plan = session.plan()
    keep_stages(session.store, plan.todo)
    command = [sys.executable, "-m", "run_study", "run-one", *options.typed(*PASSED)]
    write = slurm_script if form == "slurm" else shell_lines
    for line in write(plan, command, session.device.startswith("cuda")):
        sys.stdout.write(f"{line}\n")


@asking(*PASSED)
def run_one_line(options: Options, runs: Runs) -> None:
    """What a line of `commands` executes: these runs and their upstream, where they are missing. Exit code 1 where one fails."""
    for file in options.plugin:
        load(file)
    store = Store(options.out).prepare()
    workers = LocalWorkers(store.out, 1, runtime_of(options, resolve_device(options.device)))
    code = 0
    try:
        for name in runs:
            for outcome in run_one(store, name, workers):
                say(described(outcome))
                code = code if outcome.status == "done" else 1
    finally:
        workers.stop()
    raise typer.Exit(code)
