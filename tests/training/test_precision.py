"""float16: refused on a CPU in one line; the loss's scale, steps left out, and what of it a checkpoint keeps. On a CPU's scaler."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fame.config import MoCo, Optim, Pretrain
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.training.checkpoint import TrainingState
from fame.training.optimiser import build_optimiser
from fame.training.precision import NAMES, check, resolve, scaler
from fame.training.pretrain import pretrain
from fame.training.step import ContrastStep
from tests.fakes import fake_data, fake_run
from tests.small import CPU, VIDEOS, Plain, config


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_16_bits_are_refused_on_a_cpu(tmp_path, precision):
    with pytest.raises(FameError, match=f"^precision {precision} is served by GPUs alone, and the device is cpu: take --precision"):
        resolve(precision, CPU)
    with pytest.raises(FameError, match=precision):
        pretrain(Pretrain(data=fake_data(), precision=precision), fake_run(tmp_path))
    check(precision, "cuda:1")
    assert NAMES[resolve(precision, torch.device("cuda"))] == precision


def test_the_loss_is_scaled_in_float16_alone():
    assert scaler(torch.float16, CPU).is_enabled()
    for dtype in (None, torch.bfloat16):
        passing, loss = scaler(dtype, CPU), torch.tensor(3.0)
        assert not passing.is_enabled() and passing.scale(loss) is loss


class Contrast:
    """Steps on clips that are a function of their number; by SGD, which takes a scaler's flags, or AdamW."""

    def __init__(self, accumulate: int = 1, scale: torch.amp.GradScaler | None = None, kind: str = "sgd") -> None:
        self.model = MomentumContrast(Plain(), MoCo(dim=5, queue=32, momentum=0.9), seed=3, accumulate=accumulate)
        self.optimiser = build_optimiser(Optim(kind=kind, lr=0.01), self.model.query.parameters())
        self.step = ContrastStep(self.model, self.optimiser, None, CPU)
        self.step.scaler = scale or self.step.scaler

    def take(self, number: int) -> Tensor:
        drawn = torch.Generator().manual_seed(number)
        loss, _ = self.step(*(torch.rand(4, 3, 4, 8, 8, generator=drawn) for _ in range(2)))
        return loss

    def weights(self) -> list[Tensor]:
        return [weight.detach().clone() for weight in self.model.query.parameters()]


def small(scale: float = 1024.0, interval: int = 2000) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=interval)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_scaling_changes_no_step(kind, accumulate):
    """A power of two, and 32-bit arithmetic: the scaled gradients lose nothing."""
    plain, scaled = Contrast(accumulate, kind=kind), Contrast(accumulate, small(), kind)
    for number in range(3):
        assert torch.equal(plain.take(number), scaled.take(number))
    for one, other in zip(plain.weights(), scaled.weights(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_that_overflows_leaves_weights_alone_and_moves_the_queue(kind, accumulate):
    scale = small()
    contrast = Contrast(accumulate, scale, kind)
    overflow = contrast.model.query.head[2].bias.register_hook(lambda gradient: gradient * torch.inf)
    before, queue = contrast.weights(), contrast.model.queue.clone()
    assert torch.isfinite(contrast.take(0))
    assert all(torch.equal(one, other) for one, other in zip(before, contrast.weights(), strict=True))
    kept = [value for state in contrast.optimiser.state.values() for value in state.values()]
    assert kept and all((value == 0).all() for value in kept)
    assert scale.get_scale() == 512.0
    assert contrast.model.position == 8 and not torch.equal(queue[:8], contrast.model.queue[:8])
    overflow.remove()
    contrast.take(1)
    assert any(not torch.equal(one, other) for one, other in zip(before, contrast.weights(), strict=True))


def test_a_checkpoint_keeps_the_scale(tmp_path):
    """It grows at every second step: without the tracker that counts them, the fourth step's scale would be another one."""
    straight = Contrast(scale=small(8.0, interval=2))
    for number in range(4):
        straight.take(number)
    run = fake_run(tmp_path)
    broken = Contrast(scale=small(8.0, interval=2))
    for number in range(3):
        broken.take(number)
    TrainingState(run, "this", broken.model, broken.optimiser, broken.step.scaler).save(1, {}, last=True)

    resumed = Contrast(scale=small(8.0, interval=2))
    state = TrainingState(run, "this", resumed.model, resumed.optimiser, resumed.step.scaler)
    assert state.restore() == (1, {})
    resumed.take(3)
    assert resumed.step.scaler.state_dict() == straight.step.scaler.state_dict()
    assert resumed.step.scaler.get_scale() == 32.0
    assert all(torch.equal(one, other) for one, other in zip(straight.weights(), resumed.weights(), strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_float16_trains_on_a_gpu(tmp_path):
    run = replace(fake_run(tmp_path, VIDEOS), device=torch.device("cuda"))
    result = pretrain(config(precision="fp16", accumulate=2), run)
    assert result["notes"]["precision"] == "fp16" and 0 < result["metrics"]["loss"] < 10
