"""Compiled networks: the same names in every file, runs that continue, ranks, one line where it fails, and the eager loss curve."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fame.compilation
from fame.backbones import build_encoder, fast_layout
from fame.checkpoint import load_encoder, read_weights
from fame.compilation import naming_failures
from fame.config import Backbone, Merge, MoCo, Optim, Pretrain
from fame.descent import ContrastStep, Descent
from fame.errors import FameError
from fame.moco import MomentumContrast
from fame.optimiser import build_optimiser
from fame.pretrain import pretrain
from studies.cell import Stage
from tests.fakes import fake_data, fake_run
from tests.test_accumulation import Breaking, Stopped
from tests.test_pretrain import VIDEOS, config

torch.set_num_threads(1)
NARROW = Backbone(name="r2plus1d_narrow", width=4)
STEPS = 6
TOLERANCE = 0.02  # of each step's loss, in nats: compiled operations round otherwise than the fused ones, and steps add it up


def losses(compiled: bool, accumulate: int = 1, steps: int = STEPS, fast: bool = True) -> Tensor:
    model = MomentumContrast(build_encoder(NARROW, 3), MoCo(dim=8, queue=16, momentum=0.9), seed=4, accumulate=accumulate)
    model = (fast_layout(model) if fast else model).train()
    optimiser = build_optimiser(Optim(kind="sgd", lr=0.05), model.query.parameters())
    step = ContrastStep(model, Descent(optimiser), None, torch.device("cpu"), compiled)
    drawn = torch.Generator().manual_seed(0)
    return torch.stack([step(*(torch.rand(8, 3, 4, 16, 16, generator=drawn) for _ in range(2)))[0] for _ in range(steps)])


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile needs a C++ compiler")
def test_the_loss_curve_is_that_of_eager_training() -> None:
    eager, compiled = losses(False), losses(True)
    assert eager.max() - eager.min() > 0.5
    torch.testing.assert_close(compiled, eager, rtol=0, atol=TOLERANCE)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """torch.compile with a backend that runs the traced graph as it is, without a compiler's minutes; the graphs it was given."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    monkeypatch.setattr(fame.compilation, "BACKEND", backend)
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


def test_files_keep_their_names_and_a_run_continues_bit_for_bit(tmp_path: Path, traced: list[Any]) -> None:
    long = config(compiled=True, merge=Merge(), optim=Optim(kind="adamw", lr=1e-3, batch=6, epochs=4))
    straight = pretrain(long, fake_run(tmp_path / "straight", VIDEOS))
    assert traced and straight["notes"]["compiled"] is True
    run = fake_run(tmp_path / "broken", VIDEOS)
    with pytest.raises(Stopped):
        pretrain(long, Breaking(run.folder, run.seeds, run.device, run.videos))
    plain = MomentumContrast(build_encoder(NARROW), MoCo(dim=8, queue=16, momentum=0.9, symmetric=False))
    assert read_weights(run.folder / "checkpoint.pt")["modules"].keys() == plain.state_dict().keys()
    continued = pretrain(long, run)
    assert straight["metrics"] == continued["metrics"]
    first, second = (load_encoder(tmp_path / name / "encoder.pt")[0].state_dict() for name in ("straight", "broken"))
    assert first.keys() == build_encoder(NARROW).state_dict().keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_compiling_is_in_the_identity() -> None:
    assert len({Stage(Pretrain(data=fake_data(), compiled=compiled)).id for compiled in (False, True)}) == 2


def test_a_failure_of_torch_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def backend(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no compiler is here")

    torch.compiler.reset()
    monkeypatch.setattr(fame.compilation, "BACKEND", backend)
    with pytest.raises(FameError, match=r"^torch.compile failed \(.*no compiler is here.*\): .* leave out --compile$"):
        pretrain(config(compiled=True), fake_run(tmp_path, VIDEOS))


def test_other_errors_pass() -> None:
    @naming_failures
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
