"""A call of the command line: options read from what is typed, errors in one line, the plan shown, what is missing run."""

from __future__ import annotations

import inspect
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from rich.console import Console
from rich.filesize import decimal

from fame.errors import FameError
from studies.harness.hardware import commit, cores, default_jobs, resolve_device, versions
from studies.harness.plan import Plan, make_plan, show_plan
from studies.harness.pool import LocalWorkers, Workers
from studies.harness.progress import Bars, Lines
from studies.harness.runner import Summary, run_missing
from studies.harness.store import Store
from studies.harness.worker import Runtime
from studies.paper.registry import ALL_FINDINGS, FINDINGS, FOR_CLAIMS, row_name, studies
from studies.setting.asked import Asked, listed, part_of, places, resolve
from studies.setting.cell import Stage
from studies.setting.fields import overruled
from studies.setting.options import Options, flag
from studies.setting.recording import record
from studies.setting.resolve import all_stages
from studies.tracking import Tracker

NAMES = "Names as `list` shows them; findings: all findings; claims: all that claims need; the paper's where none is given."
STOPPED = 130  # exit code after Ctrl-C
RESERVE = 200e6  # bytes that shall stay free
Command = Callable[..., None]
console = Console(width=None if sys.stdout.isatty() else 120)


def tell_version(asked: bool) -> None:
    """Print what this is and on which torch it computes, and end."""
    if asked:
        found = versions()
        say(
            f"fame-reproduction {version('fame-reproduction')}, commit {commit()}, torch {found['torch']}, Python {found['python']}"
        )
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=tell_version, is_eager=True, metavar="", help="Version, commit, torch."),
]
VERSION = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Version)


def start(program: Callable[..., Any]) -> int:
    """Run a typer program; every error that a user can cause becomes one line. FAME_DEBUG=1 shows the traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: workers end, and MLflow is told
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
        said, code = " ".join(str(error).split()), 1
        if isinstance(error, FameError):
            code = error.code
        elif hasattr(error, "format_message"):  # typer's own: an unknown option, a missing value
            said, code = " ".join(error.format_message().split()), 2
            if context := getattr(error, "ctx", None):
                said = f"{said.rstrip('.')}; see {context.command_path} --help"
        else:
            said = f"{type(error).__name__}: {said} (unexpected; FAME_DEBUG=1 shows where)"
        complain(f"error: {said}")
    if code == STOPPED:  # typer makes this code of a KeyboardInterrupt
        complain(f"stopped; finished runs and epochs are kept. Continue with: {resuming()}")
    return code


def resuming() -> str:
    """Return the command that was typed, to be typed again."""
    script = Path(sys.argv[0])
    if script.suffix == ".py":
        return shlex.join(sys.orig_argv)
    return shlex.join([script.name if shutil.which(script.name) else str(script), *sys.argv[1:]])


def say(line: str) -> None:
    """Print a line as it is, however long."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@contextmanager
def watching() -> Iterator[Lines]:
    """Show bars on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield Lines(console)
        return
    bars = Bars(console)
    with bars.bars:
        yield bars


def asking(*names: str, without: tuple[str, ...] = (), **defaults: Any) -> Callable[[Command], Command]:
    """Make of `command(options, ...)` one that typer reads: with the options `names`, or all but `without`, and its own arguments.

    `defaults` are the command's own. With `only`, the studies may also be typed without it.
    """
    fields = [name for name in names or Options.model_fields if name not in without]

    def make(command: Command) -> Command:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        shared = [_parameter(name, defaults.get(name)) for name in fields]
        if "only" in fields:
            argument = Annotated[list[str] | None, typer.Argument(metavar="STUDY...", help=NAMES, autocompletion=_named)]
            shared.insert(0, inspect.Parameter("studies", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=argument))

        def asked(**typed: Any) -> None:
            mine = {parameter.name: typed.pop(parameter.name) for parameter in own}
            del typed[VERSION.name]
            if "only" in fields:
                typed["only"] = list(dict.fromkeys([*(typed.pop("studies") or ()), *(typed["only"] or ())]))
            command(Options.read(typed), **mine)

        parameters = [*shared, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), VERSION]
        asked.__name__, asked.__doc__ = command.__name__, command.__doc__
        asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        asked.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return asked

    return make


def _parameter(name: str, default: Any) -> inspect.Parameter:
    """Return the parameter of one option. Values are typed as text, which `Options` reads."""
    field = Options.model_fields[name]
    several = get_origin(field.annotation) is tuple
    default = field.default if default is None else default
    if field.annotation is bool:
        kind: Any = bool
    else:
        kind = (list[str] if several else str) | None  # type: ignore[operator]
        default = None if several or default is None else str(default)
    extra: Any = field.json_schema_extra
    choices = _choices(field.annotation)
    declared = typer.Option(
        flag(name),
        help=field.description,
        metavar="" if kind is bool else extra["metavar"] or "|".join(choices) or "N",
        rich_help_panel=extra["panel"],
        autocompletion=_named if name == "only" else _beginning(choices) if choices else None,
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])


def _choices(annotation: Any) -> list[str]:
    """Return the values that a field takes by name; none for another kind of field."""
    if get_origin(annotation) is Literal:
        return [*get_args(annotation)]
    return [one for part in get_args(annotation) for one in _choices(part)]


def _beginning(choices: list[str]) -> Callable[[str], list[str]]:
    """Return what a shell asks for the values of an option."""

    def complete(incomplete: str) -> list[str]:
        return [one for one in choices if one.startswith(incomplete)]

    return complete


def _named(incomplete: str) -> list[str]:
    """Complete the name of a study, of a group of them, and after the slash of a row."""
    every = (*studies(), *FINDINGS)
    rows = [row_name(study, row) for study in every for row in study.rows] if "/" in incomplete else []
    return _beginning([*(study.name for study in every), ALL_FINDINGS, FOR_CLAIMS, *rows])(incomplete)


class Session:
    """Hold what was asked for, where, and with what; `replicates` are this call's. Making one checks the options.

    `elsewhere`: the runs are other machines', so that this one needs no GPU.
    """

    def __init__(self, options: Options, planning: bool = False, elsewhere: bool = False) -> None:
        self.options = options
        self.store = Store(options.out).prepare()
        self.cluster: Any = None
        if options.executor == "ray":
            self.cluster = _ray().Cluster(options.address, options.device, options.gpus_per_run, options.jobs)
            self.device, self.jobs = self.cluster.device, options.jobs or self.cluster.slots
        else:
            self.device = options.device if elsewhere and options.device != "auto" else resolve_device(options.device)
            self.jobs = options.jobs or (1 if options.nnodes > 1 else default_jobs(self.device))
        with watching() as watcher:
            self.asked: Asked = resolve(options, self.store.cache, min(self.jobs, cores()), watcher.data, planning)
        self.replicates = part_of(options.part, self.asked.replicates)

    @cached_property
    def stages(self) -> dict[str, tuple[Stage, tuple[str, ...]]]:
        return all_stages(self.asked.setting, self.asked.studies)

    @property
    def runtime(self) -> Runtime:
        return runtime_of(self.options, self.device)

    def plan(self) -> Plan:
        sizes, has = self.asked.sizes, self.asked.has
        return make_plan(self.store, self.stages, self.replicates, self.jobs, self.device, sizes, has)

    @property
    def workers(self) -> Callable[[int | None], Workers]:
        """Return what makes so many workers, here and, pickled, in another process: of this machine or on the Ray cluster."""
        if self.cluster:
            return partial(_ray().RayWorkers, self.store.out, runtime=self.runtime, cluster=self.cluster)
        return partial(LocalWorkers, self.store.out, runtime=self.runtime)

    def run(self, plan: Plan) -> Summary:
        """Run what is missing."""
        if plan.todo:
            if self.asked.setting.scale.precision == "fp16":  # `plan` does not ask, as the runs may be another machine's
                from fame.training.precision import check  # with it comes torch, whose import takes seconds

                check("fp16", self.device)
            free = shutil.disk_usage(self.store.out).free
            if plan.bytes + RESERVE > free:
                need = f"about {decimal(plan.bytes)} are needed and {decimal(free)} are free"
                raise FameError(f"{self.store.out}: {need}; make room or choose another folder with --out")
        self.begin()
        workers = self.workers(self.options.jobs if self.cluster else self.jobs)
        try:
            with watching() as watcher:
                return run_missing(self.store, plan, workers, watcher, self.tracker(watcher.note), self.options.nnodes > 1)
        finally:
            workers.stop()

    def begin(self) -> None:
        """Write what the study is: what `report`, `status` and a later start read."""
        self.store.write_setting(self.asked.to_json())
        with self.store.named_errors():
            kept = record(self.asked).write(self.store.out)
        if kept:
            complain(f"{self.store.out} held the report of another study; it is kept: {kept / 'index.html'}")

    def tracker(self, warn: Callable[[str], object] = complain) -> Tracker | None:
        """Return the mirror in MLflow; None where it is off."""
        return None if self.options.no_mlflow else Tracker(self.store.out, warn, self.options.scale)

    def show(self, plan: Plan) -> None:
        """Show a plan, which replicates are done, which are asked for, which sets are absent, and a --set that rows lack."""
        show_plan(console, plan)
        part = f"In this part: {listed(self.replicates)}." if self.replicates != self.asked.replicates else ""
        told = " ".join(filter(None, (standing(self.store, self.asked, self.stages), part, self.asked.absent)))
        for line in (told, *overruled(self.asked.setting.typed, self.asked.studies)):
            if line:
                say(line)


def _ray() -> Any:
    from studies.harness import ray_workers  # an extra that is not always there

    return ray_workers


def runtime_of(options: Options, device: str) -> Runtime:
    """Return where files are and where it is computed; FameError where a set is not there."""
    roots = {kind: root for kind, root, _ in places(options).values()}
    where = (options.nnodes, options.rdzv_endpoint)
    return Runtime(device, roots, options.pretrained, options.broken, *where)


def standing(store: Store, asked: Asked, stages: Mapping[str, tuple[Stage, tuple[str, ...]]]) -> str:
    """Return `4 of 6 replicates done (1-3, 5).`; "" for a single replicate, and where all are done."""
    done = [
        number
        for number in asked.replicates
        if all(store.finished(stage, number) for stage, (_, studies) in stages.items() if asked.has(studies, number))
    ]
    if len(asked.replicates) == 1 or len(done) == len(asked.replicates):
        return ""
    which = f" ({listed(done)})" if done else ""
    return f"{len(done)} of {len(asked.replicates)} replicates done{which}."
