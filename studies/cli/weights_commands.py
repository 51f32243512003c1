"""The verbs of `run_study.py weights`: what a file of weights holds, and ours under the released code's names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from fame.errors import FameError
from studies.cli.session import console, say

weights_app = typer.Typer(no_args_is_help=True, help="Files of weights: what is in them, and exchange with the released code.")

Weights = Annotated[Path, typer.Argument(metavar="ENCODER", help="encoder.pt of a run, a released checkpoint, torchvision's.")]
Target = Annotated[Path, typer.Argument(metavar="FILE", help="The checkpoint to write; nothing may lie there.")]
Fits = Annotated[str | None, typer.Option("--backbone", help="The network it shall fit; default: the one that it does fit.")]


@weights_app.command("show")
def weights_show(file: Weights, backbone: Fits = None) -> None:
    """Which backbone the file fits, which of its keys are used, and which are left, for what reason."""
    from fame.backbones.given import load_encoder

    encoder = load_encoder(file, backbone)
    assert encoder.loaded is not None
    say(str(encoder.loaded))
    number = sum(weight.numel() for weight in encoder.parameters())
    say(f"{number:,} parameters, features of {encoder.dim} dimensions")
    table = Table("key", "used as, or why it is left")
    for name, what in (encoder.loaded.used | encoder.loaded.left).items():
        table.add_row(name, what)
    console.print(table)


@weights_app.command("export")
def weights_export(encoder: Weights, file: Target, backbone: Fits = None) -> None:
    """Write an encoder as the released code's evaluation reads it, `module.encoder_q.*`."""
    from fame.backbones.given import export_encoder, load_encoder
    from fame.backbones.keys import described

    if file.exists():
        raise FameError(f"{file} is there already: name another file, or take it away first")
    ours = load_encoder(encoder, backbone)
    assert ours.loaded is not None
    export_encoder(ours, ours.loaded.backbone, file)
    say(f"{file}: {described(ours.loaded.backbone)}, {len(ours.state_dict())} keys module.encoder_q.*")
