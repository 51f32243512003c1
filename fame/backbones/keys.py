"""Names of weights in other people's checkpoints and in ours, both ways; files are read in fame/backbones/given.py.

The released code's files name weights `module.encoder_q.*` beside `module.encoder_k.*`, `module.queue` and `module.queue_ptr`
(pretrained), or `module.*` with `fc` (finetuned). The projection head is `fc.{0,2}` for R(2+1)D and `id_head.{2,4}` inside I3D.
Behind such prefixes a backbone's names are torchvision's, I3D's the released code's, and so are an encoder's here, but for S3D's
trunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.config import Backbone
from fame.errors import FameError

CONTAINERS = ("state_dict", "model_state_dict", "model", "weights")
WRAPPERS = ("module.", "_orig_mod.", "query.", "encoder_q.", "encoder.", "backbone.")
RELEASED = "module.encoder_q."  # what the released code's evaluation looks for
COUNTER = "num_batches_tracked"  # batches seen: old files have none and evaluation needs none
SHOWN = 4  # problems named in an error

# how a name that is none of the backbone's begins, behind its wrappers: why it is left
REASONS = (
    (("encoder_k.", "key."), "momentum encoder"),
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
    """Of a file's content, the tensors by name and the names of whatever else is there; a container is opened."""
    inside: Mapping[Any, object] = content
    beside: list[str] = []
    for container in CONTAINERS:
        found = content.get(container)
        if isinstance(found, Mapping):
            inside, beside = found, [str(name) for name in content if name != container]
            break
    beside += [str(name) for name, value in inside.items() if not isinstance(value, Tensor)]
    return {str(name): value for name, value in inside.items() if isinstance(value, Tensor)}, tuple(beside)


def fit(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor], whose: str) -> tuple[dict[str, Tensor], Keys]:
    """The values for `wanted`, an encoder's state dict, by its names, and what became of each of the file's `weights`.

    Where a file holds several copies under different wrappers, the one with most of the wanted names is taken, of equals the first
    in the file. Raises FameError listing, behind `whose`, weights that are missing, of another shape, or not finite.
    """
    copy = _fullest(wanted, weights)
    values: dict[str, Tensor] = {}
    used: dict[str, str] = {}
    left: dict[str, str] = {}
    problems: list[str] = []
    for name, value in weights.items():
        wrapper, bare = unwrapped(name)
        if bare not in wanted:
            left[name] = _reason(bare)
        elif wrapper != copy:
            left[name] = "another copy"
        else:
            used[name], values[bare] = bare, value
            if value.shape != wanted[bare].shape:
                problems.append(f"{name} is {tuple(value.shape)} and should be {tuple(wanted[bare].shape)}")
            elif value.is_floating_point() and not bool(torch.isfinite(value).all()):
                problems.append(f"{name} is not finite: its training diverged")
    lacking = [name for name in wanted if name not in values]
    problems += [f"{name} is missing" for name in lacking if not name.endswith(COUNTER)]
    if problems:
        raise FameError(f"{whose}: {shortened(problems, '; ')}; the file has {', '.join(list(weights)[:3]) or 'no weights'}, ...")
    return values, Keys(used, left, tuple(name for name in lacking if name.endswith(COUNTER)))


def fits(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> bool:
    """Whether `fit` would find every weight in its shape. Values are not looked at, so `wanted` may lie on the meta device."""
    copy = _fullest(wanted, weights)
    shapes = {bare: value.shape for name, value in weights.items() for wrapper, bare in [unwrapped(name)] if wrapper == copy}
    return all(shapes.get(name) == value.shape for name, value in wanted.items() if not name.endswith(COUNTER))


def released(weights: Mapping[str, Tensor], wrapper: str = RELEASED) -> dict[str, Tensor]:
    """An encoder's state dict under the names of the released code's files, values as they are. `fit` reads them back."""
    return {wrapper + _official(name): value for name, value in weights.items()}


def unwrapped(name: str) -> tuple[str, str]:
    """A weight's wrappers, and its name without them as an encoder here bears it: S3D's `features.*` is `trunk.*`."""
    bare = name
    stripped = True
    while stripped:
        stripped = False
        for wrapper in WRAPPERS:
            if bare.startswith(wrapper):
                bare, stripped = bare.removeprefix(wrapper), True
    wrapping = name.removesuffix(bare)
    return wrapping, f"trunk.{bare.removeprefix('features.')}" if bare.startswith("features.") else bare


def shortened(names: Iterable[str], between: str = ", ") -> str:
    """The first few, and how many more."""
    listed = list(names)
    return between.join(listed[:SHOWN]) + (f"{between}and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def _official(name: str) -> str:
    return f"features.{name.removeprefix('trunk.')}" if name.startswith("trunk.") else name


def _fullest(wanted: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str | None:
    counted = Counter(wrapper for wrapper, bare in map(unwrapped, weights) if bare in wanted)
    return max(counted, key=counted.__getitem__, default=None)  # the first of equals, as a Counter keeps the order


def _reason(bare: str) -> str:
    return next((reason for starts, reason in REASONS if bare.startswith(starts)), UNKNOWN)
