"""Every scientific choice, as frozen and validated models.

What stands here enters the identity of a cell (studies/cell.py); what does not (paths, workers, device index, progress) does
not. Defaults are the paper's where the paper has one; a scale (studies/scales.py) overrides them. A changed default or a changed
method needs a new `version` in its stage: tests pin golden ids and golden outputs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo

Variant = Literal["fame", "seed", "grid", "gauss"]
Flavour = Literal["paper", "official"]
Control = Literal["true", "dilated", "other", "blob"]  # masks that are no method: controls of what a mask is worth
OF_TRUTH: tuple[Control, ...] = ("true", "dilated")  # controls that need to know the true figure
Background = Literal["inter", "intra", "still"]
Reach = Literal["rank", "batch"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def later(default: Any) -> Any:
    """A field added after runs were kept: at `default`, which is what was done before there was a choice, it leaves ids alone."""
    return Field(default, json_schema_extra={LATER: True})


LATER = "later"  # mark of such a field


def identified(model: Config) -> dict[str, Any]:
    """The model as JSON values, without fields marked `later` that stand at their default: what studies/cell.py makes ids of."""
    found = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if _came_later(field) and value == field.default:
            del found[name]
        elif isinstance(value, Config):
            found[name] = identified(value)
    return found


def _came_later(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and LATER in field.json_schema_extra


def check_beta(beta: float) -> float:
    """The share of the frame kept as foreground, in (0, 1]; raises ValueError with what 0 would mean."""
    if beta == 0:
        raise ValueError("beta = 0 would keep no foreground at all; the baseline without merging is beta = 1.0")
    if not 0 < beta <= 1:
        raise ValueError(f"beta = {beta}: it is the share of the frame kept as foreground and lies in (0, 1]; 1.0 is the baseline")
    return beta


def check_prior(prior: float) -> float:
    """P(F), in (0, 1); raises ValueError."""
    if not 0 < prior < 1:
        raise ValueError(f"prior = {prior}: it is the share of pixels expected to be foreground and lies between 0 and 1")
    return prior


def check_sampled(sampled: tuple[float, float]) -> tuple[float, float]:
    """Shares of the frame behind P(x|F) and P(x|B); raises ValueError where one is 0 or a pixel would be in both samples."""
    if min(sampled) <= 0 or sum(sampled) > 1:
        raise ValueError(f"sampled = {tuple(sampled)}: shares of foreground and background, above 0 and in all at most 1")
    return sampled


def check_pieces(accumulate: int, batch: int) -> int:
    """Pieces of a batch (of one rank), at least 1 and equal; raises ValueError."""
    if accumulate < 1 or batch % accumulate:
        raise ValueError(f"accumulate = {accumulate}: a batch of {batch} on one device is cut in so many equal pieces")
    return accumulate


# ---------------------------------------------------------------- data


Condition = Literal["deranged", "neutral", "scene_only", "figure_only"]


class StagedPart(Config):
    """One part of the embedded benchmark: how many videos, how strongly the scene goes with the action."""

    train: int = Field(ge=8)
    val: int = Field(ge=4)
    test: int = Field(ge=4)  # performances; each is rendered once per test condition
    rho: Share  # share of a split's videos whose scene is the one that goes with their action
    actions: tuple[str, ...] = Field(min_length=2)  # names in fame/data/staged_figure.py; all parts draw on one repertoire
    conditions: tuple[Condition, ...] = ()  # counterfactual renderings of every test performance
    balanced: bool = False  # with splits `balanced` (as large as train) and `val/balanced`: every scene equally often


class StagedWorld(Config):
    """The generator of the embedded benchmark; its world (palettes, couplings, performances) comes from the replicate."""

    version: int = 1
    size: int = Field(48, ge=16)  # pixels, square
    frames: int = Field(24, ge=2)
    fps: int = 12
    figure: float = Field(0.6, gt=0, le=0.8)  # standing height as a share of the frame
    contrast: float = Field(1.0, gt=0, le=1)  # of a backdrop's colours, about their mean
    tint: Share = 0.7  # of a backdrop's colours near the hue of its scene family, as water is bluish
    objects: int = Field(9, ge=0)  # random things on every backdrop
    room: int = Field(1, ge=1)  # videos of a scene family that share one backdrop, as those of a UCF101 group do
    noise: float = Field(2.0, ge=0)  # sensor noise, standard deviation in 8-bit levels
    camera: float = Field(0.0, ge=0)  # camera drift, pixels a frame
    likeness: Share = 0.0  # 1: figure and background draw on the same colours
    placement: Literal["anywhere", "centre"] = "anywhere"
    clothes: Literal["alike", "varied", "by_action"] = "alike"
    alike: Share = 0.0  # how far figures share one posture and size; 1: only its motion tells a figure from another
    wander: Share = 0.0  # how far a figure goes about while it acts; 0: it keeps its place
    codec: Literal["mpeg4", "libx264", "ffv1"] = "mpeg4"
    source: StagedPart
    A: StagedPart
    B: StagedPart
    C: StagedPart


class StagedData(Config):
    kind: Literal["staged"] = "staged"
    part: Literal["source", "A", "B", "C"]
    world: StagedWorld
    short_side: int = 48


class VideoData(Config):
    """Videos on disk: `manifest` is the digest of the scan, so another set of files is another cell."""

    kind: Literal["ucf101", "hmdb51", "kinetics400", "diving48", "folder"]  # the layouts of fame/data/layouts
    manifest: str
    fold: int = Field(1, ge=1, le=3)
    decoder: str = "pyav"
    short_side: int | None = Field(128, ge=16)  # pixels, as stored; None: the files' own size
    codec: Literal["raw", "jpeg", "straight"] = later("raw")  # jpeg fits the large sets, and is not exact; straight stores nothing


Data = Annotated[StagedData | VideoData, Field(discriminator="kind")]


class Clip(Config):
    """A window of `frames` frames, `stride` apart, `size` pixels square; and what becomes of videos that it does not fit.

    Shorter than the window: `looped`, or `dropped` (left out of tests; fame/data/fitting.py). Larger than a test's centre crop: the
    short side is resized to `size`, or (resize False) the central `size` pixels are cut out of the frame as it is stored.
    """

    frames: int = Field(16, ge=2)
    stride: int = Field(2, ge=1)
    size: int = Field(112, ge=16)
    short: Literal["looped", "dropped"] = later("looped")
    resize: bool = later(True)

    @property
    def window(self) -> int:
        """Frames of a video that it spans."""
        return self.frames * self.stride


class Augment(Config):
    """The released code's visual augmentation; the same for all frames of a clip."""

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
    blur_once: bool = later(False)  # one sigma a process for all its clips, as in the released code, and not one a clip


MEAN, STD = Augment().mean, Augment().std  # of training, and of tests

# ---------------------------------------------------------------- method


class Merge(Config):
    """Foreground-background merging (paper, section 3). `None` in its place is the baseline, beta = 1.0."""

    variant: Variant | Control = "fame"
    beta: float = 0.5
    background: Background = "inter"
    views: Literal["single", "both"] = "single"
    flavour: Flavour = "paper"
    prior: float = 0.5  # P(F) in Bayes' rule; equal priors in the paper
    sampled: tuple[float, float] = (0.5, 0.1)  # shares of the frame behind P(x|F) and P(x|B)
    partners: Literal["others", "any"] | None = None  # whose backgrounds: a clip's own too? None: as the flavour has it
    reach: Reach = later("rank")  # inter and still, on several ranks: among which clips, the rank's own or the whole batch's

    _beta = field_validator("beta")(check_beta)
    _prior = field_validator("prior")(check_prior)
    _sampled = field_validator("sampled")(check_sampled)

    @model_validator(mode="after")
    def _reaches(self) -> Merge:
        if self.reach == "batch" and self.background == "intra":
            raise ValueError("reach = batch: an intra background is of the clip's own video, which its own rank reads")
        return self


class BackgroundErasing(Config):
    """BE: one random frame of the clip is added to every frame with a weight drawn from U(0, `weight`)."""

    weight: float = Field(0.3, ge=0, le=1)
    views: Literal["single", "both"] = "single"


BackboneName = Literal["r2plus1d_18", "r2plus1d_narrow", "r3d_18", "s3d", "i3d", "c3d"]


class Backbone(Config):
    name: BackboneName = "r2plus1d_18"
    width: int = Field(64, ge=4)  # of the narrow network's first stage; the others are as published


class MoCo(Config):
    dim: int = 128
    queue: int = 2048
    momentum: float = Field(0.999, ge=0, le=1)
    temperature: float = Field(0.1, gt=0)
    symmetric: bool = True
    # what the keys' batch norm uses. A key made in its query's own batch carries that batch's statistics, which tell it from the
    # queue's; the paper shuffles clips across devices, which one device cannot. ema: running statistics, averaged like the weights
    key_norm: Literal["batch", "ema"] = "batch"
    own_key: bool = True  # symmetric only: as in the released code, the second query's negatives hold a key of the same clip


class Optim(Config):
    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.01, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    momentum: float = 0.9  # SGD only
    batch: int = Field(64, ge=1)
    epochs: int = Field(200, ge=0)
    schedule: Literal["cosine", "step"] = "cosine"  # stepped per epoch
    milestones: tuple[int, ...] = ()  # epochs at which a step schedule divides by ten


# auto: bf16 where the processor has units for it; what came is recorded in the run. fp16: on a GPU only, losses scaled in training
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Sampling = Literal["once", "released"]  # fame/sampling.py


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
    sampling: Sampling = later("once")  # which videos each of several ranks sees in an epoch (kind moco)

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


# ---------------------------------------------------------------- evaluation


class Finetune(Config):
    """All weights trained on the target's train split; test: `clips` uniform clips, centre crop, outputs averaged."""

    stage: Literal["finetune"] = "finetune"
    version: int = 2
    data: Data
    clip: Clip = Clip()
    augment: Augment = Augment(blur=0.0)
    optim: Optim = Optim(lr=0.025, batch=128, epochs=150, schedule="step", milestones=(60, 120))
    dropout: float = 0.7
    clips: int = Field(10, ge=1)
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)
    # epochs between looks at the test split, from the first on; 0: it is not looked at. What is reported as top1 is the last epoch
    test_every: Annotated[int, Field(ge=0)] = later(0)
    accumulate: int = later(1)  # as in `Pretrain`

    @model_validator(mode="after")
    def _in_pieces(self) -> Finetune:
        check_pieces(self.accumulate, self.optim.batch)
        return self


class Probe(Config):
    """A linear classifier on frozen features. `sgd` is the paper's protocol; `lbfgs` solves the same problem to convergence.

    The last two fields are faults of the released code, to be asked for by name (studies/protocols.py).
    """

    stage: Literal["probe"] = "probe"
    version: int = 2
    data: Data
    clip: Clip = Clip()
    solver: Literal["sgd", "lbfgs"] = "sgd"
    augment: Augment = Augment(blur=0.0)  # of training clips, sgd only
    optim: Optim = Optim(lr=30.0, weight_decay=0.0, batch=128, epochs=100, schedule="step", milestones=(60, 80))
    l2: float = Field(1e-3, ge=0)  # lbfgs only, on standardised features
    clips: int = Field(10, ge=1)
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)
    normalised: bool = later(True)  # training clips by mean and std, as test clips always are
    unfrozen: tuple[BackboneName, ...] = later(())  # networks whose weights all train, at the head's learning rate; sgd only


class Retrieval(Config):
    """Nearest neighbours: `clips` features L2-normalised, averaged, centred per split, L2-normalised; cosine; train = gallery."""

    stage: Literal["retrieval"] = "retrieval"
    version: int = 1
    data: Data
    clip: Clip = Clip()
    clips: int = Field(10, ge=1)
    ranks: tuple[int, ...] = (1, 5, 10, 20, 50)
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)
    mean: tuple[float, float, float] = later(MEAN)
    std: tuple[float, float, float] = later(STD)


class Kernels(Config):
    """Figure 3: the temporal (1-D) kernels of the encoder, per layer."""

    stage: Literal["kernels"] = "kernels"
    version: int = 1


class Activation(Config):
    """Figure 1: class-agnostic activation maps on test videos, against the true figure where it is known."""

    stage: Literal["activation"] = "activation"
    version: int = 1
    data: Data
    clip: Clip = Clip()
    videos: int = Field(64, ge=1)
    examples: int = Field(6, ge=1)  # maps kept for the figure
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)


class Masks(Config):
    """Figure 4 and claim C11: foreground masks against the true figure; needs no encoder."""

    stage: Literal["masks"] = "masks"
    version: int = 2
    data: Data
    clip: Clip = Clip()
    betas: tuple[float, ...] = (0.3, 0.5, 0.7)
    flavours: tuple[Flavour, ...] = ("paper", "official")
    videos: int = Field(64, ge=1)
    examples: int = Field(6, ge=1)


Evaluation = Finetune | Probe | Retrieval | Kernels | Activation | Masks
StageConfig = Annotated[Pretrain | Evaluation, Field(discriminator="stage")]
