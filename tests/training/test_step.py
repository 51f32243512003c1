"""One step: fused, compiled, and replayed as a CUDA graph; the losses are those of plain modules."""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from fame.backbones import build_encoder, fast_layout
from fame.config import Merge, MoCo, Optim
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.training.graphs import PLAIN, Replayed
from fame.training.optimiser import build_optimiser
from fame.training.pretrain import pretrain
from fame.training.step import ContrastStep
from tests.fakes import fake_run
from tests.small import CPU, NARROW, VIDEOS, assert_continues, config

CUDA = torch.device("cuda")
SGD = Optim(kind="sgd", lr=0.05)  # not Adam: it scales gradients to one size, those that are nothing but rounding, too
needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
needs_a_compiler = pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile needs a C++ compiler")


def trained(
    device: torch.device,
    *,
    steps: int = 10,
    optim: Optim = SGD,
    dtype: torch.dtype | None = None,
    kind: Any = "ema",
    fast: bool = True,
    plain: bool = False,
) -> tuple[list[float], list[torch.Tensor]]:
    """Losses of steps on clips drawn anew, and the weights after them. `plain`: none is replayed; not `fast`: none is fused."""
    model = MomentumContrast(build_encoder(NARROW, 3), MoCo(dim=8, queue=16, momentum=0.9, key_norm=kind), seed=4)
    model = (fast_layout(model) if fast else model).to(device).train()
    step = ContrastStep(model, build_optimiser(optim, model.query.parameters()), dtype, device)
    if plain:
        step.gradients = step._gradients
    drawn = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(steps):
        views = [torch.rand(8, 3, 4, 16, 16, generator=drawn).to(device) for _ in range(2)]
        losses.append(float(step(*views)[0]))
    assert plain or device == CPU or step.gradients.graph is not None
    return losses, [weight.detach().clone() for weight in model.state_dict().values()]


@needs_a_gpu
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("kind", ["ema", "batch"])
def test_replayed_steps_are_the_plain_ones(kind, dtype, repeatable):
    plain, replayed = (trained(CUDA, kind=kind, dtype=dtype, plain=plain) for plain in (True, False))
    assert replayed[0] == pytest.approx(plain[0], abs=5e-3)
    for one, other in zip(replayed[1], plain[1], strict=True):
        assert (one.float() - other.float()).norm() <= 0.02 * other.float().norm() + 1e-3


@needs_a_gpu
def test_what_waits_for_the_device_stays_plain_and_says_so():
    def work(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x * float(x.sum()),)

    waiting = Replayed(work, CUDA)
    x = torch.ones(4, device="cuda")
    for _ in range(PLAIN):
        waiting(x)
    with pytest.warns(UserWarning, match="no CUDA graph could be made"):
        assert waiting(x)[0].tolist() == [4.0] * 4
    assert waiting(2 * x)[0].tolist() == [16.0] * 4


def test_the_loss_curve_is_that_of_the_plain_modules():
    """Fused operations and channels last against torch's own, contiguous: the mean loss of each third of the steps, in nats."""
    adam = Optim(kind="adamw", lr=1e-3)
    plain, fast = (torch.tensor(trained(CPU, fast=fast, steps=24, optim=adam)[0]) for fast in (False, True))
    assert plain.max() - plain.min() > 0.5
    for theirs, ours in zip(plain.chunk(3), fast.chunk(3), strict=True):
        assert float(ours.mean()) == pytest.approx(float(theirs.mean()), abs=0.002)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "device", [pytest.param(CPU, marks=needs_a_compiler, id="cpu"), pytest.param(CUDA, marks=needs_a_gpu, id="cuda")]
)
def test_a_compiled_pretraining_is_the_plain_one(tmp_path, device, repeatable):
    torch.compiler.reset()
    losses = [
        pretrain(config(compiled=compiled), replace(fake_run(tmp_path / str(compiled), VIDEOS), device=device))["metrics"]["loss"]
        for compiled in (False, True)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=0.02)


def compiled_by(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(nn.Module, "compile", functools.partialmethod(nn.Module.compile, backend=backend))


def test_compiled_networks_are_traced_whole_and_a_run_continues(tmp_path, monkeypatch):
    """With a backend that runs the traced graph as it is, without a compiler's minutes."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled_by(backend, monkeypatch)
    asked = config(compiled=True, merge=Merge(), optim=Optim(kind="adamw", lr=1e-3, batch=6, epochs=4))
    assert_continues(tmp_path, asked)
    assert len(graphs) % 2 == 0 and graphs  # one each for query and key of a run: no break


def test_what_does_not_compile_is_one_line(tmp_path, monkeypatch):
    def refusing(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler is here")

    compiled_by(refusing, monkeypatch)
    with pytest.raises(FameError, match=r"^a step of compiled networks failed \(.*no compiler.*\): leave out --compile$"):
        pretrain(config(compiled=True), fake_run(tmp_path, VIDEOS))
