"""Weights by file, whoever trained them: `fame.load_encoder(FILE, backbone=...)`, and `--pretrained FILE`, known by its SHA-256.

Accepted are this project's encoder files, the released code's checkpoints, torchvision's supervised ones, and plain state dicts of
a backbone, bare or inside a checkpoint, behind any prefix (fame/backbones/keys.py). A file of weights runs no code.
"""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import get_args

import torch
from pydantic import ValidationError
from torch import Tensor

from fame.backbones import Encoder, build_encoder
from fame.backbones.checkpoint import ALONE, ENCODER_FORMAT, check_whole, read_weights
from fame.backbones.keys import Keys, Loaded, described, fit, fits, released, shortened, weights_in
from fame.config import Backbone
from fame.errors import FameError
from fame.files import sha256_of, write_atomically

log = logging.getLogger(__name__)
NAMES: tuple[str, ...] = get_args(Backbone.model_fields["name"].annotation)


def load_encoder(path: Path | str, backbone: Backbone | str | None = None) -> Encoder:
    """An encoder with the file's weights: normalised clips (B, 3, T, H, W) to pooled features (B, D), without head, on the CPU, in
    evaluation mode.

    `backbone` names the network, as in `"i3d"`; without it, it is what the file says or what its names and shapes fit. `.loaded`
    of the encoder tells which of the file's keys were used and which were left, and why; the log (`fame.backbones.given`) tells
    it in short, as a warning where some are unknown. FameError where a file cannot be read or does not fit, with what is missing.
    """
    path = Path(path).expanduser()
    content, weights, beside = _opened(path)
    chosen = _chosen(path, content, weights, backbone)
    encoder = build_encoder(chosen)
    keys = _fill(encoder, weights, f"{path} does not fit the backbone {described(chosen)}")
    encoder.loaded = Loaded(path, chosen, Keys(keys.used, keys.left, keys.absent, beside))
    log.log(logging.WARNING if keys.unknown else logging.INFO, "%s", encoder.loaded)
    return encoder.eval()


def load_given(encoder: Encoder, path: Path, sha256: str) -> dict[str, list[str]]:
    """Fill `encoder` from `path`, in place; returns the file's own names of the weights `used` and `left`.

    Every weight of the encoder must be in the file, in its shape; heads, queues and momentum encoders are left. Raises FameError
    for a file with another hash, one that cannot be read, and one that does not fit, with what is missing or of another shape.
    """
    if not path.exists():
        raise FameError(f"no given weights at {path}: name the file by --pretrained")
    found = sha256_of(path)
    if found != sha256:
        raise FameError(
            f"{path} has SHA-256 {found[:12]}..., but the cell names {sha256[:12]}...: it is another file, plan it anew"
        )
    _, weights, _ = _opened(path)
    keys = _fill(encoder, weights, f"{path} does not fit the backbone {type(encoder).__name__}")
    return {"used": sorted(keys.used), "left": sorted(keys.left)}


def export_encoder(encoder: Encoder, backbone: Backbone, path: Path) -> None:
    """Write `encoder` as the released code's evaluation reads it: `state_dict` with keys `module.encoder_q.*`, and `arch`.

    Values are written as they are: what `load_encoder` reads back is equal bit for bit. There is no head, momentum encoder or queue
    in it, so that code can evaluate it and not continue its training.
    """
    weights = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    arch = "I3D" if backbone.name == "i3d" else backbone.name  # as the released code spells it
    content = {"epoch": 0, "arch": arch, "state_dict": released(weights)}
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


def _opened(path: Path) -> tuple[dict[str, object], dict[str, Tensor], tuple[str, ...]]:
    """Return a file's content, the weights in it, and what is beside them. FameError where there are none."""
    if zipfile.is_zipfile(path):
        check_whole(path)
    content = read_weights(path)
    weights, beside = weights_in(content)
    if not weights:
        kinds = [f"{name}: {getattr(value, 'stands_for', type(value).__name__)}" for name, value in content.items()]
        raise FameError(f"{path} holds no weights by name, only {shortened(kinds) or 'nothing'}: {ALONE}")
    return content, weights, beside


def _fill(encoder: Encoder, weights: dict[str, Tensor], whose: str) -> Keys:
    wanted = encoder.state_dict()
    values, keys = fit(wanted, weights, whose)
    encoder.load_state_dict({**wanted, **values})
    return keys


def _chosen(path: Path, content: dict[str, object], weights: dict[str, Tensor], asked: Backbone | str | None) -> Backbone:
    """The backbone that is asked for, that the file tells or that it fits; FameError where these disagree or none is known."""
    if isinstance(asked, str):
        if asked not in NAMES:
            raise FameError(f"no backbone {asked!r}: there are {', '.join(NAMES)}")
        asked = _named(asked, weights)
    if content.get("format") == ENCODER_FORMAT:
        try:
            told = Backbone.model_validate(content["backbone"])
        except (KeyError, ValidationError):
            raise FameError(f"{path} is an encoder of this project whose backbone cannot be read: it is damaged") from None
        if asked is not None and described(asked) != described(told):
            raise FameError(f"{path} holds the backbone {described(told)}, not {described(asked)}: ask for that, or for none")
        return told
    if asked is not None:
        return asked
    found = fitting(weights)
    if len(found) != 1:
        which = " and ".join(map(described, found)) or "none"
        raise FameError(f"{path} fits {which} of the backbones {', '.join(NAMES)}: name one, and what is missing is listed")
    return found[0]


def _named(name: str, weights: dict[str, Tensor]) -> Backbone:
    """The backbone of that name; the narrow one as wide as the weights' stem."""
    stem = next((value for key, value in weights.items() if f".{key}".endswith(".stem.3.weight") and value.dim() == 5), None)
    if name != "r2plus1d_narrow" or stem is None or len(stem) < 4:
        return Backbone.model_validate({"name": name})
    return Backbone(name="r2plus1d_narrow", width=len(stem))
