"""Commands on what OUT holds: pack and unpack finished replicates, tell how runs stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from studies.cli.session import asking, complain, console, say, standing
from studies.harness.parts import pack, unpack
from studies.harness.plan import duration, label
from studies.harness.status import STATES, recall, state_of
from studies.harness.store import Store
from studies.records import EARLIER, earlier
from studies.setting.asked import part_of
from studies.setting.options import Options
from studies.setting.recording import record
from studies.setting.resolve import all_stages

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the packed replicates.")]


@asking("out", "part")
def pack_parts(options: Options, folder: Folder) -> None:
    """Write the finished runs of OUT's study into DIR, an archive a replicate: results, tables and encoders."""
    store = Store(options.out)
    asked = recall(store)
    for path, runs in pack(store, asked, folder, part_of(options.part, asked.replicates) if options.part is not None else ()):
        say(f"{path}: {runs} runs")


@asking("out")
def unpack_parts(options: Options, folder: Folder) -> None:
    """Put packed replicates back into OUT, where the study goes on. Runs that are there already stay as they are."""
    store = Store(options.out).prepare()
    done = unpack(folder, store)
    asked = recall(store)
    record(asked).write(store.out)
    told = standing(store, asked, all_stages(asked.setting, asked.studies))
    say(f"{done.runs} runs unpacked, {done.already} were there. {told}".strip())
    for line in done.left_out:
        complain(f"left out: {line}")
    raise typer.Exit(1 if done.left_out else 0)


@asking("out")
def status(options: Options) -> None:
    """Runs finished, going on, broken off and failed, with their ages."""
    store = Store(options.out)
    asked = recall(store)
    stages = all_stages(asked.setting, asked.studies)
    counts = dict.fromkeys(STATES, 0)
    table = Table("run", Column("folder", no_wrap=True), "state", "epoch", "since")
    for stage, studies in stages.values():
        for replicate in (number for number in asked.replicates if asked.has(studies, number)):
            state, age, message = state_of(store, stage.id, replicate)
            counts[state] += 1
            if state in ("running", "broken off", "failed"):
                step = store.progress(stage.id, replicate)
                shown = f"{state}: {message}" if message else state
                epoch = f"{step.step}/{step.steps}" if step else ""
                table.add_row(label(stage), f"{stage.id}/{replicate}", shown, epoch, duration(age))
    found = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    say(f"{options.out}: {'. '.join(filter(None, (found, standing(store, asked, stages))))}")
    for name, command in earlier(options.out).items():
        say(f"report of another study: {options.out / EARLIER / name} ({command})")
    if table.row_count:
        console.print(table)
