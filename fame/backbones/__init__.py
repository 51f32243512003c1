"""Networks that turn clips into features, one architecture a file: R(2+1)D-18 and its narrow form, R3D-18, S3D, I3D, C3D."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torchvision.models.video.resnet import BasicBlock

from fame.backbones.c3d import C3D
from fame.backbones.chain import Block, Chain, paired
from fame.backbones.encoder import Encoder
from fame.backbones.i3d import I3D
from fame.backbones.resnet import R3D, NarrowR2Plus1D, R2Plus1D
from fame.backbones.s3d import S3D
from fame.config import Backbone

Module = TypeVar("Module", bound=nn.Module)
PUBLISHED: dict[str, type[R2Plus1D | R3D | S3D | I3D | C3D]] = {
    "r2plus1d_18": R2Plus1D,
    "r3d_18": R3D,
    "s3d": S3D,
    "i3d": I3D,
    "c3d": C3D,
}


def build_encoder(backbone: Backbone, seed: int = 0) -> Encoder:
    """A network with random weights, which are a function of `backbone` and `seed` alone; torch's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if backbone.name == "r2plus1d_narrow":
            return NarrowR2Plus1D(backbone)
        return PUBLISHED[backbone.name]()


def fast_layout(module: Module) -> Module:
    """Make `module` train faster, in place, by channels-last kernels and fused units (chain.py); parameters keep their names."""
    for part in module.modules():
        if isinstance(part, nn.Conv3d):
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last_3d)
        elif type(part).forward is nn.Sequential.forward and paired(part):
            part.__class__ = Chain
    for part in module.modules():
        if type(part).forward is BasicBlock.forward and isinstance(part.conv1, Chain) and isinstance(part.conv2, Chain):
            part.__class__ = Block
    return module
