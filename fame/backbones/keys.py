"""Names of weights in other people's checkpoints and in ours, both ways; files are read in fame/backbones/given.py.

The released code's files name weights `module.encoder_q.*` beside `module.encoder_k.*`, `module.queue` and `module.queue_ptr`
(pretrained), or `module.*` with `fc` (finetuned). The projection head is `fc.{0,2}` for R(2+1)D and `id_head.{2,4}` inside I3D.
Behind such prefixes a backbone's names are torchvision's, I3D's the released code's, and so are an encoder's here, but for S3D's
trunk. Any other prefix, up to a dot, does as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.config import Backbone
from fame.errors import FameError

CONTAINERS = ("state_dict", "model_state_dict", "model", "weights")
MOMENTUM = ("encoder_k.", "key.", "key_", "momentum", "target_", "teacher", "ema.", "ema_")
RELEASED = "module.encoder_q."  # what the released code's evaluation looks for
COUNTER = "num_batches_tracked"  # batches seen: old files have none and evaluation needs none
SHOWN = 4  # problems named in an error

# how a name that is none of the backbone's begins, or goes on after a dot: why it is left
REASONS = (
    (MOMENTUM, "momentum encoder"),
    (("queue", "position"), "queue"),
    (("fc.0.", "fc.2.", "id_head.", "head.", "projection."), "projection head"),
    (("fc.", "classifier.", "linear."), "classifier"),
)
UNKNOWN = "no weight of this backbone"


@dataclass(frozen=True)
class Keys:
    """What became of every key of a file.

    `used`: the file's name -> the encoder's; `left`: the file's name -> why; `absent`: counters that the file has not, left at 0;
    `beside`: entries of a checkpoint that are no weights, such as its epoch.
    """

    used: dict[str, str]
    left: dict[str, str]
    absent: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def unknown(self) -> list[str]:
        """Names left for no reason but that nothing is known of them."""
        return [name for name, reason in self.left.items() if reason == UNKNOWN]

    def __str__(self) -> str:
        reasons = ", ".join(f"{number} {reason}" for reason, number in Counter(self.left.values()).items())
        told = f"{len(self.used)} keys used, {len(self.left)} left" + f" ({reasons})" * bool(reasons)
        told += f"; unknown: {shortened(self.unknown)}" if self.unknown else ""
        told += f"; the file has no {COUNTER}" if self.absent else ""
        return told + (f"; beside the weights: {', '.join(self.beside)}" if self.beside else "")


@dataclass(frozen=True)
class Loaded:
    """Where an encoder's weights came from: the file, the backbone that they fit, what became of every key."""

    path: Path
    backbone: Backbone
    keys: Keys

    def __str__(self) -> str:
        return f"{self.path}: {described(self.backbone)}, {self.keys}"


def described(backbone: Backbone) -> str:
    """Return its name, with the width where it has one."""
    return f"{backbone.name} of width {backbone.width}" if backbone.name == "r2plus1d_narrow" else backbone.name


def weights_in(content: Mapping[str, object]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a file by name, and the names of whatever else is there.

    Of nested dictionaries the one with most tensors is opened; of equals one named in `CONTAINERS`, then the first.
    """

    def dictionaries(given: Mapping[Any, object], name: str) -> Iterator[tuple[Mapping[Any, object], str]]:
        yield given, name
        for inner, value in given.items():
            if isinstance(value, Mapping):
                yield from dictionaries(value, str(inner))

    def size(place: tuple[Mapping[Any, object], str]) -> tuple[int, bool]:
        return sum(isinstance(value, Tensor) for value in place[0].values()), place[1] in CONTAINERS

    inside, _ = max(dictionaries(content, ""), key=size)
    beside = [str(name) for name, value in content.items() if inside is not content and value is not inside]
    beside += [str(name) for name, value in inside.items() if not isinstance(value, Tensor)]
    return {str(name): value for name, value in inside.items() if isinstance(value, Tensor)}, tuple(beside)


def fit(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor], whose: str) -> tuple[dict[str, Tensor], Keys]:
    """Return the values for `wanted`, an encoder's state dict, by its names, and what became of each of the file's `weights`.

    Where a file holds several copies behind different prefixes, a momentum encoder is the last choice; else the one with most of
    the wanted names is taken, of equals the first in the file. FameError lists, behind `whose`, weights that are missing, of
    another shape, or not finite.
    """
    found = _fullest(wanted, weights)
    used = {name: bare for bare, name in found.items()}
    left = {name: _reason(name, wanted) for name in weights if name not in used}
    problems: list[str] = []
    for name, bare in used.items():
        value = weights[name]
        if value.shape != wanted[bare].shape:
            problems.append(f"{name} is {tuple(value.shape)} and should be {tuple(wanted[bare].shape)}")
        elif wanted[bare].is_floating_point() and not value.is_floating_point():
            problems.append(f"{name} is {value.dtype} and should be floats: convert quantised weights first")
        elif value.is_floating_point() and not bool(torch.isfinite(value).all()):
            problems.append(f"{name} is not finite: its training diverged")
    lacking = [name for name in wanted if name not in found]
    problems += [f"{name} is missing" for name in lacking if not name.endswith(COUNTER)]
    if problems:
        raise FameError(f"{whose}: {shortened(problems, '; ')}; the file has {', '.join(list(weights)[:3]) or 'no weights'}, ...")
    counters = tuple(name for name in lacking if name.endswith(COUNTER))
    return {bare: weights[name] for name, bare in used.items()}, Keys(used, left, counters)


def fits(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> bool:
    """Whether `fit` would find every weight in its shape. Values are not looked at, so `wanted` may lie on the meta device."""
    shapes = {bare: weights[name].shape for bare, name in _fullest(wanted, weights).items()}
    return all(shapes.get(name) == value.shape for name, value in wanted.items() if not name.endswith(COUNTER))


def released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an encoder's state dict under the names of the released code's files, values as they are; `fit` reads them back."""
    return {RELEASED + re.sub(r"^trunk\.", "features.", name): value for name, value in weights.items()}


def shortened(names: Iterable[str], between: str = ", ") -> str:
    """The first few, and how many more."""
    listed = list(names)
    return between.join(listed[:SHOWN]) + (f"{between}and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def _split(name: str, wanted: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """Return a prefix and the wanted name behind it, as an encoder here bears it: S3D's `features.*` is `trunk.*`."""
    for rest in _rests(name):
        bare = re.sub(r"^features\.", "trunk.", rest)
        if bare in wanted:
            return name.removesuffix(rest), bare
    return None


def _rests(name: str) -> list[str]:
    """Return the name, and what is behind each of its dots."""
    parts = name.split(".")
    return [".".join(parts[first:]) for first in range(len(parts))]


def _fullest(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the file's name of each wanted one, behind one prefix."""
    copies: dict[str, dict[str, str]] = {}
    for name in weights:
        if (split := _split(name, wanted)) is not None:
            copies.setdefault(split[0], {})[split[1]] = name
    return max(copies.items(), key=lambda copy: (not _begins(copy[0], MOMENTUM), len(copy[1])), default=("", {}))[1]


def _begins(name: str, starts: tuple[str, ...]) -> bool:
    return any(rest.startswith(starts) for rest in _rests(name))


def _reason(name: str, wanted: Mapping[str, Tensor]) -> str:
    found = next((reason for starts, reason in REASONS if _begins(name, starts)), None)
    return found or ("another copy" if _split(name, wanted) else UNKNOWN)
