"""The command line: verbs only. What is compared stands in `studies/`, how it is shown in `reports/`, the method in `fame/`.

`python run_study.py VERB` and the console commands `reproduce-paper`, `search-beta` and `view-report`. Heavy packages are imported
where they are needed, so that looking at results waits for none of them. Exit codes: 0 done, 1 some runs failed, 2 wrong use,
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from fame.config import StagedData
from fame.errors import FameError
from fame.seeds import SELECTION_REPLICATES, Seeds
from studies.choices import Asked, Choices, recall, resolve
from studies.executors.local import LocalWorkers
from studies.hardware import commit, default_jobs
from studies.plan import label
from studies.progress import Watcher, duration, show_plan
from studies.registry import STUDIES
from studies.resolve import all_stages
from studies.runner import Summary, run_stages
from studies.session import Session, console, tracker, watching
from studies.status import STATES, state_of
from studies.store import Store
from studies.study import Part

if TYPE_CHECKING:
    from studies.beta_curve import Trial
    from studies.cell import Stage

PLAIN = {"add_completion": False, "pretty_exceptions_enable": False}
app = typer.Typer(no_args_is_help=True, help="FAME's ablations: list, plan, run, look.", **PLAIN)  # type: ignore[arg-type]
data_app = typer.Typer(no_args_is_help=True, help="The videos: render, scan, verify, contact sheets.")
app.add_typer(data_app, name="data")

STOPPED = 130  # exit code after Ctrl-C

Names = Annotated[list[str] | None, typer.Argument(metavar="STUDY...", help="Names as `list` shows them; all where none is given.")]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="STUDY", help="This study only; may be repeated.")]
ScaleName = Annotated[str, typer.Option("--scale", help="smoke, quick, mini or paper.")]
Dataset = Annotated[str, typer.Option(help="staged (the embedded benchmark), ucf101 or folder.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of a dataset on disk.")]
Fold = Annotated[int, typer.Option(help="Official fold, 1 to 3.")]
Replicates = Annotated[int, typer.Option(help="Replicates; three are needed for a verdict.")]
Out = Annotated[Path, typer.Option(help="Folder of runs, cache and report.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Jobs = Annotated[int | None, typer.Option(help="Runs side by side; default: one a core.")]
Pretrained = Annotated[Path | None, typer.Option(help="Evaluate these weights instead of pretraining.")]
BackboneName = Annotated[str | None, typer.Option("--backbone", help="Another network than the scale's.")]
Frames = Annotated[int | None, typer.Option(help="Frames of a clip, instead of the scale's.")]
Size = Annotated[int | None, typer.Option(help="Pixels of a clip, instead of the scale's.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs of pretraining, instead of the scale's.")]
Broken = Annotated[bool, typer.Option("--exclude-broken", help="Leave videos that cannot be decoded out of the manifest.")]


# ---------------------------------------------------------------- asking


@app.command("list")
def list_studies() -> None:
    """The studies: a table or figure of the paper each."""
    table = Table("study", "paper", "title", "rows", "claims")
    for study in STUDIES:
        table.add_row(study.name, study.paper, study.title, str(len(study.rows)), " ".join(study.claims))
    console.print(table)


def open_session(
    names: Names = None,
    scale: ScaleName = "quick",
    dataset: Dataset = "staged",
    data_root: DataRoot = None,
    fold: Fold = 1,
    replicates: Replicates = 1,
    only: Only = None,
    out: Out = Path("out"),
    device: Device = "auto",
    jobs: Jobs = None,
    pretrained: Pretrained = None,
    backbone: BackboneName = None,
    frames: Frames = None,
    size: Size = None,
    epochs: Epochs = None,
    exclude_broken: Broken = False,
) -> Session:
    """The options of every command that runs something, stated once."""
    chosen = tuple(dict.fromkeys([*(names or ()), *(only or ())]))
    choices = Choices(scale, dataset, data_root, fold, replicates, chosen, pretrained, backbone, frames, size, epochs)
    return Session(choices, out, device, jobs, exclude_broken)


def asking(command: Callable[..., None], without: frozenset[str] = frozenset()) -> Callable[..., None]:
    """`command(session, ...)` with the options of `open_session`, but for those in `without`, and its own, for typer to read."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = [option for name, option in inspect.signature(open_session, eval_str=True).parameters.items() if name not in without]

    def asked(**options: Any) -> None:
        mine = {option.name: options.pop(option.name) for option in own}
        command(open_session(**options), **mine)

    asked.__name__, asked.__doc__ = command.__name__, command.__doc__
    asked.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
    asked.__annotations__ = {option.name: option.annotation for option in (*shared, *own)}
    return asked


@app.command()
@asking
def plan(session: Session) -> None:
    """What would run, how long it would take and how much disk it would need. Nothing is started."""
    show_plan(console, session.plan())


@app.command()
@asking
def run(session: Session) -> None:
    """Run what is missing of the named studies. `report` makes the tables of it."""
    summary = session.run()
    console.print(f"{tally(summary)} The tables: run_study.py report --out {session.store.out}", soft_wrap=True)
    raise typer.Exit(tell_failures(summary))


def _search(
    session: Session,
    trials: Annotated[int, typer.Option(help="Trials in all; those of earlier starts count.")] = 12,
    replicate: Annotated[int, typer.Option(help="World to search in; default: one that no table uses.")] = SELECTION_REPLICATES,
) -> None:
    """Search beta by validation accuracy (Optuna, TPE). Goes on where it was; runs that are done are used."""
    from studies.search import NAME, search_beta

    if replicate < 0:
        raise FameError(f"--replicate {replicate}: replicates are counted from 0")
    with watching() as watcher:
        workers = LocalWorkers(session.store.out, session.jobs, session.runtime)

        def execute(stages: list[Stage]) -> None:
            serving = {stage.id: (stage, (NAME,)) for stage in stages}
            run_stages(
                session.store, serving, (replicate,), jobs=session.jobs, runtime=session.runtime, watcher=watcher, executor=workers
            )

        def tell(trial: Trial) -> None:
            how = "was there" if trial.reused else "computed"
            watcher.note(f"trial {trial.number}: beta {trial.beta}: {trial.value:.1f} % on validation videos ({how})")

        mirror = tracker(session.store, watcher.note)
        try:
            found = search_beta(
                session.asked.setting, session.store, trials, replicate, session.store.out, execute, tracker=mirror, tell=tell
            )
        finally:
            workers.stop()
    ended = ", and every beta of the grid has been tried" if found.exhausted else ""
    console.print(f"best beta {found.best.beta}: {found.best.value:.1f} % after {len(found.trials)} trials{ended}", highlight=False)


search = asking(_search, without=frozenset({"names", "only", "replicates", "pretrained"}))
app.command("search")(search)


@asking
def reproduce(session: Session) -> None:
    """Every table and figure: plan, data, runs, report. What is done already is not done again."""
    summary = session.run()
    page = make_report(session.store, session.asked)
    show_claims(page.parent / "report.json")
    console.print(f"{tally(summary)} Report: [bold]{page}[/bold]", soft_wrap=True)
    raise typer.Exit(tell_failures(summary))


# ---------------------------------------------------------------- showing


def show_claims(path: Path) -> None:
    """The claims' verdicts, from report.json."""
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))["claims"]
    except (OSError, ValueError, KeyError):
        return
    table = Table("claim", "measured", "effect", "interval", "n", "verdict")
    for claim in claims:
        low, high = claim.get("interval") or (None, None)
        interval = f"{_number(low)} .. {_number(high)}"
        table.add_row(claim["id"], claim["kind"], _number(claim.get("effect")), interval, str(claim.get("n", "")), claim["verdict"])
    console.print(table)


def _number(value: Any) -> str:
    return f"{value:+.2f}" if isinstance(value, int | float) else "-"


def tally(summary: Summary) -> str:
    return f"{len(summary.done)} runs done, {summary.already} were there."


def tell_failures(summary: Summary) -> int:
    """A line for each missing run on standard error; the exit code."""
    for line in summary.complaints():
        print(f"failed: {line}", file=sys.stderr)
    if summary.failed:
        print("error: see failure.json and log.txt in those folders; the next start tries them again", file=sys.stderr)
    return 0 if summary.ok else 1


# ---------------------------------------------------------------- the report


@app.command()
def report(out: Out = Path("out")) -> None:
    """Make tables, figures and page of what is in OUT, from the files alone."""
    store = Store(out)
    store.check_versions()
    console.print(f"report: {make_report(store, recall(store))}", soft_wrap=True)


def make_report(store: Store, asked: Asked) -> Path:
    """Build the report where results or code have changed since (reports/page.py knows); returns the page."""
    from reports.page import build

    page = build(store, asked.setting, asked.studies, asked.replicates, store.out, commit=commit(), command=resuming())
    mirror_studies(store, asked)
    return page


def mirror_studies(store: Store, asked: Asked) -> None:
    """Tables and figures go to the studies' MLflow experiments, as files and as numbers."""
    mirror = tracker(store, lambda message: print(message, file=sys.stderr))
    if mirror is None:
        return
    folder = store.out / "report"
    try:
        rows = json.loads((folder / "report.json").read_text(encoding="utf-8"))["tables"]
    except (OSError, ValueError, KeyError):
        rows = {}
    about = {"scale": asked.setting.scale.name, "dataset": asked.setting.dataset}
    for study in asked.studies:
        files = [path for room in ("tables", "figures") for path in (folder / room).glob(f"{study.name}*") if path.is_file()]
        stages = all_stages(asked.setting, (study,))
        runs = [(stage, number) for stage in stages for number in asked.replicates if store.finished(stage, number)]
        mirror.mirror_study(study.name, files, rows.get(study.name, ()), runs, f"{study.title} ({study.paper})", about)


@app.command()
def view(
    out: Out = Path("out"),
    port: Annotated[int | None, typer.Option(help="Serve it there; default: a free port.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser, or only tell where the page lies.")] = True,
) -> None:
    """Show the report."""
    from reports.viewer import view as show

    show(out, port, browser)


# ---------------------------------------------------------------- what is going on


@app.command()
def status(out: Out = Path("out")) -> None:
    """Runs finished, going on, broken off and failed, with their ages."""
    store = Store(out)
    store.check_versions()
    asked = recall(store)
    stages = all_stages(asked.setting, asked.studies)
    counts = dict.fromkeys(STATES, 0)
    table = Table("run", "folder", "state", "epoch", "since")
    for stage, _ in stages.values():
        for replicate in asked.replicates:
            state = state_of(store, stage.id, replicate)
            counts[state.name] += 1
            if state.name in ("running", "broken off", "failed"):
                step = store.progress(stage.id, replicate)
                shown = f"{state.name}: {state.message}" if state.message else state.name
                epoch = "{}/{}".format(*step) if step else ""
                table.add_row(label(stage), f"{stage.id}/{replicate}", shown, epoch, duration(state.age))
    others = sum(stage_id not in stages or replicate not in asked.replicates for stage_id, replicate in store.all())
    told = [f"{number} {name}" for name, number in counts.items() if number]
    told += [f"{others} of other settings"] if others else []
    console.print(f"{out}: " + ", ".join(told), highlight=False)
    if table.row_count:
        console.print(table)


# ---------------------------------------------------------------- data


@data_app.command("render")
def data_render(scale: ScaleName = "quick", replicates: Replicates = 1, out: Out = Path("out"), jobs: Jobs = None) -> None:
    """Render the embedded benchmark, all parts, and store it decoded."""
    store, asked = _staged(scale, replicates, out)
    from fame.data import open_videos

    with watching() as watcher:
        for replicate, part, data in _parts(asked):
            tell = _naming(watcher, f"{part} · {replicate}")
            open_videos(data, Seeds(replicate), store.cache, None, jobs or default_jobs("cpu"), tell)
    console.print(f"rendered into {store.cache}", soft_wrap=True)


@data_app.command("scan")
def data_scan(
    dataset: Dataset = "ucf101",
    data_root: DataRoot = None,
    fold: Fold = 1,
    out: Out = Path("out"),
    jobs: Jobs = None,
    exclude_broken: Broken = False,
) -> None:
    """Decode every video of a dataset on disk once and show what is there."""
    choices = Choices(scale="paper", dataset=dataset, data_root=data_root, fold=fold)
    if dataset == "staged":
        raise FameError("the embedded benchmark is rendered, not scanned: use `data render`, or --dataset ucf101 or folder")
    with watching() as watcher:
        asked = resolve(choices, Store(out).prepare().cache, jobs or default_jobs("cpu"), watcher.data, exclude_broken)
    assert asked.setting.videos is not None
    console.print(f"{dataset}: " + ", ".join(f"{count} {split}" for split, count in asked.counts.items()), highlight=False)
    console.print(f"manifest {asked.setting.videos.manifest}", highlight=False)


@data_app.command("verify")
def data_verify(out: Out = Path("out")) -> None:
    """Read every rendered file against its checksum."""
    from fame.data.staged import verify

    parts = sorted(path.parent for path in (out / "cache" / "staged").glob("*/checksums.txt"))
    if not parts:
        raise FameError(f"{out}: no rendered benchmark there; `data render` makes one")
    for part in parts:
        verify(part)
        console.print(f"{part}: sound", soft_wrap=True)


@data_app.command("sheet")
def data_sheet(scale: ScaleName = "quick", replicates: Replicates = 1, out: Out = Path("out"), jobs: Jobs = None) -> None:
    """Contact sheets of the embedded benchmark, to look at: training videos, and test performances in every condition."""
    store, asked = _staged(scale, replicates, out)
    from fame.data.staged import render
    from fame.data.staged_sheet import contact_sheet, counterfactual_sheet

    folder = out / "sheets"
    with store.named_errors():
        folder.mkdir(parents=True, exist_ok=True)
    with watching() as watcher:
        for replicate, part, data in _parts(asked):
            manifest = render(
                data, Seeds(replicate), store.cache, jobs or default_jobs("cpu"), _naming(watcher, f"{part} · {replicate}")
            )
            for name, draw in (("train", contact_sheet), ("conditions", counterfactual_sheet)):
                path = folder / f"{asked.setting.scale.name}-{part}-{replicate}-{name}.png"
                draw(manifest, path)
                watcher.note(str(path))


def _parts(asked: Asked) -> Iterator[tuple[int, str, StagedData]]:
    """Every part of every replicate's world."""
    parts: tuple[Part, ...] = ("A", "B", "C", "source")
    for replicate in asked.replicates:
        for part in parts:
            data = asked.setting.data(part)
            if isinstance(data, StagedData):
                yield replicate, part, data


def _staged(scale: str, replicates: int, out: Path) -> tuple[Store, Asked]:
    store = Store(out).prepare()
    return store, resolve(Choices(scale=scale, replicates=replicates), store.cache, 1)


def _naming(watcher: Watcher, name: str) -> Callable[[str, int, int], None]:
    return lambda what, done, total: watcher.data(f"{what} {name}", done, total)


# ---------------------------------------------------------------- starting


def resuming() -> str:
    """The command that was typed, to be typed again."""
    words = list(getattr(sys, "orig_argv", sys.argv))
    script = Path(sys.argv[0])
    if script.suffix != ".py" and len(words) > 1 and Path(words[1]) == script:  # a console command, started by its interpreter
        words = words[1:]
        words[0] = script.name if shutil.which(script.name) == str(script) else os.path.relpath(script)
    return shlex.join(words)


def start(program: Callable[..., Any]) -> int:
    """Run a typer program; every error that a user can cause becomes one line. FAME_DEBUG=1 shows the traceback."""
    logging.getLogger().addHandler(logging.NullHandler())  # other packages' warnings are not the reader's concern
    warn = logging.StreamHandler(sys.stderr)
    warn.setFormatter(logging.Formatter("warning: %(message)s"))
    logging.getLogger("fame").handlers = [warn]
    try:
        code = int(program(standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    except Exception as error:
        if os.environ.get("FAME_DEBUG"):
            raise
        if hasattr(error, "format_message"):  # typer's own: an unknown option, a missing value
            print(f"error: {' '.join(error.format_message().split())}", file=sys.stderr)
            return 2
        if isinstance(error, FameError):
            print(f"error: {error}", file=sys.stderr)
            return error.code
        hint = "FAME_DEBUG=1 shows where"
        print(f"error: {type(error).__name__}: {' '.join(str(error).split())} (unexpected; {hint})", file=sys.stderr)
        return 1
    if code == STOPPED:  # typer makes this code of a KeyboardInterrupt
        print(f"stopped; finished runs and epochs are kept. Continue with: {resuming()}", file=sys.stderr)
    return code


def _single(command: Callable[..., None]) -> typer.Typer:
    single = typer.Typer(**PLAIN)  # type: ignore[arg-type]
    single.command()(command)
    return single


def reproduce_paper() -> None:
    """The console command `reproduce-paper`."""
    sys.exit(start(_single(reproduce)))


def search_beta() -> None:
    """The console command `search-beta`."""
    sys.exit(start(_single(search)))


def view_report() -> None:
    """The console command `view-report`."""
    sys.exit(start(_single(view)))


if __name__ == "__main__":
    sys.exit(start(app))
