"""Define every scientific choice, as frozen and validated models; defaults are the paper's where the paper has one.

What stands here enters the identity of a cell. A changed default or a changed method needs a new `version` in its stage.
"""

# ruff: noqa: F401

from __future__ import annotations

from fame.config.data import (
    LATER,
    Clip,
    Condition,
    Config,
    Data,
    Share,
    StagedData,
    StagedPart,
    StagedWorld,
    VideoData,
    identified,
    later,
)
from fame.config.evaluation import Activation, Evaluation, Finetune, Kernels, Masks, Probe, Retrieval, StageConfig
from fame.config.training import (
    MASKS,
    MEAN,
    OBJECTIVES,
    OF_TRUTH,
    PLUGGED,
    STD,
    Augment,
    Backbone,
    BackboneName,
    Background,
    BackgroundErasing,
    Control,
    File,
    Flavour,
    Merge,
    MoCo,
    MoCoObjective,
    Objective,
    Optim,
    Precision,
    Pretrain,
    Random,
    Scenery,
    Supervised,
    Variant,
    check_beta,
    check_pieces,
    check_prior,
    check_sampled,
)
