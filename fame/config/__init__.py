"""Every scientific choice, as frozen and validated models.

What stands here enters the identity of a cell (studies/setting/cell.py); what does not (paths, workers, device index, progress)
does not. Defaults are the paper's where the paper has one; a scale (studies/setting/scales.py) overrides them. A changed default or
a changed method needs a new `version` in its stage: tests pin golden ids and golden outputs.

base -> data, method -> training -> evaluation; everybody else imports from here.
"""

# ruff: noqa: F401

from __future__ import annotations

from fame.config.base import LATER, Config, Share, identified, later
from fame.config.data import Clip, Condition, Data, StagedData, StagedPart, StagedWorld, VideoData
from fame.config.evaluation import Activation, Evaluation, Finetune, Kernels, Masks, Probe, Retrieval, StageConfig
from fame.config.method import (
    MASKS,
    OF_TRUTH,
    PLUGGED,
    Background,
    BackgroundErasing,
    Control,
    Flavour,
    Merge,
    MoCo,
    Scenery,
    Variant,
    check_beta,
    check_prior,
    check_sampled,
)
from fame.config.training import (
    MEAN,
    OBJECTIVES,
    STD,
    Augment,
    Backbone,
    BackboneName,
    File,
    MoCoObjective,
    Objective,
    Optim,
    Precision,
    Pretrain,
    Random,
    Supervised,
    check_pieces,
)
