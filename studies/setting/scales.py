"""Declare as data how big a study is, and what it does with videos (docs/datasets.md); never a method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fame.config import Augment, Backbone, Clip, Data, MoCo, Optim, Precision, StagedData, StagedPart, StagedWorld
from studies.study import UNCHANGED, Changes

# whole-body actions, which a narrow network can tell apart in quick's steps (docs/notebook/benchmark-log.md)
ACTIONS = ("jump", "sidestep", "cartwheel", "bow", "flap", "kick", "squat", "raise")
STEPS = {"smoke": 2, "quick": 240, "mini": 2400}  # of a pretraining on real video
FINER_ACTIONS = ("wave", "clap", "raise", "flap", "knee", "march", "kick", "legs")  # target B: one limb or both
# of `mini` on real video, fixed beforehand, and of its headline: for a half-width of 3 points at the first six's spread
# (docs/rules.md). 10 to 15 were another network's (docs/results/real), those below are for trials
REAL_FIRST, REAL_REPLICATES, REAL_DECIDED = 16, 6, 11


@dataclass(frozen=True)
class Scale:
    """Sizes of one scale; `source_epochs` because the source is the larger set."""

    name: str
    note: str
    clip: Clip
    augment: Augment
    backbone: Backbone
    moco: MoCo
    pretrain: Optim
    source_epochs: int
    finetune: Optim
    dropout: float
    probe: Literal["sgd", "lbfgs"]  # solver
    clips: int  # uniform clips of a video in evaluations
    analysed: int  # videos in the analyses
    first: int = 0  # number of the first replicate
    replicates: int = 1  # how many, fixed before any of them is run
    decided_by: int = 0  # replicates of the headline, where it has more than the other studies
    headline: Changes = UNCHANGED  # schedule and tests of the headline, where they are its own
    spread: float = 0.0  # points: standard deviation of the headline over selection worlds (docs/benchmark.md)
    undecided: str = ""  # why its runs give no claim a verdict; "": they do
    selected: int = 5  # selection worlds, from SELECTION_REPLICATES on, of the study `selection`
    world: StagedWorld | None = None
    short_side: int = 128  # of stored real video
    precision: Precision = "auto"
    ranks: int = 1  # processes, one a device, that share a pretraining's batches
    accumulate: int = 1  # pieces of a pretraining's batch on each device
    compiled: bool = False  # networks of a pretraining by contrast
    probe_optim: Optim = field(
        default_factory=lambda: Optim(lr=30.0, weight_decay=0.0, batch=128, epochs=100, schedule="step", milestones=(60, 80))
    )


def world(train: int, source: int, small: int, test: int, val: int) -> StagedWorld:
    """The embedded benchmark (version 4: docs/benchmark.md) at one size; the parts differ in videos, actions and rho only."""
    common = {"val": val, "test": test}
    every = ("deranged", "neutral", "scene_only", "figure_only")
    return StagedWorld(
        version=4,
        frames=48,
        contrast=1.0,
        tint=1.0,
        objects=9,
        alike=0.0,
        room=4,
        source=StagedPart(train=source, rho=0.95, actions=ACTIONS, **common),
        A=StagedPart(train=train, rho=0.95, actions=ACTIONS, conditions=every, balanced=True, **common),
        B=StagedPart(train=small, rho=0.8, actions=FINER_ACTIONS, conditions=("deranged",), **common),
        C=StagedPart(train=small, rho=0.125, actions=ACTIONS, **common),
    )


# ends in 4 x 4 x 4 positions; with twice the blocks and one position it hardly tells clips apart (docs/notebook/benchmark-log.md)
SHALLOW = Backbone(name="r2plus1d_narrow", width=8, blocks=1, stem=16, space=(2, 1, 1), time=(1, 1, 2))

# softer colours than the released code's: at 32 pixels those leave the baseline nothing to learn from in few steps
STAGED_AUGMENT = Augment(area=(0.4, 1.0), blur=0.0, grayscale=0.1, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05)
ADAM = Optim(kind="adamw", lr=2e-3, weight_decay=1e-4, batch=32)

# keys by running statistics: with their own batch's, one device cannot but tell a query its key (docs/benchmark.md)
STAGED_MOCO = MoCo(dim=64, queue=128, momentum=0.99, temperature=0.1, key_norm="ema", symmetric=False)

QUICK = Scale(
    name="quick",
    note="Quick scale: a narrow network at 32 px on the embedded benchmark, a quarter of an hour on two cores.",
    undecided="that staged worlds order methods as real video does is shown for one of three real sets only (docs/findings.md)",
    clip=Clip(frames=8, stride=2, size=32),
    augment=STAGED_AUGMENT,
    backbone=SHALLOW,
    moco=STAGED_MOCO,
    pretrain=ADAM.model_copy(update={"lr": 1e-3, "epochs": 10}),
    source_epochs=7,
    finetune=ADAM.model_copy(update={"epochs": 6}),
    dropout=0.2,
    probe="lbfgs",
    clips=2,
    analysed=64,
    world=world(train=512, source=768, small=256, test=200, val=64),
    short_side=64,
    precision="fp32",  # bfloat16 gains nothing at this width, and equal numbers on every processor are worth more
    # by spread and time on selection worlds (docs/benchmark.md)
    decided_by=6,
    spread=1.2,
    headline=Changes.of(optim={"epochs_times": 3.2}, world={"A.test": 400, "A.conditions": ("deranged",)}),
)

SMOKE = replace(
    QUICK,
    name="smoke",
    decided_by=0,
    headline=UNCHANGED,
    note="Smoke scale: seconds a cell, for tests. Its numbers mean nothing.",
    undecided="smoke scale: its numbers mean nothing",
    clip=Clip(frames=4, stride=2, size=32),
    backbone=Backbone(name="r2plus1d_narrow", width=4),
    moco=MoCo(dim=32, queue=16, momentum=0.9, symmetric=False),
    pretrain=ADAM.model_copy(update={"batch": 8, "epochs": 2}),
    source_epochs=2,
    finetune=ADAM.model_copy(update={"batch": 8, "epochs": 1}),
    dropout=0.0,
    clips=1,
    analysed=8,
    world=world(train=16, source=16, small=16, test=8, val=8),
    short_side=48,
)

MINI = replace(
    QUICK,
    name="mini",
    note="Mini scale: the embedded benchmark with schedules long enough to learn motion.",
    pretrain=QUICK.pretrain.model_copy(update={"epochs": 128}),
    source_epochs=64,  # 2048 steps on either set
    finetune=ADAM.model_copy(update={"epochs": 20}),
    analysed=128,
    first=1,  # replicate 0 is the world of `quick`, which has been looked at
    decided_by=0,
    headline=UNCHANGED,
    replicates=8,  # from the headline's spread on selection worlds of version 3, as is the next line (docs/benchmark.md)
    spread=2.81,
    world=world(train=512, source=1024, small=256, test=400, val=64),
)

PAPER = Scale(
    name="paper",
    note="The paper's protocol on R(2+1)D-18 at 16 x 112 (the paper's ablations use I3D at 224).",
    clip=Clip(),
    augment=Augment(),
    backbone=Backbone(),
    moco=MoCo(),
    pretrain=Optim(),
    source_epochs=200,
    finetune=Optim(lr=0.025, batch=128, epochs=150, schedule="step", milestones=(60, 120)),
    dropout=0.7,
    probe="sgd",
    clips=10,
    analysed=512,
)


def on_real_video(scale: Scale, clips: int) -> Scale:
    """Return the scale for `clips` videos from disk: steps instead of epochs, batch and queue that so many clips can fill."""
    if scale.name == "paper":
        return scale
    smoke = scale.name == "smoke"
    batch = 8 if smoke else next((size for size in (32, 16, 8) if 3 * size <= clips), 4)
    queue = next((size for size in (256, 128, 64, 32) if 2 * size <= clips), 16)
    epochs = max(1, round(STEPS[scale.name] / max(1, clips // batch)))
    return replace(
        scale,
        undecided=scale.undecided if smoke else "",
        first=REAL_FIRST if scale.name == "mini" else 0,
        decided_by=REAL_DECIDED if scale.name == "mini" else 0,
        headline=UNCHANGED,
        replicates=REAL_REPLICATES if scale.name == "mini" else 1,
        note=f"{scale.name.capitalize()} scale on real videos: {epochs} epochs of {clips} clips, a narrow network, small crops. "
        "It is not the paper's protocol." + (" Its numbers mean nothing." if smoke else ""),
        clip=scale.clip.model_copy(update={"size": 32 if smoke else 64}),
        augment=Augment(area=(0.3, 1.0), blur=0.0),
        backbone=scale.backbone if smoke else SHALLOW.model_copy(update={"space": (2, 2, 1)}),
        moco=scale.moco.model_copy(update={"queue": 16 if smoke else queue}),
        pretrain=scale.pretrain.model_copy(update={"lr": 1e-3, "batch": batch, "epochs": epochs}),
        source_epochs=epochs,
        finetune=scale.finetune.model_copy(update={"batch": batch}),
        clips=1 if smoke else 4,
    )


SCALES = {scale.name: scale for scale in (SMOKE, QUICK, MINI, PAPER)}


def staged_sizes(data: Data) -> dict[str, int]:
    """Return the videos per split of a part of the embedded benchmark; of videos on disk nothing is known without a scan: empty."""
    if not isinstance(data, StagedData):
        return {}
    part = getattr(data.world, data.part)
    counts = {"train": part.train, "val": part.val, "test": part.test}
    if part.balanced:
        counts |= {"balanced": part.train, "val/balanced": part.val}
    return counts | {f"test/{condition}": part.test for condition in part.conditions}


Group = Literal["data", "clip", "augment", "merge"]
CODE, OURS = "released code", "our choice"


@dataclass(frozen=True)
class Choice:
    """A field (`group`.`field` of the configuration) at the value that a protocol gives it; `does` says what that means."""

    group: Group
    field: str
    value: Any
    does: str
    source: str


@dataclass(frozen=True)
class Protocol:
    """A named list of choices. `version` is raised with every change of the list."""

    name: str
    version: int
    about: str
    choices: tuple[Choice, ...] = ()

    def changes(self, group: Group) -> tuple[tuple[str, Any], ...]:
        return tuple((choice.field, choice.value) for choice in self.choices if choice.group == group)

    @property
    def said(self) -> str:
        """`protocol official, version 1`; "" for the default."""
        return "" if self == CORRECTED else f"protocol {self.name}, version {self.version}"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version}


CORRECTED = Protocol(
    name="corrected",
    version=1,
    about="Faults of the released code are mended, every video is used, and nothing is chosen on the test split.",
)

OFFICIAL = Protocol(
    name="official",
    version=1,
    about="What the released code does with videos, faults included. Numbers are for comparison with numbers made by that code.",
    choices=(
        Choice(
            "data", "short_side", None,
            "Frames are kept at the size of the files, and random crops are cut from them.",
            CODE,
        ),
        Choice(
            "clip", "resize", False,
            "A test crops the centre of the frame as it is: 112 pixels see about 16 % of 240 x 320.",
            CODE,
        ),
        Choice(
            "clip", "short", "dropped",
            "It is left out of tests, galleries, finetuning and probe; in pretraining the next video of the list stands in for it. "
            f"The stand-in's clips are drawn at random, and the last video's stand-in is the first ({OURS}).",
            CODE,
        ),
        Choice(
            "merge", "flavour", "official",
            "The hue's angle is scaled by 2 pi twice, and a clip may be its own background. Rows that name a flavour keep it.",
            CODE,
        ),
    ),
)  # fmt: skip

PROTOCOLS = {one.name: one for one in (CORRECTED, OFFICIAL)}
