"""The options of the command line, each stated once, with the help that typer shows for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from studies.cli.session import Session
from studies.setting.choices import Choices
from studies.setting.folds import parse_folds
from studies.setting.training import Training

NAMED = "Names as `list` shows them; findings: all findings; claims: all that claims need; the paper's where none is given."
ONE = "This study only, or one row of it (STUDY/ROW/COLUMN), or findings, or claims; may be repeated."
Names = Annotated[list[str] | None, typer.Argument(metavar="STUDY...", help=NAMED)]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="STUDY", help=ONE)]
ScaleName = Annotated[str, typer.Option("--scale", help="smoke, quick, mini or paper.")]
SETS = (
    "staged (the embedded benchmark, the default), ucf101, hmdb51, kinetics400, diving48, folder, or paper: several in one folder."
)
Dataset = Annotated[str | None, typer.Option(help=f"{SETS} At scale paper with --data-root, paper is the default.")]
OneSet = Annotated[
    str, typer.Option("--dataset", help="ucf101, hmdb51, kinetics400, diving48 or folder; paper: all in one folder.")
]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of a dataset on disk; for paper, of its sets: ucf101, hmdb51, ...")]
Fold = Annotated[
    str,
    typer.Option(help="Official fold, 1 to 3, or all: their mean. kinetics400 and diving48 have one split."),
]
Codec = Annotated[
    str | None,
    typer.Option(help="How real videos are stored: raw (default) or jpeg (a twelfth of the disk, not exact)."),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        "--protocol", help="corrected, or official: what the released code does with videos, faults included (docs/datasets.md)."
    ),
]
Plugin = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="Python file with masks, pretrainings or studies of your own; may be repeated."),
]
SetField = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="A field of the method, as merge.beta=0.4, moco.temperature=0.2, optim.lr=1e-3, augment.blur=0 (also erasing.*), in "
        "every pretraining that has it; a row that gives the field itself keeps its own. May be repeated.",
    ),
]
OwnRow = Annotated[
    list[str] | None,
    typer.Option(
        "--row",
        metavar="METHOD",
        help="A row of your own, as \"fame(beta=0.4, variant='seed')\", beside the baseline in a table `rows`. May be repeated.",
    ),
]
Replicates = Annotated[
    int | None, typer.Option(help="Replicates of the study; default: the scale's own number. Three are needed for a verdict.")
]
PartOf = Annotated[str | None, typer.Option("--part", metavar="N", help="Run these of the study's replicates only: 3, 2-4 or 1,5.")]
Out = Annotated[Path, typer.Option(help="Folder of runs, cache and report.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Jobs = Annotated[int | None, typer.Option(help="Runs side by side; default: one a core.")]
Pretrained = Annotated[Path | None, typer.Option(help="Evaluate these weights instead of pretraining.")]
BackboneName = Annotated[str | None, typer.Option("--backbone", help="Another network than the scale's.")]
Frames = Annotated[int | None, typer.Option(help="Frames of a clip, instead of the scale's.")]
Size = Annotated[int | None, typer.Option(help="Pixels of a clip, instead of the scale's.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs of pretraining, instead of the scale's.")]
RanksOf = Annotated[int | None, typer.Option("--ranks", help="Processes, one a GPU, that share each batch of a pretraining.")]
Accumulate = Annotated[
    int | None, typer.Option("--accumulate", help="Pieces that a pretraining's batch is computed in on each device: less memory.")
]
PrecisionOf = Annotated[str | None, typer.Option("--precision", help="auto, fp32, bf16 or fp16 (GPU), instead of the scale's.")]
CompiledAs = Annotated[bool, typer.Option("--compile", help="Pretraining's networks by torch.compile.")]
Broken = Annotated[bool, typer.Option("--exclude-broken", help="Leave broken videos out, up to a hundredth of the set.")]
MostBroken = Annotated[
    float | None,
    typer.Option("--most-broken", metavar="SHARE", min=0, max=1, help="As --exclude-broken, up to this share."),
]


def bound_on_broken(exclude: bool, most: float | None) -> float:
    """The share of broken videos that may be left out; 0: none, the run stops at the first. It changes no result but by what is
    left out, which the manifest's digest says, so it is in no identity."""
    from fame.data.faults import MOST_BROKEN  # imports no decoder: reading results shall start fast

    return most if most is not None else MOST_BROKEN if exclude else 0.0


def open_session(
    names: Names = None,
    scale: ScaleName = "quick",
    dataset: Dataset = None,
    data_root: DataRoot = None,
    fold: Fold = "1",
    codec: Codec = None,
    replicates: Replicates = None,
    part: PartOf = None,
    only: Only = None,
    out: Out = Path("out"),
    device: Device = "auto",
    jobs: Jobs = None,
    pretrained: Pretrained = None,
    backbone: BackboneName = None,
    frames: Frames = None,
    size: Size = None,
    epochs: Epochs = None,
    ranks: RanksOf = None,
    protocol: ProtocolName = "corrected",
    accumulate: Accumulate = None,
    precision: PrecisionOf = None,
    compiled: CompiledAs = False,
    exclude_broken: Broken = False,
    most_broken: MostBroken = None,
    plugin: Plugin = None,
    field: SetField = None,
    row: OwnRow = None,
) -> Session:
    """The options of every command that runs something, stated once."""
    chosen = tuple(dict.fromkeys([*(names or ()), *(only or ())]))
    folds = parse_folds(fold)
    choices = Choices(
        scale, dataset, data_root, folds, replicates, chosen, pretrained, backbone, frames, size, epochs, ranks, part, codec
    )
    training = Training(accumulate, precision, compiled or None)
    choices = replace(choices, plugins=tuple(plugin or ()), protocol=protocol, training=training)
    choices = replace(choices, fields=tuple(field or ()), rows=tuple(row or ()))
    return Session(choices, out, device, jobs, bound_on_broken(exclude_broken, most_broken))


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
