"""Options that say how a training computes: in how many parts, in which arithmetic, and what several ranks share.

Each overrides a field of the scale of the same name, is kept in setting.json, and enters the id of what it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from fame.config import Precision
from fame.errors import FameError
from studies.setting.scales import Scale

NAMED = {"precision": get_args(Precision)}


@dataclass(frozen=True)
class Training:
    """What was asked for; None: as the scale has it."""

    accumulate: int | None = None  # pieces of a pretraining's batch on each device
    precision: str | None = None  # of all networks
    compiled: bool | None = None  # pretraining's networks, by torch.compile

    def told(self) -> dict[str, Any]:
        """What overrides the scale."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


def checked_training(base: Scale, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Of `overrides`, the fields of the scale that say how a training computes; FameError names the first impossible value."""
    for name, known in NAMED.items():
        if name in overrides and overrides[name] not in known:
            raise FameError(f"{option_of(name)} {overrides[name]}: it is one of {', '.join(known)}")
    ranks = overrides.get("ranks", base.ranks)
    if ranks < 1 or base.pretrain.batch % ranks:
        raise FameError(f"--ranks {ranks}: the batch of {base.pretrain.batch} is shared by them equally")
    batch, pieces = base.pretrain.batch // ranks, overrides.get("accumulate", base.accumulate)
    if pieces < 1 or batch % pieces:
        raise FameError(f"--accumulate {pieces}: the batch of {batch} on one device is cut in so many equal pieces")
    return {name: overrides[name] for name in ("ranks", *(field.name for field in fields(Training))) if name in overrides}


def option_of(name: str) -> str:
    """The option of the command line behind an override of that name."""
    return "--compile" if name == "compiled" else f"--{name.replace('_', '-')}"
