"""Every scientific choice, as frozen and validated models.

What stands here enters the identity of a cell (studies/setting/cell.py); what does not (paths, workers, device index, progress)
does not. Defaults are the paper's where the paper has one; a scale (studies/setting/scales.py) overrides them. A changed default or
a changed method needs a new `version` in its stage: tests pin golden ids and golden outputs.

data -> training -> evaluation; everybody else imports from here.
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
