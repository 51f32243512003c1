"""Files of weights: encoders that one stage hands to the next, and the state of a training that can be continued.

Everything is read with `weights_only=True`: a file of weights runs no code. Everything is written atomically.
"""

from __future__ import annotations

import hashlib
import re
import time
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fame.backbones import Encoder
from fame.config import Backbone
from fame.errors import FameError
from fame.files import write_atomically
from fame.run import Run
from fame.training.optimiser import follow_weights

ENCODER_FORMAT = "fame-encoder/1"
STATE_FORMAT = "fame-training-state/2"
EVERY = 5.0  # seconds
ALONE = "save the weights alone, by torch.save(model.state_dict(), FILE)"


def save_encoder(encoder: Encoder, backbone: Backbone, path: Path) -> None:
    """Weights on the CPU, with the `backbone` that builds the network they fit."""
    weights = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    content = {"format": ENCODER_FORMAT, "backbone": backbone.model_dump(), "weights": weights}
    write_atomically(path, lambda beside: torch.save(content, beside))


def read_weights(path: Path) -> dict[str, Any]:
    """Return the dictionary in a file of weights, other objects than tensors and plain values as empty dictionaries.

    FameError where the file is missing, damaged, of another kind or would run code, with the name of what is in the way.
    """
    allowed: dict[str, type] = {}
    while True:
        try:
            with torch.serialization.safe_globals([(stand_in, name) for name, stand_in in allowed.items()]):
                content = torch.load(path, map_location="cpu", weights_only=True)
            break
        except OSError as error:
            raise FameError(f"no file of weights at {path} ({error.strerror})") from None
        except Exception as error:  # torch raises many kinds for damaged files, and advises what is not safe
            unknown = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
            name = "" if unknown is None else unknown[1] if "." in unknown[1] else f"builtins.{unknown[1]}"
            if not name or name in allowed:
                raise FameError(_refusal(path, str(error), list(allowed))) from None
            allowed[name] = _stand_in(name)
    if not isinstance(content, Mapping) or hasattr(content, "stands_for"):
        kind = getattr(content, "stands_for", type(content).__name__)
        raise FameError(f"{path} holds a {kind}, not a dictionary of weights: {ALONE}")
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


def _refusal(path: Path, told: str, others: list[str]) -> str:
    with path.open("rb") as file:
        start = file.read(40)
    if start and start.decode("ascii", "replace").replace("\n", " ").isprintable():
        return f"{path} is text, not weights (it begins {start.decode().splitlines()[0]!r}): download it again, or `git lfs pull`"
    if path.suffix == ".safetensors":
        return f"{path} is a safetensors file: read it by safetensors.torch.load_file, and save that by torch.save(WEIGHTS, FILE)"
    blocked = re.search(r"GLOBAL (\S+) whose module", told)
    if blocked is not None:
        return f"{path} would call {blocked[1]} when it is read, so it holds code: {ALONE}"
    beside = f", which holds {', '.join(others)}" if others else ""
    return f"{path} is no file of weights{beside}, or a damaged one: copy it again, or {ALONE}"


def check_whole(path: Path) -> None:
    """Raise FameError where a file of weights disagrees with its checksums, which torch writes and does not read."""
    try:
        with zipfile.ZipFile(path) as file:
            part = file.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise FameError(f"{path}: cannot be read ({error})") from None
    if part:
        raise FameError(f"{path}: {part} is damaged: copy the file again")


def weights_digest(modules: nn.Module) -> str:
    """Return the SHA-256 of all weights, in hex: what a training begins from."""
    digest = hashlib.sha256()
    for value in modules.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class TrainingState:
    """`checkpoint.pt` of a run: modules, optimiser, the loss's `scaler` where it is in use, finished epochs, last metrics; and
    `within`, where training was in the epoch after those, as whoever trains has told it.

    `identity` names what is trained (configuration, seeds, data): a checkpoint of anything else, of another format or damaged, is
    passed over with a note in the run's log, and training starts from its beginning. Random streams need no saving at an epoch's
    end, because every epoch derives its own from the seeds; within one they belong in `within`.
    """

    within: dict[str, Any] | None = None

    def __init__(
        self,
        run: Run,
        identity: str,
        modules: nn.Module,
        optimiser: torch.optim.Optimizer,
        name: str = "checkpoint.pt",
        scaler: torch.amp.GradScaler | None = None,
    ):
        self.path = run.folder / name
        self.run = run
        seeds = f"{run.seeds.study}/{run.seeds.replicate}"
        self.identity = hashlib.sha256(f"{STATE_FORMAT}|{seeds}|{identity}".encode()).hexdigest()
        self.modules = modules
        self.optimiser = optimiser
        self.scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self.saved = time.monotonic()

    def restore(self) -> tuple[int, dict[str, float]]:
        """Epochs already done and the last one's metrics, after loading them; (0, {}) where there is nothing to continue."""
        if not self.path.exists():
            return 0, {}
        try:
            check_whole(self.path)
            content = read_weights(self.path)
            if content.get("identity") != self.identity:
                raise FameError("it belongs to another configuration or version")
            fresh = {name: value.clone() for name, value in self.modules.state_dict().items()}
            try:
                self.modules.load_state_dict(content["modules"])
                self.optimiser.load_state_dict(content["optimiser"])
                follow_weights(self.optimiser)  # saved on another device, kernels may have been stored otherwise
                if self.scaler is not None:
                    self.scaler.load_state_dict(content["scaler"])
                self.run.rewind(content["logged"])
                self.within = content.get("within")
            except Exception:
                self.modules.load_state_dict(fresh)
                raise
            return int(content["epochs"]), dict(content["metrics"])
        except (FameError, KeyError, RuntimeError, ValueError) as error:
            self.run.log(note=f"{self.path.name} is ignored, training starts from its beginning: {error}")
            return 0, {}

    def due(self, seconds: float) -> bool:
        """Whether so many seconds have passed since training began or was last saved."""
        return time.monotonic() - self.saved >= seconds

    def save(
        self, epochs: int, metrics: Mapping[str, float], *, last: bool = False, within: Mapping[str, Any] | None = None
    ) -> None:
        """After each epoch, written if it is the `last` or `due(EVERY)`; and `within` one, written whenever it is called.

        A kill loses what came after; written after each epoch, it would be a twentieth of a short run.
        """
        if not last and within is None and not self.due(EVERY):
            return
        content = {
            "identity": self.identity,
            "epochs": epochs,
            "metrics": dict(metrics),
            "logged": self.run.logged(),
            "modules": self.modules.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict() if self.scaler is not None else None,
            "within": None if within is None else dict(within),
        }
        write_atomically(self.path, lambda beside: torch.save(content, beside))
        self.saved = time.monotonic()

    def clear(self) -> None:
        """When the stage has its result."""
        self.path.unlink(missing_ok=True)
