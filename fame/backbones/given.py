"""Read files of weights: this project's, the released code's, torchvision's, and plain state dicts behind any prefix.

Everything is read with `weights_only=True`: a file of weights runs no code.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import ValidationError
from torch import Tensor

from fame.backbones import Encoder, build_encoder
from fame.backbones.keys import Loaded, described, fit, fits, released, shortened, weights_in
from fame.config import Backbone
from fame.errors import FameError
from fame.files import write_atomically

log = logging.getLogger(__name__)
NAMES: tuple[str, ...] = get_args(Backbone.model_fields["name"].annotation)
ENCODER_FORMAT = "fame-encoder/1"
ALONE = "save the weights alone, by torch.save(model.state_dict(), FILE)"


def load_encoder(path: Path | str, backbone: Backbone | str | None = None) -> Encoder:
    """Return an encoder with the file's weights, on the CPU, in eval mode. FameError where they cannot be read or do not fit.

    `backbone` names the network, as in `"i3d"`; without it, it is what the file says or what its names and shapes fit.
    """
    path = Path(path).expanduser()
    content = read_weights(path)
    weights = weights_in(content)
    if not weights:
        kinds = [f"{name}: {_kind(value)}" for name, value in content.items()]
        raise FameError(f"{path} holds no weights by name, only {shortened(kinds, ', ') or 'nothing'}: {ALONE}")
    chosen = _chosen(path, content, weights, backbone)
    encoder = build_encoder(chosen)
    wanted = encoder.state_dict()
    used, left = fit(wanted, weights, f"{path} does not fit the backbone {described(chosen)}")
    encoder.load_state_dict(wanted | {bare: weights[name] for name, bare in used.items()})
    encoder.loaded = Loaded(path, chosen, used, left)
    log.log(logging.WARNING if encoder.loaded.unknown else logging.INFO, "%s", encoder.loaded)
    return encoder.eval()


def save_encoder(encoder: Encoder, backbone: Backbone, path: Path) -> None:
    """Write weights on the CPU, with the `backbone` that builds the network they fit."""
    content = {"format": ENCODER_FORMAT, "backbone": backbone.model_dump(), "weights": _on_cpu(encoder)}
    write_atomically(path, lambda beside: torch.save(content, beside))


def export_encoder(encoder: Encoder, backbone: Backbone, path: Path) -> None:
    """Write `encoder` as the released code's evaluation reads it: `state_dict` with keys `module.encoder_q.*`, and `arch`."""
    arch = "I3D" if backbone.name == "i3d" else backbone.name  # as the released code spells it
    content = {"epoch": 0, "arch": arch, "state_dict": released(_on_cpu(encoder))}
    write_atomically(path, lambda beside: torch.save(content, beside))


def fitting(weights: dict[str, Tensor]) -> list[Backbone]:
    """The backbones, most often one or none, that have all their weights among these, in their shapes."""
    found = []
    for name in NAMES:
        candidate = _named(name, weights)
        with torch.device("meta"):  # names and shapes without memory
            wanted = build_encoder(candidate).state_dict()
        if fits(wanted, weights):
            found.append(candidate)
    return found


def read_weights(path: Path) -> dict[str, Any]:
    """Return a file's dictionary, unknown objects as empty ones. FameError where it is missing, damaged or would run code."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            part = file.testzip()  # torch writes checksums and does not read them
        if part:
            raise FameError(f"{path}: {part} is damaged: copy the file again")
    allowed: dict[str, type] = {}
    while True:
        try:
            with torch.serialization.safe_globals([(stand_in, name) for name, stand_in in allowed.items()]):
                content = torch.load(path, map_location="cpu", weights_only=True)
            break
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            raise FameError(f"no file of weights at {path} ({error.strerror})") from None
        except Exception as error:  # torch raises many kinds for damaged files, and advises what is not safe
            unknown = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
            name = "" if unknown is None else unknown[1] if "." in unknown[1] else f"builtins.{unknown[1]}"
            if not name or name in allowed:
                raise FameError(_refusal(path, str(error))) from None
            allowed[name] = _stand_in(name)
    if not isinstance(content, Mapping) or hasattr(content, "stands_for"):
        raise FameError(f"{path} holds a {_kind(content)}, not a dictionary of weights: {ALONE}")
    return dict(content)


def _stand_in(name: str) -> type:
    """Return a class whose objects stand for those of class `name`: nothing of that is imported or called."""
    if name.startswith("numpy."):  # its state is no dictionary
        make_number = {"__new__": lambda cls, *_: object.__new__(cls), "__setstate__": lambda *_: None}
        return type("StandIn", (), {"stands_for": name, **make_number})

    def make(*_: object) -> OrderedDict[str, object]:
        found: OrderedDict[str, object] = OrderedDict()  # of this very type: torch fills no other
        found.stands_for = name  # type: ignore[attr-defined]
        return found

    return type("StandIn", (), {"__new__": make})


def _kind(value: object) -> str:
    return str(getattr(value, "stands_for", type(value).__name__))


def _refusal(path: Path, told: str) -> str:
    with path.open("rb") as file:
        start = file.read(40).decode("ascii", "replace")
    if start and start.replace("\n", " ").isprintable():
        return f"{path} is text, not weights (it begins {start.splitlines()[0]!r}): download it again, or `git lfs pull`"
    if path.suffix == ".safetensors":
        return f"{path} is a safetensors file: read it by safetensors.torch.load_file, and save that by torch.save"
    blocked = re.search(r"GLOBAL (\S+) whose module", told)
    if blocked is not None:
        return f"{path} would call {blocked[1]} when it is read, so it holds code: {ALONE}"
    return f"{path} is no file of weights, or a damaged one: copy it again, or {ALONE}"


def _on_cpu(encoder: Encoder) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}


def _chosen(path: Path, content: dict[str, Any], weights: dict[str, Tensor], asked: Backbone | str | None) -> Backbone:
    """The backbone that is asked for, that the file tells or that it fits."""
    if isinstance(asked, str) and asked not in NAMES:
        raise FameError(f"no backbone {asked!r}: there are {', '.join(NAMES)}")
    if content.get("format") == ENCODER_FORMAT:
        try:
            told = Backbone.model_validate(content["backbone"])
        except (KeyError, ValidationError):
            raise FameError(f"{path} is an encoder of this project without its backbone: it is damaged") from None
        wanted, there = (described(asked), described(told)) if isinstance(asked, Backbone) else (asked, told.name)
        if wanted not in (None, there):
            raise FameError(f"{path} holds the backbone {described(told)}, not {wanted}: ask for that, or for none")
        return told
    asked = _named(asked, weights) if isinstance(asked, str) else asked
    found = [asked] if asked else fitting(weights)
    if len(found) != 1:
        which = " and ".join(map(described, found)) or "none"
        raise FameError(f"{path} fits {which} of the backbones {', '.join(NAMES)}: name one, and what is missing is listed")
    return found[0]


def _named(name: str, weights: dict[str, Tensor]) -> Backbone:
    """The backbone of that name; the narrow one as wide as the weights' stem."""
    stem = next(
        (value for key, value in weights.items() if f".{key}".endswith(".stem.3.weight") and value.dim() == 5),
        None,
    )
    if name != "r2plus1d_narrow" or stem is None or len(stem) < 4:
        return Backbone.model_validate({"name": name})
    return Backbone(name="r2plus1d_narrow", width=len(stem))
