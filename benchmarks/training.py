"""Pretraining steps to be timed: ours, as fame/training/pretrain.py takes them, and the plain twin's; and a step's operations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.eager import PlainContrast, PlainViews, plain_encoder, plain_optimiser
from benchmarks.inputs import staged_videos
from benchmarks.setting import Setting
from fame.backbones import build_encoder, fast_layout
from fame.config import Backbone, Clip, Merge, MoCoObjective, Precision, Pretrain
from fame.data.clips import VideoSet
from fame.method.moco import MomentumContrast
from fame.method.views import Views
from fame.run import Run
from fame.seeds import SELECTION_REPLICATES, Seeds
from fame.training import precision as arithmetic
from fame.training.descent import ContrastStep, Descent
from fame.training.optimiser import build_optimiser
from studies.setting.scales import PAPER, QUICK, SMOKE

Pair = tuple[Tensor, Tensor]


class Step(ABC):
    """`draw()` makes two views of the batch, `train(views)` takes one optimisation step on them, `step()` does both."""

    rows: Tensor

    @abstractmethod
    def draw(self) -> Pair: ...

    @abstractmethod
    def train(self, views: Pair) -> float: ...

    def step(self) -> float:
        return self.train(self.draw())


class Ours(Step):
    """`_train_contrast` of fame/training/pretrain.py for one batch."""

    def __init__(self, config: Pretrain, videos: VideoSet, device: torch.device, folder: Path, precision: Precision | None = None):
        self.config, self.device = config, device
        self.run = Run(folder, Seeds(SELECTION_REPLICATES), device, lambda data: videos)
        self.dtype = arithmetic.resolve(precision or config.precision, device)
        seeds = self.run.seeds
        encoder = build_encoder(config.backbone, seeds.of("initialisation"))
        self.model = fast_layout(MomentumContrast(encoder, config.contrast.moco, seeds.of("head")).to(device)).train()
        descent = Descent(build_optimiser(config.optim, self.model.query.parameters()))
        self.descend = ContrastStep(self.model, descent, self.dtype, device, config.contrast.compiled)
        self.views = Views(config, videos, self.run, 0)
        self.rows = batch_of(videos, config.optim.batch)

    def draw(self) -> Pair:
        return self.views.draw(self.rows)

    def train(self, views: Pair) -> float:
        loss, _ = self.descend(*views)
        return float(loss)


class Plain(Step):
    """The twin of benchmarks/eager.py. `tf32`: on a GPU, 32-bit products by its tensor units."""

    def __init__(self, config: Pretrain, videos: VideoSet, device: torch.device, tf32: bool = False):
        self.config, self.tf32 = config, tf32
        self.model = PlainContrast(plain_encoder(config.backbone), config.contrast.moco).to(device)
        self.model.train()
        self.optimiser = plain_optimiser(config.optim, list(self.model.query.parameters()))
        self.views = PlainViews(config, videos, device)
        self.rows = batch_of(videos, config.optim.batch)

    def draw(self) -> Pair:
        return self.views.draw(self.rows)

    def train(self, views: Pair) -> float:
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = matmul.allow_tf32, cudnn.allow_tf32
        matmul.allow_tf32 = cudnn.allow_tf32 = self.tf32
        try:
            loss = self.model(*views)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            return float(loss.detach())
        finally:
            matmul.allow_tf32, cudnn.allow_tf32 = before


def batch_of(videos: VideoSet, batch: int) -> Tensor:
    """Rows of as many videos, from the first on and round again."""
    return torch.arange(batch) % len(videos)


def configured(setting: Setting, backbone: Backbone, batch: int, threads: int, *, symmetric: bool | None = None) -> Pretrain:
    """FAME's pretraining of the narrow network as scale quick has it, of the others as scale paper has it, with `batch` clips.

    The data are `videos_for` these; `tiny` takes the clips of scale smoke for every network.
    """
    scale = QUICK if backbone.name == "r2plus1d_narrow" else PAPER
    data, _ = videos_for(setting, backbone)
    moco = scale.moco if symmetric is None else scale.moco.model_copy(update={"symmetric": symmetric})
    clip = scale.clip.model_copy(update={"size": 224}) if backbone == I3D else scale.clip
    return Pretrain(
        data=data,
        clip=Clip(frames=4, stride=2, size=32) if setting.tiny else clip,
        augment=scale.augment,
        backbone=backbone,
        objective=MoCoObjective(moco=moco, merge=Merge()),
        optim=scale.pretrain.model_copy(update={"batch": batch}),
        precision=scale.precision,
        threads=threads,
    )


def videos_for(setting: Setting, backbone: Backbone):  # type: ignore[no-untyped-def]
    """Few rendered videos: at the stored size of scale quick for the narrow network, 128 pixels for the others, 256 for I3D."""
    if setting.tiny:
        return staged_videos(setting.folder, train=16)
    if backbone == I3D:
        return staged_videos(setting.folder, train=16, size=2 * PAPER.short_side)
    narrow = backbone.name == "r2plus1d_narrow"
    return staged_videos(setting.folder, train=64 if narrow else 16, size=48 if narrow else PAPER.short_side)


def operations(config: Pretrain) -> float:
    """Multiplications and additions of one step in convolutions and products, counted on the plain twin without computing them."""
    with torch.device("meta"):
        model = PlainContrast(plain_encoder(config.backbone), config.contrast.moco)
        clip = config.clip
        views = [torch.empty(config.optim.batch, 3, clip.frames, clip.size, clip.size) for _ in range(2)]
        with FlopCounterMode(display=False) as counter:
            model(*views).backward()
    return float(counter.get_total_flops())


NARROW = Backbone(name="r2plus1d_narrow", width=QUICK.backbone.width)
TINY = Backbone(name="r2plus1d_narrow", width=SMOKE.backbone.width)
FULL = Backbone(name="r2plus1d_18")
I3D = Backbone(name="i3d")  # at the 224 pixels of the paper's ablations
