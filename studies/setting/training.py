"""Options that say how a training computes: in how many parts, in which arithmetic, and what several ranks share.

Each overrides a field of the scale of the same name, is kept in setting.json, and enters the id of what it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from fame.config import Precision, Reach, Sampling
from fame.errors import FameError
from studies.setting.scales import Scale

AUTO = "auto"  # decided by measurement before anything else (studies/setting/compiling.py)
COMPILED: dict[str, bool | str | None] = {"no": None, "yes": True, AUTO: AUTO}  # by the word on the command line
NAMED = {"precision": get_args(Precision), "sampling": get_args(Sampling), "reach": get_args(Reach)}


@dataclass(frozen=True)
class Training:
    """What was asked for; None: as the scale has it."""

    accumulate: int | None = None  # pieces of a pretraining's batch on each device
    finetune_accumulate: int | None = None  # pieces of finetuning's
    precision: str | None = None  # of all networks
    compiled: bool | str | None = None  # pretraining's networks, by torch.compile; AUTO is not decided yet
    sampling: str | None = None  # which videos each rank sees
    reach: str | None = None  # among which ranks' clips a background is drawn

    def told(self) -> dict[str, Any]:
        """What overrides the scale."""
        told = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}
        return {name: value for name, value in told.items() if (name, value) != ("compiled", AUTO)}


def compiled_as(word: str) -> bool | str | None:
    """What `--compile WORD` means; FameError for another word."""
    if word not in COMPILED:
        raise FameError(f"--compile {word}: it is one of {', '.join(COMPILED)}")
    return COMPILED[word]


def checked_training(base: Scale, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Of `overrides`, the fields of the scale that say how a training computes; FameError names the first impossible value."""
    for name, known in NAMED.items():
        if name in overrides and overrides[name] not in known:
            raise FameError(f"{option_of(name)} {overrides[name]}: it is one of {', '.join(known)}")
    ranks = overrides.get("ranks", base.ranks)
    if ranks < 1 or base.pretrain.batch % ranks:
        raise FameError(f"--ranks {ranks}: the batch of {base.pretrain.batch} is shared by them equally")
    for name, batch in (("accumulate", base.pretrain.batch // ranks), ("finetune_accumulate", base.finetune.batch)):
        pieces = overrides.get(name, getattr(base, name))
        if pieces < 1 or batch % pieces:
            raise FameError(f"{option_of(name)} {pieces}: the batch of {batch} on one device is cut in so many equal pieces")
    return {name: overrides[name] for name in ("ranks", *(field.name for field in fields(Training))) if name in overrides}


def option_of(name: str) -> str:
    """The option of the command line behind an override of that name: `--finetune-accumulate`."""
    return "--compile" if name == "compiled" else f"--{name.replace('_', '-')}"
