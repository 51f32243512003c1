"""Configure the method: foreground-background merging (paper, section 3), background erasing, and momentum contrast."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from fame.config.base import Config, later

Variant = str  # a name in MASKS
MASKS = {"gauss": "Gauss", "seed": "Seed", "grid": "Grid", "fame": "FAME"}  # by name the label in tables; plugins add theirs
PLUGGED: dict[str, str] = {}  # masks of plugins: the SHA-256 of the file that has each (fame/plugins.py)
Flavour = Literal["paper", "official"]
Control = Literal["true", "dilated", "other", "blob"]  # masks that are no method: controls of what a mask is worth
OF_TRUTH: tuple[Control, ...] = ("true", "dilated")  # controls that need to know the true figure
Background = Literal["inter", "intra", "still", "inpainted"]
# backgrounds that are no method's: as inter, without the other clip's figure, which must be known; or with as much filled elsewhere
Scenery = Literal["empty", "elsewhere"]


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
    # what the keys' batch norm uses. A key made in its query's own batch carries that batch's statistics, which tell it from the
    # queue's; the paper shuffles clips across devices, which one device cannot. ema: running statistics, averaged like the weights
    key_norm: Literal["batch", "ema"] = "batch"
    own_key: bool = True  # symmetric only: as in the released code, the second query's negatives hold a key of the same clip
