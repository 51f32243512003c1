"""Build I3D (Carreira & Zisserman, CVPR 2017): Inception-v1 with every square kernel inflated to a cube.

Padding is TensorFlow's `same`: output sizes are ceil(size / stride), and an odd zero stands after. The released code pads by
kernel - stride whatever the size; the two agree for 4n frames of 112 or 224 pixels.
Parameters bear the released checkpoints' names (`conv3d_1a_7x7.conv3d.weight`, `mixed_3b.branch_1.0.batch3d.bias`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from fame.backbones.encoder import Encoder

Size = tuple[int, int, int]

# channels of a block: of its input; branch 0; branch 1 reduced, spread; branch 2 reduced, spread; branch 3
MIXED = {
    "mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}
# parts between poolings that lie beyond the first convolutions
STAGES = {
    "layer1": ("conv3d_1a_7x7", "conv3d_2b_1x1", "conv3d_2c_3x3"),
    "layer2": ("mixed_3b", "mixed_3c"),
    "layer3": ("mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f"),
    "layer4": ("mixed_5b", "mixed_5c"),
}


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> list[int]:
    """What `functional.pad` is told, last axis first, so that windows give ceil(size / stride) outputs along each axis."""
    found: list[int] = []
    for length, window, step in reversed(list(zip(size, kernel, stride, strict=True))):
        missing = max((-(-length // step) - 1) * step + window - length, 0)
        found += [missing // 2, missing - missing // 2]
    return found


class SamePool(nn.Module):
    """Maximum over windows, padded as above. Zeros serve as padding: everything that is pooled has gone through a ReLU."""

    def __init__(self, kernel: Size, stride: Size):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C, ceil(T / stride), ...)."""
        if x.device.type == "cuda" and x.is_contiguous(memory_format=torch.channels_last_3d):
            return self.as_images(x)
        x = functional.pad(x, same_padding(x.shape[2:], self.kernel, self.stride))
        return functional.max_pool3d(x, self.kernel, self.stride)

    def as_images(self, x: Tensor) -> Tensor:
        """The same over the places of each frame, then over frames: channels last, a GPU pools images several times faster."""
        *around, before, after = same_padding(x.shape[2:], self.kernel, self.stride)
        places = functional.pad(x.transpose(1, 2).flatten(0, 1), around)
        places = functional.max_pool2d(places, self.kernel[1:], self.stride[1:]).unflatten(0, (len(x), x.shape[2])).transpose(1, 2)
        if self.kernel[0] == 1:
            return places
        sheets = functional.pad(places.flatten(3), [0, 0, before, after])
        return functional.max_pool2d(sheets, (self.kernel[0], 1), (self.stride[0], 1)).unflatten(3, places.shape[3:])


class Mixed(nn.Module):
    """An inception block: four branches side by side, their channels joined; time and space stay."""

    def __init__(self, given: int, alone: int, reduce1: int, spread1: int, reduce2: int, spread2: int, pooled: int):
        super().__init__()
        self.branch_0 = _unit(given, alone, 1)
        self.branch_1 = nn.Sequential(_unit(given, reduce1, 1), _unit(reduce1, spread1, 3))
        self.branch_2 = nn.Sequential(_unit(given, reduce2, 1), _unit(reduce2, spread2, 3))
        self.branch_3 = nn.Sequential(SamePool((3, 3, 3), (1, 1, 1)), _unit(given, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)], 1)


class I3D(Encoder):
    """1024 features; a clip of T frames of 224 pixels ends in a map of T/8 x 7 x 7."""

    dim = 1024
    stages = STAGES
    kernels_note = "I3D's kernels are 7 x 7 x 7 and 3 x 3 x 3: these are their temporal profiles, each averaged over its positions"

    def __init__(self) -> None:
        super().__init__()
        self.conv3d_1a_7x7 = _unit(3, 64, 7, stride=2)
        self.maxPool3d_2a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        self.conv3d_2b_1x1 = _unit(64, 64, 1)
        self.conv3d_2c_3x3 = _unit(64, 192, 3)
        self.maxPool3d_3a_3x3 = SamePool((1, 3, 3), (1, 2, 2))
        for name, channels in MIXED.items():
            if name == "mixed_4b":
                self.maxPool3d_4a_3x3 = SamePool((3, 3, 3), (2, 2, 2))
            elif name == "mixed_5b":
                self.maxPool3d_5a_2x2 = SamePool((2, 2, 2), (2, 2, 2))
            self.add_module(name, Mixed(*channels))

    def features(self, clips: Tensor) -> Tensor:
        return super().features(functional.pad(clips, same_padding(clips.shape[2:], (7, 7, 7), (2, 2, 2))))


def _unit(given: int, planes: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU. An odd kernel's `same` padding is symmetric at stride 1; at stride 2 the input is padded."""
    conv = nn.Conv3d(given, planes, kernel, stride, kernel // 2 if stride == 1 else 0, bias=False)
    return nn.Sequential(OrderedDict(conv3d=conv, batch3d=nn.BatchNorm3d(planes), relu=nn.ReLU(inplace=True)))
