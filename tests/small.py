"""Small clips and pretrainings, a run that breaks off, what a run leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fame.backbones import Encoder
from fame.backbones.given import load_encoder
from fame.config import Backbone, Clip, MoCo, Optim, Pretrain
from fame.method.views import Views
from fame.run import Run
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, contrast, fake_data, fake_run

torch.set_num_threads(1)
CPU = torch.device("cpu")
VIDEOS = FakeVideos(classes=2, per_class=6, frames=8, size=24, counterfactual=False)
KINDS = ("noise", "moving block", "still", "one colour", "few colours", "grey")
NARROW = Backbone(name="r2plus1d_narrow", width=4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(batch: int = 4, frames: int = 3, height: int = 24, width: int | None = None, seed: int = 0) -> Tensor:
    """Clips float (batch, 3, frames, height, width or height)."""
    return torch.rand(batch, 3, frames, height, width or height, generator=seeded(seed))


def clips_of(kind: str, batch: int, frames: int, height: int, width: int, seed: int) -> Tensor:
    """Clips float (batch, 3, frames, height, width) of one of `KINDS`."""
    generator = seeded(seed)
    clips = torch.rand(batch, 3, frames, height, width, generator=generator)
    if kind == "moving block":
        clips = clips.mul(0.2) + torch.rand(batch, 3, 1, 1, 1, generator=generator) * 0.8
        for t in range(frames):
            clips[:, 0, t, 3:12, 2 + t : 9 + t] = 0.9
    if kind == "still":
        clips = clips[:, :, :1].repeat(1, 1, frames, 1, 1)
    if kind == "one colour":
        clips = torch.rand(batch, 3, 1, 1, 1, generator=generator).expand_as(clips)
    if kind == "few colours":
        clips = clips.round()
    if kind == "grey":
        clips = clips[:, :1].expand_as(clips)
    return clips


def config(**changes: Any) -> Pretrain:
    """A pretraining by contrast of two epochs of two steps."""
    given: dict[str, Any] = {
        "data": fake_data(),
        "clip": Clip(frames=4, stride=2, size=16),
        "backbone": NARROW,
        "moco": MoCo(dim=8, queue=16, momentum=0.9, symmetric=False),
        "optim": Optim(kind="adamw", lr=1e-3, batch=6, epochs=2),
        "precision": "fp32",
    }
    return contrast(**{**given, **changes})


class Plain(Encoder):
    """No batch norm, so a clip's features do not depend on its company."""

    dim = 6

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.layer = nn.Conv3d(3, self.dim, 3, padding=1)

    def features(self, clips: Tensor) -> Tensor:
        return self.layer(clips).relu()

    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        return {}


class Stopped(Exception):
    pass


@dataclass(frozen=True)
class Breaking(Run):
    """A run that stops when epoch `at` is logged, before it is saved, as a kill would stop it."""

    at: int = 3

    def log(self, **values: Any) -> None:
        super().log(**values)
        if values.get("step") == self.at:
            raise Stopped


def breaking(run: Run, at: int = 3) -> Breaking:
    return Breaking(run.folder, run.seeds, run.device, run.videos, at=at)


def weights(folder: Path) -> dict[str, Tensor]:
    return load_encoder(folder / "encoder.pt").state_dict()


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_continues(folder: Path, config: Pretrain) -> None:
    """Assert that a run broken off in its third epoch ends bit for bit as one that ran through."""
    straight = pretrain(config, fake_run(folder / "straight", VIDEOS))
    run = fake_run(folder / "broken", VIDEOS)
    with pytest.raises(Stopped):
        pretrain(config, breaking(run))
    assert (run.folder / "checkpoint.pt").exists()
    assert not (run.folder / "encoder.pt").exists()
    torch.manual_seed(99)  # a new process has another global state
    assert pretrain(config, run)["metrics"] == straight["metrics"]
    assert [line["step"] for line in lines(run.folder)] == [1, 2, 3, 4]  # none twice
    assert same(weights(folder / "straight"), weights(run.folder))


def drawn(folder: Path, rows: int = 6, **changes: Any) -> tuple[Tensor, Tensor]:
    """The views of an epoch's second batch, in which a stream out of step would show."""
    views = Views(config(**changes), VIDEOS, fake_run(folder, VIDEOS), epoch=0)
    _, second = views.pairs([torch.arange(rows), torch.arange(12 - rows, 12)])
    return second
