"""Configure the stages after pretraining: evaluations of an encoder, or of the masks alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fame.config.data import Clip, Config, Data, later
from fame.config.training import MASKS, PLUGGED, Augment, Flavour, Optim, Precision, Pretrain


class Finetune(Config):
    """Configure finetuning: all weights train on the target's train split. Tests average the outputs of `clips` uniform clips."""

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


class Probe(Config):
    """Configure a linear classifier on frozen features: by `sgd`, as in the paper, or by `lbfgs`, solved to convergence."""

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
    reads: Literal["encoder", "mean_frame", "frame_difference", "file_facts"] = later("encoder")  # fame/evaluation/floors.py


class Retrieval(Config):
    """Configure retrieval by cosine. A video's `clips` features: L2-normalised, averaged, centred per split, L2-normalised."""

    stage: Literal["retrieval"] = "retrieval"
    version: int = 1
    data: Data
    clip: Clip = Clip()
    clips: int = Field(10, ge=1)
    ranks: tuple[int, ...] = (1, 5, 10, 20, 50)  # the k of R@k
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)
    queries: Literal["test", "val"] = later("test")  # val: validation videos alone, as a search may look at no others


class Kernels(Config):
    """Configure figure 3: the temporal (1-D) kernels of the encoder, per layer."""

    stage: Literal["kernels"] = "kernels"
    version: int = 1


class Activation(Config):
    """Configure figure 1: class-agnostic activation maps on test videos, against the true figure where it is known."""

    stage: Literal["activation"] = "activation"
    version: int = 1
    data: Data
    clip: Clip = Clip()
    videos: int = Field(64, ge=1)
    examples: int = Field(6, ge=1)  # maps kept for the figure
    precision: Precision = "auto"
    threads: int = Field(1, ge=1)


class Masks(Config):
    """Configure figure 4 and claim C11: foreground masks against the true figure; needs no encoder."""

    stage: Literal["masks"] = "masks"
    version: int = 3
    data: Data
    clip: Clip = Clip()
    betas: tuple[float, ...] = (0.3, 0.5, 0.7)
    flavours: tuple[Flavour, ...] = ("paper", "official")
    variants: tuple[str, ...] = tuple(MASKS)
    videos: int = Field(64, ge=1)
    examples: int = Field(6, ge=1)
    plugins: tuple[str, ...] = later(())  # SHA-256 of the files behind plugins' masks among the variants; filled in

    @model_validator(mode="before")
    @classmethod
    def _of_plugins(cls, value: Any) -> Any:
        files = tuple(PLUGGED[name] for name in value.get("variants", ()) if name in PLUGGED) if isinstance(value, dict) else ()
        return {"plugins": files, **value} if files else value


Evaluation = Finetune | Probe | Retrieval | Kernels | Activation | Masks
StageConfig = Annotated[Pretrain | Evaluation, Field(discriminator="stage")]
