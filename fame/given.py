"""Weights that somebody else trained: `--pretrained FILE`, known by its SHA-256.

Accepted are this project's encoder files and plain state dicts of the backbone, bare or inside a checkpoint, under the usual
prefixes: the released code's `module.encoder_q.*`, `encoder.*`, `backbone.*`, torchvision's own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fame.backbones import Encoder
from fame.checkpoint import read_weights, sha256_of
from fame.errors import FameError

CONTAINERS = ("state_dict", "model_state_dict", "model", "weights")
PREFIXES = ("module.", "query.", "encoder_q.", "encoder.", "backbone.")


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
    weights = _tensors(path)
    fitting: dict[str, Tensor] = {}
    sources: dict[str, str] = {}
    wrong: list[str] = []
    wanted = encoder.state_dict()
    for name, value in weights.items():
        bare = _bare(name)
        if bare not in wanted or bare in fitting:
            continue
        if value.shape != wanted[bare].shape:
            wrong.append(f"{name} is {tuple(value.shape)} and should be {tuple(wanted[bare].shape)}")
            continue
        fitting[bare], sources[bare] = value, name
    # counters of batches seen, which old files do not have and evaluation does not need
    missing = [name for name in wanted if name not in fitting and not name.endswith("num_batches_tracked")]
    missing = [name for name in missing if not any(_bare(line.split(" is ")[0]) == name for line in wrong)]
    if wrong or missing:
        problems = wrong + [f"{name} is missing" for name in missing]
        raise FameError(
            f"{path} does not fit the backbone {type(encoder).__name__}: {'; '.join(problems[:4])}"
            f"{f'; and {len(problems) - 4} more' if len(problems) > 4 else ''}; the file has {', '.join(list(weights)[:3])}, ..."
        )
    encoder.load_state_dict({**wanted, **fitting})
    used = set(sources.values())
    return {"used": sorted(used), "left": sorted(set(weights) - used)}


def _tensors(path: Path) -> dict[str, Tensor]:
    content: Mapping[str, object] = read_weights(path)
    for container in CONTAINERS:
        inner = content.get(container)
        if isinstance(inner, Mapping):
            content = inner
            break
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _bare(name: str) -> str:
    """A weight's name without wrappers; S3D's `features.*` as this project's `trunk.*`."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name, stripped = name.removeprefix(prefix), True
    return name.replace("features.", "trunk.", 1) if name.startswith("features.") else name
