"""The fast form of training learns as the plain one does: the same loss curve, within a stated tolerance.

Plain: torch's own modules, contiguous, 32 bits. Both start from the same weights and see the same views.
"""

from __future__ import annotations

import pytest
import torch

from fame.backbones import build_encoder, fast_layout
from fame.backbones.chain import Chain
from fame.config import Backbone, MoCo, Optim
from fame.method.moco import MomentumContrast
from fame.training import precision
from fame.training.optimiser import build_optimiser

STEPS = 24
TOLERANCE = 0.002  # of the mean loss of each third of the steps, in nats


def curve(fast: bool) -> torch.Tensor:
    """The loss of each step; batches of motions that differ in direction, so that there is something to learn."""
    torch.set_num_threads(1)
    encoder = build_encoder(Backbone(name="r2plus1d_narrow", width=8), 3)
    model = MomentumContrast(encoder, MoCo(dim=16, queue=32, momentum=0.9, temperature=0.2, symmetric=False), 4)
    model = fast_layout(model) if fast else model
    assert any(isinstance(part, Chain) for part in model.modules()) == fast
    optimiser = build_optimiser(Optim(kind="adamw", lr=1e-3), model.query.parameters())
    generator = torch.Generator().manual_seed(5)
    patterns = torch.randn(16, 3, 1, 32, 32, generator=generator)
    losses = []
    for _ in range(STEPS):
        views = []
        for _ in range(2):
            moved = torch.cat([patterns.roll(2 * t, -1) for t in range(4)], 2)
            views.append(moved + 0.3 * torch.randn(moved.shape, generator=generator))
        loss, _ = model(*views, precision.autocast(None, torch.device("cpu")))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return torch.tensor(losses)


def test_the_loss_curve_is_that_of_the_plain_loop() -> None:
    plain, fast = curve(False), curve(True)
    assert plain.max() - plain.min() > 0.5  # it rises while keys fill the queue and then falls: a curve that tells something
    assert fast[0] == pytest.approx(float(plain[0]), abs=TOLERANCE)
    for theirs, ours in zip(plain.chunk(3), fast.chunk(3), strict=True):
        assert float(ours.mean()) == pytest.approx(float(theirs.mean()), abs=TOLERANCE)
