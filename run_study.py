"""The command line: verbs only. What is compared stands in `studies/`, how it is shown in `reports/`, the method in `fame/`.

Heavy packages are imported where they are needed, so that looking at results waits for none of them. Exit codes: 0 done, 1 some
runs failed, 2 wrong use, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Column, Table

from fame.plugins import load
from fame.seeds import SELECTION_REPLICATES
from reports.mirror import mirroring_beside
from reports.page import answer_of, build
from reports.viewer import view as view_page
from studies.cli.data_commands import data_app
from studies.cli.session import Session, Version, asking, complain, console, resuming, say, standing, start, watching
from studies.cli.shell_commands import commands, run_one_line
from studies.cli.store_commands import pack_parts, status, unpack_parts
from studies.cli.weights_commands import weights_app
from studies.harness.hardware import commit
from studies.harness.plan import Plan
from studies.harness.runner import Summary
from studies.harness.store import Store
from studies.paper.headline import HEADLINE
from studies.paper.registry import FINDINGS, row_name, studies
from studies.records import read
from studies.setting.options import Options
from studies.setting.recording import about, of_headline
from studies.study import Row, deranged
from studies.tracking import Tracker

EXAMPLES = """reproduce-paper --only area_ratio/0.5/single    one row of a table
reproduce-paper --row "fame(beta=0.4)"          a row of your own
reproduce-paper --scale mini --part 1-4         some replicates; others elsewhere
reproduce-paper --scale paper --data-root DIR   the paper's protocol and videos"""
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def main(version: Version = False) -> None:
    """FAME's ablations: list, plan, run, look."""


app.add_typer(data_app, name="data")
app.add_typer(weights_app, name="weights")


@app.command("list")
@asking("plugin")
def list_studies(
    options: Options,
    rows: Annotated[bool, typer.Option("--rows", help="Every row instead, by the name that --only takes.")] = False,
) -> None:
    """The studies: a table or figure of the paper each; and apart from them the findings, a question to the paper each."""
    for file in options.plugin:
        load(file)
    if rows:
        for study in (HEADLINE, *studies(), *FINDINGS):
            for row in study.rows:
                say(row_name(study, row))
        return
    table = Table(Column("study", no_wrap=True), "paper", "title", "rows", "claims")
    for study in (HEADLINE, *studies()):
        table.add_row(study.name, study.paper, study.title, str(len(study.rows)), " ".join(study.claims))
    asked = Table(Column("finding", no_wrap=True), "question", "rows", "claims")
    for study in FINDINGS:
        asked.add_row(study.name, study.question, str(len(study.rows)), " ".join(study.claims))
    console.print(table, asked)


@app.command()
@asking()
def plan(options: Options) -> None:
    """What would run, how long, how much disk, and what effect so many replicates can detect. Nothing is started.

    Without --data-root, the published sets count as they were published.
    """
    session = Session(options, planning=True)
    shown(session)
    for one in (one for fold in session.asked.folds for one in fold.values()):
        say(one.text)


def shown(session: Session) -> Plan:
    """Show what is to do, and what so many replicates can decide; return it."""
    plan = session.plan()
    session.show(plan)
    setting, asked = session.asked.setting, session.asked
    own = of_headline(setting, asked.studies)
    sides = [setting.stage(Row("", own[name]), deranged("A")) for name in ("FAME", "baseline")]
    run = all(side and side.id in session.stages for side in sides) and own["FAME"].changes == setting.scale.headline
    headline = bool(setting.targets) or run
    from reports.power import foretold

    facts = about(setting, asked.studies, asked.replicates) | {"overrides": asked.options.overrides}
    if said := foretold(facts, headline=headline):
        say(said)
    return plan


def carried_out(session: Session) -> Summary:
    """Show the plan where there is something to do, and do it."""
    plan = session.plan()
    return session.run(shown(session) if plan.todo else plan)


@app.command()
@asking()
def run(options: Options) -> None:
    """Run what is missing of the named studies. `report` makes the tables of it."""
    session = Session(options)
    summary = carried_out(session)
    raise told(session, summary, f"The tables: run_study.py report --out {session.store.out}")


@app.command()
@asking(without=("only", "replicates", "part", "pretrained", "nnodes", "rdzv_endpoint"))
def search(
    options: Options,
    field: Annotated[
        list[str] | None,
        typer.Option("--search", metavar="RANGE", help="merge.beta=0.1:0.9, merge.variant=fame,seed, ...; default: all betas."),
    ] = None,
    objective: Annotated[
        str | None, typer.Option(metavar="[balanced|own|deranged-val|retrieval]", help="On validation videos; default: the first.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Choices in all; those of earlier starts count.")] = 12,
    replicate: Annotated[int, typer.Option(min=0, help="First world; default: one that no table uses.")] = SELECTION_REPLICATES,
    worlds: Annotated[int, typer.Option(min=1, help="Replicates of each choice.")] = 1,
    confirm: Annotated[int, typer.Option(min=0, help="Run the winner and the baseline on so many fresh replicates.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Trials side by side; the same command elsewhere joins.")] = 1,
    storage: Annotated[str | None, typer.Option(metavar="URL", help="Optuna's; default: a journal in OUT.")] = None,
    pruner: Annotated[Literal["none", "median", "hyperband"], typer.Option(help="Ends trials early in pretraining.")] = "none",
    seed: Annotated[int, typer.Option(help="Of the sampler (TPE).")] = 0,
) -> None:
    """Search beta, or other fields, on validation videos (Optuna, TPE). Goes on where it was; runs that are done are used."""
    from reports.response import conclusion
    from studies.cli.searching import Search, hunt, space_of

    session, replicates = Session(options), tuple(range(replicate, replicate + worlds))
    where = storage or str(options.out / "search" / "journal.log")
    search = Search(space_of(session, field or [], objective), replicates, trials, where, seed, pruner)
    for line in conclusion(hunt(session, search, workers, confirm), options.out):
        say(line)


@asking()
def reproduce(options: Options) -> None:
    """Every table and figure: plan, data, runs, report. What is done already is not done again."""
    session = Session(options)
    summary = carried_out(session)
    page = make_report(session.store, session.tracker())
    say(answer_of(page))
    raise told(session, summary, at(page))


def told(session: Session, summary: Summary, last: str) -> typer.Exit:
    """Tell what became of the runs and, last, where to look; return how the command ends: 1 where a run failed."""
    done = standing(session.store, session.asked, session.stages)
    say(" ".join(filter(None, (f"{len(summary.done)} runs done, {summary.already} were there.", done, last))))
    for line in (*summary.failed.values(), *summary.skipped.values()):
        complain(f"failed: {line}")
    if summary.failed:
        complain("error: see failure.json and log.txt in those folders; the next start tries them again")
    return typer.Exit(0 if summary.ok else 1)


@app.command()
@asking("out", "no_mlflow")
def report(
    options: Options,
    against: Annotated[
        Path | None, typer.Option(help="Another OUT, a page's folder or a report.json: tell what moved by more than noise.")
    ] = None,
) -> None:
    """Make tables, figures and page of what is in OUT, from the files alone."""
    store, moved = Store(options.out), []
    mirror = None if options.no_mlflow else Tracker(store.out, complain, read(store.out).about["scale"])
    if against:
        from reports.against import kept, summary

        page = make_report(store, mirror, kept(against))
        moved = summary(page)
    else:
        page = make_report(store, mirror)
    say("\n".join(filter(None, (answer_of(page), *moved, at(page)))))


@app.command()
@asking("out")
def show(options: Options, cell: Annotated[str, typer.Argument(metavar="CELL|STUDY/ROW")]) -> None:
    """Show what is behind a number: its values, runs, commits, machines, and the command that makes just its row."""
    from reports.cells import show as shown

    for one in shown(Store(options.out), cell):
        lines = [f"{one['cell']}  {one['label']}", f"  in {', '.join(one['rows'])}"]
        for measure, values in one["values"].items():
            found = ", ".join(f"{value:.3f} (replicate {number})" for number, value in values.items())
            lines.append(f"  {measure}: {found or 'not run'}")
        lines += [f"  commit {', '.join(one['commits'])}, on {', '.join(one['machines']) or 'an unknown machine'}"]
        lines += [f"  {one['command']}", f"  {', '.join(one['runs'])}", *(f"  MLflow run {run}" for run in one["mlflow"])]
        say("\n".join(lines))


def at(page: Path) -> str:
    """Tell where the page is: on a terminal as a link to click."""
    return f"Report: {page.resolve().as_uri() if console.is_terminal else page}"


def make_report(store: Store, mirror: Tracker | None, other: dict[str, Any] | None = None) -> Path:
    """Build the report where results or code have changed since (reports/page.py knows), and mirror it; returns the page."""
    with watching() as watcher, mirroring_beside(store, mirror) as mirrored:
        page = build(store, commit=commit(), command=resuming(), other=other, tell=watcher.data)
        mirrored(watcher.data)
    return page


@app.command()
@asking("out")
def view(
    options: Options,
    port: Annotated[int | None, typer.Option(help="Serve it there; default: a free port.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser, or only tell where the page lies.")] = True,
) -> None:
    """Show the report, from the start of a study on; it is made anew while runs finish."""
    store = Store(options.out)
    view_page(store, partial(build, store, commit=commit(), command=resuming()), port, browser)


app.command()(status)
app.command("pack")(pack_parts)
app.command("unpack")(unpack_parts)
app.command()(commands)
app.command("run-one")(run_one_line)


def _single(command: Callable[..., None], examples: str = "") -> typer.Typer:
    single = typer.Typer(pretty_exceptions_enable=False)
    single.command(epilog=examples)(command)
    return single


def reproduce_paper() -> None:
    sys.exit(start(_single(reproduce, EXAMPLES)))


def search_beta() -> None:
    sys.exit(start(_single(search)))


def view_report() -> None:
    sys.exit(start(_single(view)))


if __name__ == "__main__":
    sys.exit(start(app))
