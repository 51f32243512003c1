"""Files of weights: encoders that one stage hands to the next, and the state of a training that can be continued.

Everything is read with `weights_only=True`: a file of weights runs no code. Everything is written atomically.
"""

from __future__ import annotations

import hashlib
import time
import zipfile
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


def save_encoder(encoder: Encoder, backbone: Backbone, path: Path) -> None:
    """Weights on the CPU, with the `backbone` that builds the network they fit."""
    weights = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    content = {"format": ENCODER_FORMAT, "backbone": backbone.model_dump(), "weights": weights}
    write_atomically(path, lambda beside: torch.save(content, beside))


def read_weights(path: Path, checked: bool = False) -> dict[str, Any]:
    """Return the dictionary in a file of weights; FameError where it is missing, damaged or would run code.

    `checked`: its checksums, which torch writes and does not read, are looked at; some foreign files have none.
    """
    try:
        if checked:
            with zipfile.ZipFile(path) as file:
                if part := file.testzip():
                    raise zipfile.BadZipFile(f"{part} has changed")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FameError(f"no file of weights at {path}") from None
    except Exception as error:  # torch raises many kinds for damaged files, and one for pickles that hold code
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FameError(f"{path} is no file of weights ({cause}): it is damaged, or holds code") from None
    if not isinstance(content, Mapping):
        raise FameError(f"{path} holds a {type(content).__name__}, not a dictionary of weights")
    return dict(content)


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
            content = read_weights(self.path, checked=True)
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
