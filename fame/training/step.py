"""Take one optimisation step of momentum contrast.

With `accumulate` pieces the graph of one piece alone is in memory, and batch norm sees a piece. In float16 a step whose scaled
gradients overflow is left out, on all ranks: weights and optimiser stay as they are, the momentum encoder and the queue have moved.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fame.distributed import average, here
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.training.graphs import Replayed
from fame.training.precision import autocast, scaler


class ContrastStep:
    """Take a step on all ranks together. One GPU replays it up to the gradients, unless keys are shuffled by Python's counter."""

    def __init__(
        self,
        model: MomentumContrast,
        optimiser: torch.optim.Optimizer,
        dtype: torch.dtype | None,
        device: torch.device,
        compiled: bool = False,
    ) -> None:
        self.model, self.optimiser, self.dtype, self.device = model, optimiser, dtype, device
        self.scaler = scaler(dtype, device)
        self.compiled = compiled
        fixed = device.type == "cuda" and here().size == 1 and not model.shuffles
        self.gradients = Replayed(self._gradients, device) if fixed else self._gradients

    def __call__(self, view0: Tensor, view1: Tensor) -> tuple[Tensor, Tensor]:
        """Views (B, 3, T, H, W) of this rank -> its loss and its share of right queries, both detached."""
        try:
            loss, right = self.gradients(view0, view1)
        except Exception as error:
            if not self.compiled:
                raise
            cause = " ".join(str(error).split("\n")[:2]) or type(error).__name__
            raise FameError(f"a step of compiled networks failed ({cause}): leave out --compile") from error
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return loss, right

    def _gradients(self, view0: Tensor, view1: Tensor) -> tuple[Tensor, ...]:
        """Fresh gradients in the weights; loss and share of right queries, detached."""
        self.optimiser.zero_grad(set_to_none=True)
        told = torch.zeros(2, device=self.device)
        for loss, right in self.model.pieces(view0, view1, autocast(self.dtype, self.device)):
            self.scaler.scale(loss).backward()
            told += torch.stack([loss.detach(), right])
        learnt = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        average(weight.grad for weight in learnt if weight.grad is not None)
        return told[0], told[1]
