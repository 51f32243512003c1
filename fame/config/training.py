"""Configure training: augmentation, backbone, optimiser; and pretraining, the first stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

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


class Objective(Config):
    """What an encoder is trained for. A plugin's objective is a subclass with fields of its own (fame/plugins.py)."""

    kind: str
    plugin: str = later("")  # SHA-256 of the plugin's file
    trains: ClassVar[bool] = True  # whether it needs videos and an optimiser


class MoCoObjective(Objective):
    """Momentum contrast of two views of a video; view 0, or both, merged or background-erased. The baseline does neither."""

    kind: Literal["moco"] = "moco"
    moco: MoCo = MoCo()
    merge: Merge | None = None
    erasing: BackgroundErasing | None = None
    ranks: int = later(1)  # processes, one a device, that share each batch of `optim.batch`
    compiled: bool = later(False)  # networks by torch.compile

    @model_validator(mode="after")
    def _one_of_both(self) -> MoCoObjective:
        if self.merge and self.erasing:
            raise ValueError("a clip is either merged (merge) or background-erased (erasing), not both")
        return self


class Supervised(Objective):
    """Cross-entropy with the labels of the training videos."""

    kind: Literal["supervised"] = "supervised"


class Random(Objective):
    """No training: the initialisation itself."""

    kind: Literal["random"] = "random"
    trains: ClassVar[bool] = False


class File(Objective):
    """No training: a given checkpoint, known by the SHA-256 of the file."""

    kind: Literal["file"] = "file"
    trains: ClassVar[bool] = False
    weights: str


class Foreign(Objective):
    """The objective of a plugin, as it was kept by a run, where that file is not loaded or has changed since. It cannot be run."""

    model_config = ConfigDict(frozen=True, extra="allow")


OBJECTIVES: dict[str, type[Objective]] = {"moco": MoCoObjective, "supervised": Supervised, "random": Random, "file": File}


def objective_of(value: Any) -> Any:
    """Return the objective that a mapping names by its `kind`; other values as they are. ValueError for an unknown kind."""
    if not isinstance(value, Mapping):
        return value
    known = OBJECTIVES.get(value.get("kind", ""))
    digest = value.get("plugin")
    if digest and (known is None or digest != known.model_fields["plugin"].default):
        return Foreign.model_validate(value)
    if known is None:
        raise ValueError(f"unknown objective {value.get('kind')!r}; known: {', '.join(OBJECTIVES)}")
    return known.model_validate(value)


class Pretrain(Config):
    """Configure the first stage: a network, what it is trained for, and how.

    An objective that trains nothing (`Random`, `File`) takes no other field than the backbone, and its id depends on no other.
    """

    stage: Literal["pretrain"] = "pretrain"
    version: int = 3
    backbone: Backbone = Backbone()
    objective: SerializeAsAny[Annotated[Objective, BeforeValidator(objective_of)]] = MoCoObjective()
    data: Data | None = None
    clip: Clip = Clip()
    augment: Augment = Augment()
    optim: Optim = Optim()
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)
    accumulate: int = later(1)  # pieces that the networks take each rank's batch in, one after the other

    @model_validator(mode="after")
    def _consistent(self) -> Pretrain:
        if self.objective.trains and self.data is None:
            raise ValueError(f"pretraining by {self.objective.kind} needs data")
        given = [name for name in sorted(self.without_effect()) if getattr(self, name) != type(self).model_fields[name].default]
        if given:
            raise ValueError(f"an encoder by {self.objective.kind} is not trained: {', '.join(given)} would change nothing")
        ranks = self.objective.ranks if isinstance(self.objective, MoCoObjective) else 1
        if ranks < 1 or self.optim.batch % ranks:
            raise ValueError(f"ranks = {ranks}: a batch of {self.optim.batch} is shared by them equally")
        check_pieces(self.accumulate, self.optim.batch // ranks)
        return self

    @property
    def contrast(self) -> MoCoObjective:
        """The objective of momentum contrast; TypeError where it is another."""
        if not isinstance(self.objective, MoCoObjective):
            raise TypeError(f"pretraining by {self.objective.kind} has no contrast")
        return self.objective

    def without_effect(self) -> frozenset[str]:
        """Return the fields of training where the objective trains nothing."""
        return frozenset() if self.objective.trains else TRAINING


TRAINING = frozenset({"data", "clip", "augment", "optim", "precision", "threads", "accumulate"})
