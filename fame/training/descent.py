"""Take one optimisation step: gradients of a batch, whole or in pieces, and the move of the weights.

With `accumulate` pieces the graph of one piece alone is in memory; the gradients add up to the whole batch's. Draws, moves of the
momentum encoder and the learning rate are as with the whole batch. Batch norm sees a piece.

In float16 a step whose scaled gradients overflow is left out, on all ranks: weights and optimiser stay as they are, the momentum
encoder and the queue have moved.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from fame.distributed import average, here, parallel
from fame.method.moco import MomentumContrast
from fame.training.compilation import compile_in_place
from fame.training.graphs import Replayed
from fame.training.optimiser import follow_weights
from fame.training.precision import autocast


class Descent:
    """Moves the weights of `optimiser` against a loss that comes in parts, scaled by `scaler`."""

    def __init__(self, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None = None) -> None:
        self.optimiser = optimiser
        self.scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
        if self.scaler.is_enabled() and isinstance(optimiser, torch.optim.SGD):
            start_momentum(optimiser)

    def begin(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)

    def add(self, loss: Tensor) -> None:
        """The gradients of one part, on top of those before it; its graph is freed."""
        self.scaler.scale(loss).backward()

    def move(self) -> None:
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def gradients(self) -> list[Tensor]:
        """Those that there are, scaled, in the optimiser's order."""
        weights = (weight for group in self.optimiser.param_groups for weight in group["params"])
        return [weight.grad for weight in weights if weight.grad is not None]


def start_momentum(optimiser: torch.optim.SGD) -> None:
    """Momentum of 0 where there is none yet, which is the same to the first step, in place.

    torch's fused SGD leaves memory as it finds it where its very first step is left out, and would take it for the momentum then.
    """
    for group in optimiser.param_groups:
        for weight in group["params"] if group["momentum"] else ():
            optimiser.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))


class ContrastStep:
    """A step of momentum contrast on a pair of views, on all ranks together.

    Gradients are averaged over ranks during the backward pass; with pieces or `compiled` networks, after it. On one GPU everything
    up to the gradients is replayed as a CUDA graph, unless keys are shuffled, by a counter that Python reads.
    """

    def __init__(
        self,
        model: MomentumContrast,
        descent: Descent,
        dtype: torch.dtype | None,
        device: torch.device,
        compiled: bool = False,
    ) -> None:
        self.model, self.descent, self.dtype, self.device = model, descent, dtype, device
        if compiled:
            compile_in_place(model.query, model.key)
            follow_weights(descent.optimiser)
        # running statistics are evened out after each epoch; queue and shuffles are the same on all ranks by construction
        self.whole = None if compiled or model.accumulate > 1 else parallel(model)
        fixed = device.type == "cuda" and here().size == 1 and not model.shuffles
        self.gradients = Replayed(self._gradients, device) if fixed else self._gradients

    def __call__(self, view0: Tensor, view1: Tensor) -> tuple[Tensor, Tensor]:
        """Views (B, 3, T, H, W) of this rank -> its loss and its share of right queries, both detached."""
        loss, right = self.gradients(view0, view1)
        self.descent.move()
        return loss, right

    def _gradients(self, view0: Tensor, view1: Tensor) -> tuple[Tensor, Tensor]:
        """Fresh gradients in the weights; loss and share of right queries, detached."""
        context = autocast(self.dtype, self.device)
        self.descent.begin()
        if self.whole is not None:
            loss, right = self.whole(view0, view1, context)
            self.descent.add(loss)
        else:
            loss, right = self._in_pieces(self.model.pieces(view0, view1, context))
            average(self.descent.gradients())
        return loss.detach(), right

    def _in_pieces(self, pieces: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        told = torch.zeros(2, device=self.device)
        for loss, right in pieces:
            self.descent.add(loss)
            told += torch.stack([loss.detach(), right])
        return told[0], told[1]
