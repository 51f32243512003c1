"""Match the names of weights in other people's checkpoints with ours, both ways.

The released code's files name weights `module.encoder_q.*` beside `module.encoder_k.*` and the queue (pretrained), or `module.*`
(finetuned). Behind such prefixes, or any other up to a dot, names are the same as here, but for S3D's trunk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.config import Backbone
from fame.errors import FameError

Weights = Mapping[str, Tensor]
RELEASED = "module.encoder_q."  # what the released code's evaluation looks for
COUNTER = "num_batches_tracked"  # batches seen: old files have none and evaluation needs none
SHOWN = 4  # problems named in an error

# how a name that is none of the backbone's begins, or goes on after a dot: why it is left
MOMENTUM = ("encoder_k.", "key.", "key_", "momentum", "target_", "teacher", "ema.", "ema_")
REASONS = {
    "momentum encoder": MOMENTUM,
    "queue": ("queue", "position"),
    "projection head": ("fc.0.", "fc.2.", "id_head.", "head.", "projection."),
    "classifier": ("fc.", "classifier.", "linear."),
}
UNKNOWN = "no weight of this backbone"


@dataclass(frozen=True)
class Loaded:
    """Tell where an encoder's weights came from; `used`: the file's name -> the encoder's; `left`: the file's name -> why."""

    path: Path
    backbone: Backbone
    used: dict[str, str]
    left: dict[str, str]

    @property
    def unknown(self) -> list[str]:
        return [name for name, reason in self.left.items() if reason == UNKNOWN]

    def __str__(self) -> str:
        reasons = ", ".join(f"{number} {reason}" for reason, number in Counter(self.left.values()).items())
        told = f"{self.path}: {described(self.backbone)}, {len(self.used)} keys used, {len(self.left)} left"
        told += f" ({reasons})" if reasons else ""
        return told + (f"; unknown: {shortened(self.unknown, ', ')}" if self.unknown else "")


def described(backbone: Backbone) -> str:
    if backbone.name != "r2plus1d_narrow":
        return backbone.name
    further = backbone.model_dump(exclude={"name", "width"}, exclude_defaults=True)
    return ", ".join([f"{backbone.name} of width {backbone.width}", *(f"{name} {value}" for name, value in further.items())])


def weights_in(content: Mapping[Any, object]) -> dict[str, Tensor]:
    """Return the tensors of a file by name: of nested dictionaries those of the one with most, of equals the first."""

    def dictionaries(outer: Mapping[Any, object]) -> Iterator[Mapping[Any, object]]:
        yield outer
        for value in outer.values():
            if isinstance(value, Mapping):
                yield from dictionaries(value)

    tensors = ({str(name): value for name, value in one.items() if isinstance(value, Tensor)} for one in dictionaries(content))
    return max(tensors, key=len)


def fit(wanted: Weights, weights: Weights, whose: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return `used` and `left` (see `Loaded`) for `wanted`, an encoder's state dict. FameError lists missing and unfit weights."""
    found = _fullest(wanted, weights)
    used = {name: bare for bare, name in found.items()}
    problems: list[str] = []
    for name, bare in used.items():
        value = weights[name]
        if value.shape != wanted[bare].shape:
            problems.append(f"{name} is {tuple(value.shape)} and should be {tuple(wanted[bare].shape)}")
        elif wanted[bare].is_floating_point() and not value.is_floating_point():
            problems.append(f"{name} is {value.dtype} and should be floats: convert quantised weights first")
        elif value.layout != torch.strided or value.is_meta:
            problems.append(f"{name} is a {'meta' if value.is_meta else 'sparse'} tensor: save it with its values, and dense")
        elif not torch.isfinite(value).all():
            problems.append(f"{name} is not finite: its training diverged")
    problems += [f"{name} is missing" for name in wanted if name not in found and not name.endswith(COUNTER)]
    if problems:
        raise FameError(f"{whose}: {shortened(problems, '; ')}; the file has {', '.join(list(weights)[:3])}, ...")
    return used, {name: _reason(name, wanted) for name in weights if name not in used}


def fits(wanted: Weights, weights: Weights) -> bool:
    """Whether `fit` would find every weight in its shape; `wanted` may lie on the meta device."""
    shapes = {bare: weights[name].shape for bare, name in _fullest(wanted, weights).items()}
    return all(shapes.get(name) == value.shape for name, value in wanted.items() if not name.endswith(COUNTER))


def released(weights: Weights) -> dict[str, Tensor]:
    """Return an encoder's state dict under the names of the released code's files."""
    return {RELEASED + re.sub(r"^trunk\.", "features.", name): value for name, value in weights.items()}


def shortened(names: list[str], between: str) -> str:
    return between.join(names[:SHOWN] + ([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []))


def _rests(name: str) -> list[str]:
    """Return the name, and what is behind each of its dots."""
    return [name, *(name[dot.end() :] for dot in re.finditer(r"\.", name))]


def _split(name: str, wanted: Weights) -> tuple[str, str] | None:
    """Return a prefix and the wanted name behind it; S3D's `features.*` is `trunk.*` here."""
    for rest in _rests(name):
        bare = re.sub(r"^features\.", "trunk.", rest)
        if bare in wanted:
            return name.removesuffix(rest), bare
    return None


def _fullest(wanted: Weights, weights: Weights) -> dict[str, str]:
    """Return the file's name of each wanted one, behind the prefix that has most of them, a momentum encoder's last."""
    copies: dict[str, dict[str, str]] = {}
    for name in weights:
        if (split := _split(name, wanted)) is not None:
            copies.setdefault(split[0], {})[split[1]] = name
    return max(copies.items(), key=lambda copy: (not _begins(copy[0], MOMENTUM), len(copy[1])), default=("", {}))[1]


def _begins(name: str, starts: tuple[str, ...]) -> bool:
    return any(rest.startswith(starts) for rest in _rests(name))


def _reason(name: str, wanted: Weights) -> str:
    found = next((reason for reason, starts in REASONS.items() if _begins(name, starts)), None)
    return found or ("another copy" if _split(name, wanted) else UNKNOWN)
