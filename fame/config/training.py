"""Configure pretraining, the first stage: the method (paper, section 3), momentum contrast, augmentation, backbone, optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from fame.config.data import Clip, Config, Data, Share, later

Variant = str  # a name in MASKS
MASKS = {
    "gauss": "Gauss",
    "seed": "Seed",
    "grid": "Grid",
    "fame": "FAME",
}  # by name the label in tables; plugins add theirs
PLUGGED: dict[str, str] = {}  # masks of plugins: the SHA-256 of the file that has each (fame/plugins.py)
Flavour = Literal["paper", "official"]
Control = Literal["true", "dilated", "other", "blob"]  # masks that are no method: controls of what a mask is worth
OF_TRUTH: tuple[Control, ...] = ("true", "dilated")  # controls that need to know the true figure
Background = Literal["inter", "intra", "still", "inpainted"]
Scenery = Literal["empty", "elsewhere"]  # backgrounds that are no method's (fame/method/controls.py)


def check_number(name: str, value: object) -> None:
    """Raise ValueError for text, None and whatever else is no number."""
    if not hasattr(value, "__float__"):
        raise ValueError(f"{name} must be a number, got {value!r}")


def check_beta(beta: float) -> float:
    """Return beta, the share of the frame kept as foreground, in (0, 1]. ValueError elsewhere; for 0 it says what is meant."""
    check_number("beta", beta)
    if beta == 0:
        raise ValueError("beta = 0 would keep no foreground at all; the baseline without merging is beta = 1.0")
    if not 0 < beta <= 1:
        raise ValueError(f"beta = {beta}: it is the share of the frame kept as foreground and lies in (0, 1]; 1.0 is the baseline")
    return beta


def check_prior(prior: float) -> float:
    """Return P(F), in (0, 1). ValueError elsewhere."""
    check_number("prior", prior)
    if not 0 < prior < 1:
        raise ValueError(f"prior = {prior}: it is the share of pixels expected to be foreground and lies between 0 and 1")
    return prior


def check_sampled(sampled: tuple[float, float]) -> tuple[float, float]:
    """Return the shares of the frame behind P(x|F) and P(x|B). ValueError where one is 0 or a pixel would be in both samples."""
    pair = isinstance(sampled, tuple | list) and len(sampled) == 2
    if not pair or min(sampled) <= 0 or sum(sampled) > 1:
        raise ValueError(f"sampled = {sampled}: shares of foreground and background, above 0 and in all at most 1")
    return sampled


class Merge(Config):
    """Configure foreground-background merging (paper, section 3). `None` in its place is the baseline, beta = 1.0."""

    variant: str = "fame"  # a name in MASKS, or a control
    beta: float = 0.5
    background: Background | Scenery = "inter"
    views: Literal["single", "both"] = "single"
    flavour: Flavour = "paper"
    prior: float = 0.5  # P(F) in Bayes' rule; equal priors in the paper
    sampled: tuple[float, float] = (0.5, 0.1)  # shares of the frame behind P(x|F) and P(x|B)
    partners: Literal["others", "any"] | None = None  # whose backgrounds: a clip's own too? None: as the flavour has it

    plugin: str = later("")  # SHA-256 of the file behind a plugin's mask; filled in

    _beta = field_validator("beta")(check_beta)
    _prior = field_validator("prior")(check_prior)
    _sampled = field_validator("sampled")(check_sampled)

    @model_validator(mode="before")
    @classmethod
    def _of_plugin(cls, value: Any) -> Any:
        digest = PLUGGED.get(value.get("variant", "")) if isinstance(value, dict) else None
        return {"plugin": digest, **value} if digest else value

    @model_validator(mode="after")
    def _known(self) -> Merge:
        if not self.plugin and self.variant not in (*MASKS, *get_args(Control)):
            raise ValueError(f"unknown variant {self.variant!r}; known: {', '.join((*MASKS, *get_args(Control)))}")
        return self

    @property
    def needs_truth(self) -> bool:
        """Whether it is a control that must know the true figure, which real videos do not tell."""
        return self.variant in OF_TRUTH or self.background == "empty"


class BackgroundErasing(Config):
    """Configure background erasing (BE): a random frame of the clip is added to every frame by a weight from U(0, `weight`)."""

    weight: float = Field(0.3, ge=0, le=1)
    views: Literal["single", "both"] = "single"


class MoCo(Config):
    """Configure momentum contrast (InfoNCE against a queue). Defaults are the released code's for UCF101."""

    dim: int = 128  # of the projected features
    queue: int = 2048  # keys kept as negatives; 65536 for Kinetics-400
    momentum: float = Field(0.999, ge=0, le=1)  # share of the old weights that the key encoder keeps in a step
    temperature: float = Field(0.1, gt=0)
    symmetric: bool = True  # the mean of both losses, each view once as query
    # the keys' batch norm. batch: its statistics tell a key from the queue's; ema: running ones, averaged like the weights
    key_norm: Literal["batch", "ema"] = "batch"
    own_key: bool = True  # symmetric only: as in the released code, the second query's negatives hold a key of the same clip


BackboneName = Literal["r2plus1d_18", "r2plus1d_narrow", "r3d_18", "s3d", "i3d", "c3d"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]  # auto: bf16 where the processor has units for it; fp16: on a GPU only


def check_pieces(accumulate: int, batch: int) -> int:
    """Return `accumulate`, the number of equal pieces of one rank's batch. ValueError where it does not divide the batch."""
    if accumulate < 1 or batch % accumulate:
        raise ValueError(f"accumulate = {accumulate}: a batch of {batch} on one device is cut in so many equal pieces")
    return accumulate


class Augment(Config):
    """Configure visual augmentation, one draw a clip; a `Share` is a probability; defaults are the released code's."""

    area: tuple[float, float] = (0.2, 1.0)  # of the frame, random resized crop, aspect ratio 3/4 to 4/3
    flip: Share = 0.5
    grayscale: Share = 0.2
    jitter: Share = 0.8
    brightness: float = 0.4  # half-width of the factor's range about 1
    contrast: float = 0.4  # likewise
    saturation: float = 0.4  # likewise
    hue: float = Field(default=0.1, ge=0, le=0.5)  # in turns
    blur: Share = 0.5
    mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645)
    std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989)
    blur_sigma: tuple[float, float] = later((0.1, 2.0))  # pixels, uniform


MEAN, STD = Augment().mean, Augment().std  # of training, and of tests


class Backbone(Config):
    """Choose the network. Default: R(2+1)D-18, the paper's network of tables 5 and 6."""

    name: BackboneName = "r2plus1d_18"
    # of the narrow network, the others being as published: channels of its first layer, residual blocks in a layer, channels
    # between the stem's convolutions (0: in proportion to the published 45), strides of layers 2 to 4 along a side and along time
    width: int = Field(64, ge=4)
    blocks: Literal[1, 2] = later(2)
    stem: Annotated[int, Field(ge=0)] = later(0)
    space: tuple[int, int, int] = later((2, 2, 2))
    time: tuple[int, int, int] = later((2, 2, 2))


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


OBJECTIVES: dict[str, type[Objective]] = {
    "moco": MoCoObjective,
    "supervised": Supervised,
    "random": Random,
    "file": File,
}


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
    """Configure the first stage: a network, what it is trained for, and how."""

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
    stop: int = later(0)  # epochs after which momentum contrast stops and keeps its checkpoint; 0: at its end, `optim.epochs`

    @model_validator(mode="after")
    def _consistent(self) -> Pretrain:
        if self.objective.trains and self.data is None:
            raise ValueError(f"pretraining by {self.objective.kind} needs data")
        given = [name for name in sorted(self.without_effect()) if getattr(self, name) != type(self).model_fields[name].default]
        if given:
            raise ValueError(f"an encoder by {self.objective.kind} is not trained: {', '.join(given)} would change nothing")
        if self.ranks < 1 or self.optim.batch % self.ranks:
            raise ValueError(f"ranks = {self.ranks}: a batch of {self.optim.batch} is shared by them equally")
        check_pieces(self.accumulate, self.optim.batch // self.ranks)
        if self.stop and not (isinstance(self.objective, MoCoObjective) and 0 < self.stop < self.optim.epochs):
            raise ValueError(f"stop = {self.stop}: momentum contrast of {self.optim.epochs} epochs can stop after fewer")
        return self

    @property
    def epochs(self) -> int:
        """The number of epochs that are trained."""
        return self.stop or self.optim.epochs

    @property
    def ranks(self) -> int:
        """Return how many processes share each batch."""
        return self.objective.ranks if isinstance(self.objective, MoCoObjective) else 1

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
