"""Configure training: augmentation, backbone, optimiser; and pretraining, the first stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fame.config.base import Config, Share, later
from fame.config.data import Clip, Data
from fame.config.method import BackgroundErasing, Merge, MoCo

BackboneName = Literal["r2plus1d_18", "r2plus1d_narrow", "r3d_18", "s3d", "i3d", "c3d"]
# auto: bf16 where the processor has units for it; what came is recorded in the run. fp16: on a GPU only, losses scaled in training
Precision = Literal["auto", "fp32", "bf16", "fp16"]


def check_pieces(accumulate: int, batch: int) -> int:
    """Return `accumulate`, the number of equal pieces of one rank's batch. ValueError where it does not divide the batch."""
    if accumulate < 1 or batch % accumulate:
        raise ValueError(f"accumulate = {accumulate}: a batch of {batch} on one device is cut in so many equal pieces")
    return accumulate


class Augment(Config):
    """Configure visual augmentation, one draw for all frames of a clip; defaults are the released code's.

    `flip`, `grayscale`, `jitter` and `blur` are probabilities; brightness, contrast and saturation are the half-widths of the
    factors' ranges about 1.
    """

    area: tuple[float, float] = (0.2, 1.0)  # of the frame, random resized crop, aspect ratio 3/4 to 4/3
    flip: Share = 0.5
    grayscale: Share = 0.2
    jitter: Share = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = Field(default=0.1, ge=0, le=0.5)  # in turns
    blur: Share = 0.5
    mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645)
    std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989)
    blur_sigma: tuple[float, float] = later((0.1, 2.0))  # pixels, uniform


MEAN, STD = Augment().mean, Augment().std  # of training, and of tests


class Backbone(Config):
    """Choose the network. Default: R(2+1)D-18, the paper's network of tables 5 and 6."""

    name: BackboneName = "r2plus1d_18"
    width: int = Field(64, ge=4)  # channels of the narrow network's first stage; the other networks are as published


class Optim(Config):
    """Configure optimiser and schedule. Defaults are those of the paper's pretraining (released code)."""

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.01, gt=0)  # learning rate at the start; not scaled with the batch
    weight_decay: float = Field(1e-4, ge=0)
    momentum: float = 0.9  # SGD only
    batch: int = Field(64, ge=1)  # clips a step, over all ranks and pieces together
    epochs: int = Field(200, ge=0)
    schedule: Literal["cosine", "step"] = "cosine"  # stepped per epoch
    milestones: tuple[int, ...] = ()  # epochs at which a step schedule divides by ten


class Pretrain(Config):
    """The first stage: an encoder. `random` is the initialisation itself, `file` a given checkpoint, known by its hash."""

    stage: Literal["pretrain"] = "pretrain"
    version: int = 2
    kind: Literal["moco", "supervised", "random", "file"] = "moco"
    data: Data | None = None
    clip: Clip = Clip()
    augment: Augment = Augment()
    merge: Merge | None = None
    erasing: BackgroundErasing | None = None
    backbone: Backbone = Backbone()
    moco: MoCo = MoCo()
    optim: Optim = Optim()
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)
    weights: str | None = None  # SHA-256 of the file, kind `file` only
    ranks: int = later(1)  # processes, one a device, that share each batch of `optim.batch` (kind moco)
    accumulate: int = later(1)  # pieces that the networks take each rank's batch in, one after the other
    compiled: bool = later(False)  # networks by torch.compile (kind moco)

    @model_validator(mode="after")
    def _consistent(self) -> Pretrain:
        if self.merge and self.erasing:
            raise ValueError("a clip is either merged (merge) or background-erased (erasing), not both")
        if self.kind in ("moco", "supervised") and self.data is None:
            raise ValueError(f"pretraining by {self.kind} needs data")
        if (self.kind == "file") != (self.weights is not None):
            raise ValueError("kind 'file' and a weights hash go together")
        if self.ranks < 1 or self.optim.batch % self.ranks:
            raise ValueError(f"ranks = {self.ranks}: a batch of {self.optim.batch} is shared by them equally")
        check_pieces(self.accumulate, self.optim.batch // self.ranks)
        return self
