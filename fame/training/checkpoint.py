"""The state of a training that can be continued; read with `weights_only=True`, written atomically."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import torch
from torch import nn

from fame.backbones.given import read_weights
from fame.errors import FameError
from fame.files import write_atomically
from fame.run import Run

FORMAT = "fame-training-state/2"
EVERY = 5.0  # seconds


def weights_digest(modules: nn.Module) -> str:
    """Return the SHA-256 of all weights, in hex: what a training begins from."""
    digest = hashlib.sha256()
    for value in modules.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class TrainingState:
    """Keep a run's `checkpoint.pt`; `within`: the place in the epoch after the finished ones, with its random streams.

    `identity` names what is trained: a checkpoint of anything else, or a damaged one, is passed over with a note in the log.
    """

    within: dict[str, Any] | None = None

    def __init__(
        self,
        run: Run,
        identity: str,
        modules: nn.Module,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> None:
        self.run, self.path = run, run.folder / "checkpoint.pt"
        seeds = f"{run.seeds.study}/{run.seeds.replicate}"
        self.identity = hashlib.sha256(f"{FORMAT}|{seeds}|{identity}".encode()).hexdigest()
        self.modules, self.optimiser, self.scaler = modules, optimiser, scaler
        self.saved = time.monotonic()

    def restore(self) -> tuple[int, dict[str, float]]:
        """Epochs done and the last one's metrics, after loading them; (0, {}) where there are none."""
        if not self.path.exists():
            return 0, {}
        fresh = {name: value.clone() for name, value in self.modules.state_dict().items()}
        try:
            content = read_weights(self.path)
            if content.get("identity") != self.identity:
                raise FameError("it belongs to another configuration or version")
            self.modules.load_state_dict(content["modules"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.scaler.load_state_dict(content["scaler"])
            self.run.rewind(content["logged"])
            self.within = content["within"]
            return int(content["epochs"]), dict(content["metrics"])
        except (FameError, KeyError, RuntimeError, ValueError) as error:
            self.modules.load_state_dict(fresh)
            self.run.log(note=f"{self.path.name} is ignored, training starts from its beginning: {error}")
            return 0, {}

    def due(self, seconds: float) -> bool:
        """Whether so many seconds have passed since training began or was last saved."""
        return time.monotonic() - self.saved >= seconds

    def save(self, epochs: int, metrics: dict[str, float], *, last: bool = False, within: dict[str, Any] | None = None) -> None:
        """Written if it is the `last` epoch, `within` one, or `due(EVERY)`: each epoch's would take a twentieth of a short run."""
        if not last and within is None and not self.due(EVERY):
            return
        content = {
            "identity": self.identity,
            "epochs": epochs,
            "metrics": metrics,
            "logged": self.run.logged(),
            "modules": self.modules.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "within": within,
        }
        write_atomically(self.path, lambda beside: torch.save(content, beside))
        self.saved = time.monotonic()
