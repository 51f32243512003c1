"""One optimisation step: gradients of a batch, taken whole or in pieces, and the move of the weights.

With `accumulate` pieces the networks see a batch piece by piece and the backward pass follows each at once, so the graph of one
piece alone is in memory; the gradients add up to the whole batch's. What is drawn, and how often weights, momentum encoder and
queue move, is as with the whole batch; the learning rate is not rescaled. Batch norm sees a piece.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from fame.distributed import average, parallel
from fame.moco import MomentumContrast
from fame.precision import autocast


class Descent:
    """Moves the weights of `optimiser` against a loss that comes in parts."""

    def __init__(self, optimiser: torch.optim.Optimizer) -> None:
        self.optimiser = optimiser

    def begin(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)

    def add(self, loss: Tensor) -> None:
        """The gradients of one part, on top of those before it; its graph is freed."""
        loss.backward()

    def move(self) -> None:
        self.optimiser.step()

    def gradients(self) -> list[Tensor]:
        """Those that there are, in the optimiser's order."""
        weights = (weight for group in self.optimiser.param_groups for weight in group["params"])
        return [weight.grad for weight in weights if weight.grad is not None]


class ContrastStep:
    """A step of momentum contrast on a pair of views, on all ranks together.

    With a whole batch, gradients are averaged over ranks while the backward pass makes them; with pieces, once after the last.
    """

    def __init__(self, model: MomentumContrast, descent: Descent, dtype: torch.dtype | None, device: torch.device) -> None:
        self.model, self.descent, self.dtype, self.device = model, descent, dtype, device
        # running statistics are evened out after each epoch; queue and shuffles are the same on all ranks by construction
        self.whole = parallel(model) if model.accumulate == 1 else None

    def __call__(self, view0: Tensor, view1: Tensor) -> tuple[Tensor, Tensor]:
        """Views (B, 3, T, H, W) of this rank -> its loss and its share of right queries, both detached."""
        context = autocast(self.dtype, self.device)
        self.descent.begin()
        if self.whole is not None:
            loss, right = self.whole(view0, view1, context)
            self.descent.add(loss)
        else:
            loss, right = self._in_pieces(self.model.pieces(view0, view1, context))
            average(self.descent.gradients())
        self.descent.move()
        return loss.detach(), right

    def _in_pieces(self, pieces: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        told = torch.zeros(2, device=self.device)
        for loss, right in pieces:
            self.descent.add(loss)
            told += torch.stack([loss.detach(), right])
        return told[0], told[1]
