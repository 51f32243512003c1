"""Steps replayed as CUDA graphs: the numbers of plain calls, other shapes, what cannot be captured; and a CPU without any of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fame.backbones import build_encoder, fast_layout
from fame.config import Merge, MoCo, Optim
from fame.method.moco import MomentumContrast
from fame.training.descent import ContrastStep, Descent
from fame.training.graphs import PLAIN, Replayed
from fame.training.optimiser import build_optimiser
from fame.training.pretrain import pretrain
from tests.fakes import fake_run
from tests.small import CPU, NARROW, VIDEOS, config

needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def steps(device: torch.device, kind: str, dtype: torch.dtype | None, replayed: bool) -> tuple[list[float], list[torch.Tensor]]:
    """Losses of ten steps on clips drawn anew, and the weights after them."""
    model = MomentumContrast(build_encoder(NARROW), MoCo(dim=16, queue=32, key_norm=kind), 0)
    model = fast_layout(model).to(device).train()
    # not Adam: it scales gradients to one size, those of biases before a batch norm, too, which are nothing but rounding
    optimiser = build_optimiser(Optim(kind="sgd", lr=0.05, batch=8, epochs=1), model.query.parameters())
    step = ContrastStep(model, Descent(optimiser), dtype, device)
    if not replayed:
        step.gradients = step._gradients
    drawn = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(10):
        views = [torch.rand(8, 3, 4, 32, 32, generator=drawn).to(device) for _ in range(2)]
        losses.append(float(step(*views)[0]))
    if replayed and device.type == "cuda":
        assert isinstance(step.gradients, Replayed) and step.gradients.graph is not None
    return losses, [weight.detach().clone() for weight in model.state_dict().values()]


@needs_a_gpu
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("kind", ["ema", "batch"])
def test_replayed_steps_are_the_plain_ones(kind: str, dtype: torch.dtype | None, repeatable: None) -> None:
    cuda = torch.device("cuda")
    plain, replayed = steps(cuda, kind, dtype, False), steps(cuda, kind, dtype, True)
    assert replayed[0] == pytest.approx(plain[0], abs=5e-3)
    for one, other in zip(replayed[1], plain[1], strict=True):
        assert (one.float() - other.float()).norm() <= 0.02 * other.float().norm() + 1e-3


@needs_a_gpu
def test_another_shape_starts_anew() -> None:
    calls = []

    def work(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls.append(len(x))
        return (2 * x,)

    double = Replayed(work, torch.device("cuda"))
    for length in (3, 5):
        for value in range(PLAIN + 3):
            (found,) = double(torch.full((length,), float(value), device="cuda"))
            assert found.tolist() == [2.0 * value] * length
    assert calls == [3] * (PLAIN + 1) + [5] * (PLAIN + 1)  # and the replays did not come here


@needs_a_gpu
def test_what_waits_for_the_device_stays_plain_and_says_so() -> None:
    def work(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x * float(x.sum()),)

    waiting = Replayed(work, torch.device("cuda"))
    x = torch.ones(4, device="cuda")
    for _ in range(PLAIN):
        waiting(x)
    with pytest.warns(UserWarning, match="no CUDA graph could be made"):
        assert waiting(x)[0].tolist() == [4.0] * 4
    assert waiting(2 * x)[0].tolist() == [16.0] * 4


@needs_a_gpu
def test_a_pretraining_on_a_gpu_repeats_itself(tmp_path: Path) -> None:
    asked = config(merge=Merge(), optim=Optim(kind="adamw", lr=1e-3, batch=3, epochs=4))
    runs = [replace(fake_run(tmp_path / name, VIDEOS), device=torch.device("cuda")) for name in "ab"]
    first, again = (pretrain(asked, run)["metrics"]["loss"] for run in runs)
    assert first == pytest.approx(again, abs=1e-3)


def test_a_cpu_has_no_graphs() -> None:
    model = MomentumContrast(build_encoder(NARROW), MoCo(dim=16, queue=32), 0)
    step = ContrastStep(model, Descent(torch.optim.SGD(model.query.parameters(), lr=0.1)), None, CPU)
    assert not isinstance(step.gradients, Replayed)
