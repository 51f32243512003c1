"""Build R(2+1)D-18 (Tran et al., CVPR 2018) and R3D-18 without their head, with torchvision's names and random weights.

The narrow R(2+1)D, with a stem of stride 4 instead of 2, sees 32-pixel clips as the published one sees 64-pixel clips.
"""

from __future__ import annotations

from torch import nn
from torchvision.models.video import r2plus1d_18, r3d_18
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D

from fame.backbones.encoder import Encoder
from fame.config import Backbone

LAYERS = ("layer1", "layer2", "layer3", "layer4")
STAGES = {layer: (layer,) for layer in LAYERS}
VECTOR = 16  # 32-bit numbers


class ResidualEncoder(Encoder):
    """A stem and four layers, 512 features; a clip of T frames of 112 pixels ends in a map of T/8 x 7 x 7."""

    dim = 512
    stages = STAGES

    def __init__(self, published: nn.Module):
        super().__init__()
        self.stem: nn.Module = published.get_submodule("stem")
        for layer in LAYERS:
            self.add_module(layer, published.get_submodule(layer))


class R3D(ResidualEncoder):
    kernels_note = "R3D's kernels are 3 x 3 x 3: these are their temporal profiles, each kernel averaged over its 3 x 3 positions"

    def __init__(self) -> None:
        super().__init__(r3d_18(weights=None))


class R2Plus1D(ResidualEncoder):
    def __init__(self) -> None:
        super().__init__(r2plus1d_18(weights=None))


class NarrowR2Plus1D(R2Plus1D):
    """The same with `width`, 2, 4 and 8 `width` channels (64 is the published width); features have 8 `width` dimensions.

    A small clip ends in few positions: 8 frames of 32 pixels in 1 x 1 x 1, where the published network keeps 2 x 7 x 7. Other
    strides keep more.
    """

    def __init__(self, backbone: Backbone):
        Encoder.__init__(self)
        width, blocks = backbone.width, backbone.blocks
        self.dim = 8 * width
        self.stem = _stem(width, backbone.stem or max(4, 45 * width // 64))
        self.layer1 = _layer(width, width, blocks)
        strides = zip(backbone.time, backbone.space, strict=True)
        for index, stride in enumerate(strides):
            self.add_module(LAYERS[index + 1], _layer(width << index, width << (index + 1), blocks, stride))
        _initialise(self)


class Factors(Conv2Plus1D):
    """torchvision's pair with its middle channels (which match a 3 x 3 x 3 kernel's number of weights) rounded to vectors.

    `stride` is that of both, or (along time, along a side).
    """

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int | tuple[int, int] = 1, padding: int = 1):
        super().__init__(in_planes, out_planes, max(1, round(midplanes / VECTOR)) * VECTOR, 1, padding)
        time, side = (stride, stride) if isinstance(stride, int) else stride
        self[0].stride, self[3].stride = (1, side, side), (time, 1, 1)


def _stem(width: int, middle: int) -> nn.Sequential:
    """The published stem with other channels, and spatial stride 4."""
    return nn.Sequential(
        nn.Conv3d(3, middle, (1, 7, 7), stride=(1, 4, 4), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(inplace=True),
        nn.Conv3d(middle, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


def _layer(given: int, planes: int, blocks: int, stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """Residual blocks; the first one divides time and sides by `stride`."""
    shortcut = None
    if given != planes:
        time, side = stride
        shortcut = nn.Sequential(nn.Conv3d(given, planes, 1, (time, side, side), bias=False), nn.BatchNorm3d(planes))
    first = BasicBlock(given, planes, Factors, stride, shortcut)  # type: ignore[arg-type]
    return nn.Sequential(first, *(BasicBlock(planes, planes, Factors) for _ in range(blocks - 1)))


def _initialise(network: nn.Module) -> None:
    """Initialise as torchvision does with `zero_init_residual`: without those zeros a narrow network scatters clips at random."""
    for part in network.modules():
        if isinstance(part, nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(part, BasicBlock):
            nn.init.zeros_(part.conv2[1].weight)
