"""Compiled networks: the same names in every file, runs that continue, ranks, one line where it fails, and the eager loss curve."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fame.training.compilation
from fame.backbones import build_encoder, fast_layout
from fame.backbones.checkpoint import TrainingState
from fame.config import Merge, MoCo, Optim
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.training.compilation import naming_failures, plain_kernels
from fame.training.descent import ContrastStep, Descent
from fame.training.optimiser import build_optimiser, follow_weights
from fame.training.pretrain import pretrain
from tests.fakes import fake_run
from tests.small import NARROW, VIDEOS, assert_continues, config

STEPS = 6
TOLERANCE = 0.02  # of each step's loss, in nats: compiled operations round otherwise than the fused ones, and steps add it up


SGD = Optim(kind="sgd", lr=0.05)


def losses(
    compiled: bool, accumulate: int = 1, steps: int = STEPS, fast: bool = True, device: str = "cpu", optim: Optim = SGD
) -> Tensor:
    model = MomentumContrast(build_encoder(NARROW, 3), MoCo(dim=8, queue=16, momentum=0.9), seed=4, accumulate=accumulate)
    model = (fast_layout(model) if fast else model).to(device).train()
    optimiser = build_optimiser(optim, model.query.parameters())
    step = ContrastStep(model, Descent(optimiser), None, torch.device(device), compiled)
    drawn = torch.Generator().manual_seed(0)
    views = [[torch.rand(8, 3, 4, 16, 16, generator=drawn).to(device) for _ in range(2)] for _ in range(steps)]
    return torch.stack([step(*pair)[0] for pair in views])


needs_a_compiler = pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile needs a C++ compiler")
needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("device", [pytest.param("cpu", marks=needs_a_compiler), pytest.param("cuda", marks=needs_a_gpu)])
def test_the_loss_curve_is_that_of_eager_training(device: str, repeatable: None) -> None:
    torch.compiler.reset()
    eager, compiled = (losses(compiled, device=device) for compiled in (False, True))
    assert eager.max() - eager.min() > 0.5
    torch.testing.assert_close(compiled, eager, rtol=0, atol=TOLERANCE)


def test_the_loss_curve_is_that_of_the_plain_modules() -> None:
    """Fused operations and channels last against torch's own, contiguous: the mean loss of each third of the steps, in nats."""
    plain, fast = (losses(False, steps=24, fast=fast, optim=Optim(kind="adamw", lr=1e-3)) for fast in (False, True))
    assert plain.max() - plain.min() > 0.5
    for theirs, ours in zip(plain.chunk(3), fast.chunk(3), strict=True):
        assert float(ours.mean()) == pytest.approx(float(theirs.mean()), abs=0.002)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """torch.compile with a backend that runs the traced graph as it is, without a compiler's minutes; the graphs it was given."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(fame.training.compilation, "BACKEND", backend)
    return graphs


@pytest.mark.parametrize("accumulate", [1, 2])
def test_networks_are_traced_whole_and_compute_the_same(traced: list[Any], accumulate: int) -> None:
    """Of torch's own modules: the graph as it is does the same operations, so not a bit differs."""
    eager = losses(False, accumulate, steps=3, fast=False)
    assert not traced
    assert torch.equal(losses(True, accumulate, steps=3, fast=False), eager)
    assert len(traced) == 2  # one graph each for query and key: no break


@pytest.mark.long
def test_a_cpus_fused_operations_step_aside(traced: list[Any]) -> None:
    torch.testing.assert_close(losses(True, steps=3), losses(False, steps=3), rtol=0, atol=TOLERANCE)
    assert len(traced) == 2


def kernels(network: nn.Module) -> list[nn.Parameter]:
    """Of convolutions, those whose order in memory says something."""
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv3d)]
    return [part.weight for part in convolutions if part.in_channels > 1 and part.weight[0, 0].numel() > 1]


def test_kernels_are_stored_in_order_and_stay_the_same_parameters() -> None:
    network = fast_layout(build_encoder(NARROW, 3))
    before, values = kernels(network), [weight.detach().clone() for weight in kernels(network)]
    assert before and not any(weight.is_contiguous() for weight in before)
    plain_kernels(network)
    for weight, old, value in zip(kernels(network), before, values, strict=True):
        assert weight is old and weight.is_contiguous() and torch.equal(weight, value)


def test_a_cpus_kernels_stay_channels_last(traced: list[Any]) -> None:
    network = fast_layout(build_encoder(NARROW, 3))
    fame.training.compilation.compile_in_place(network)
    assert not any(weight.is_contiguous() for weight in kernels(network))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_the_optimiser_follows_kernels_stored_anew(kind: Any) -> None:
    """A step later weights are those of training that was left alone; without following they would be others."""
    found = []
    for stored_anew in (False, True):
        network = fast_layout(build_encoder(NARROW, 3))
        optimiser = build_optimiser(Optim(kind=kind, lr=0.05), network.parameters())
        drawn = torch.Generator().manual_seed(0)
        for step in range(3):
            if step == 1 and stored_anew:
                plain_kernels(network)
                follow_weights(optimiser)
            for weight in network.parameters():
                weight.grad = torch.empty_like(weight).copy_(torch.rand(weight.shape, generator=drawn))
            optimiser.step()
        found.append([weight.detach().clone() for weight in network.parameters()])
    for left_alone, anew in zip(*found, strict=True):
        torch.testing.assert_close(anew, left_alone, rtol=0, atol=1e-6)


def test_a_checkpoint_of_kernels_stored_otherwise_is_continued(tmp_path: Path) -> None:
    """Saved compiled on a GPU, say, and continued on a CPU."""
    for stored_anew in (True, False):
        network = fast_layout(build_encoder(NARROW, 3))
        optimiser = build_optimiser(Optim(), network.parameters())
        state = TrainingState(fake_run(tmp_path, VIDEOS), "of a test", network, optimiser)
        if stored_anew:
            plain_kernels(network)
            for weight in network.parameters():
                weight.grad = torch.ones_like(weight)
            optimiser.step()
            state.save(1, {}, last=True)
    assert state.restore() == (1, {})
    strides = [(optimiser.state[weight]["momentum_buffer"].stride(), weight.stride()) for weight in kernels(network)]
    assert strides and all(one == other for one, other in strides)


def test_files_keep_their_names_and_a_run_continues_bit_for_bit(tmp_path: Path, traced: list[Any]) -> None:
    asked = config(compiled=True, merge=Merge(), optim=Optim(kind="adamw", lr=1e-3, batch=6, epochs=4))
    assert assert_continues(tmp_path, asked)["notes"]["compiled"] is True and traced


def refusing(graph: Any, inputs: Any) -> Any:
    raise RuntimeError("no compiler is here")


def written(graph: Any, inputs: Any) -> Any:
    """What inductor writes checks sizes and strides by bare assertions, in the middle of a step."""
    from torch._inductor.codecache import PyCodeCache

    text = "def call(*tensors):\n    assert False, 'expected size 144==144, stride 3==1 at dim=1'\n"
    return PyCodeCache.load(text).call


@pytest.mark.parametrize(
    ("backend", "match"),
    [
        (refusing, r"^torch.compile failed \(.*no compiler is here.*\): .* leave out --compile$"),
        (written, r"^what torch.compile made fails \(expected size .* at dim=1\): leave out --compile$"),
    ],
)
def test_a_failure_of_torch_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Any, match: str) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(fame.training.compilation, "BACKEND", backend)
    with pytest.raises(FameError, match=match):
        pretrain(config(compiled=True), fake_run(tmp_path, VIDEOS))


@pytest.mark.parametrize("error", [AssertionError, ZeroDivisionError])
def test_other_errors_pass(traced: list[Any], error: type[Exception]) -> None:
    @naming_failures
    def fails() -> None:
        raise error("ours")

    with pytest.raises(error, match="ours"):
        fails()
