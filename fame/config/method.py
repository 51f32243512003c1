"""The method: foreground-background merging (paper, section 3), background erasing in its place, and the contrast behind both."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fame.config.base import Config

Variant = Literal["fame", "seed", "grid", "gauss"]
Flavour = Literal["paper", "official"]
Control = Literal["true", "dilated", "other", "blob"]  # masks that are no method: controls of what a mask is worth
OF_TRUTH: tuple[Control, ...] = ("true", "dilated")  # controls that need to know the true figure
Background = Literal["inter", "intra", "still", "inpainted"]
# backgrounds that are no method's: as inter, without the other clip's figure, which must be known; or with as much filled elsewhere
Scenery = Literal["empty", "elsewhere"]


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


class Merge(Config):
    """Foreground-background merging (paper, section 3). `None` in its place is the baseline, beta = 1.0."""

    variant: Variant | Control = "fame"
    beta: float = 0.5
    background: Background | Scenery = "inter"
    views: Literal["single", "both"] = "single"
    flavour: Flavour = "paper"
    prior: float = 0.5  # P(F) in Bayes' rule; equal priors in the paper
    sampled: tuple[float, float] = (0.5, 0.1)  # shares of the frame behind P(x|F) and P(x|B)
    partners: Literal["others", "any"] | None = None  # whose backgrounds: a clip's own too? None: as the flavour has it

    _beta = field_validator("beta")(check_beta)
    _prior = field_validator("prior")(check_prior)
    _sampled = field_validator("sampled")(check_sampled)

    @property
    def needs_truth(self) -> bool:
        """Whether it is a control that must know the true figure, which real videos do not tell."""
        return self.variant in OF_TRUTH or self.background == "empty"


class BackgroundErasing(Config):
    """BE: one random frame of the clip is added to every frame with a weight drawn from U(0, `weight`)."""

    weight: float = Field(0.3, ge=0, le=1)
    views: Literal["single", "both"] = "single"


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
