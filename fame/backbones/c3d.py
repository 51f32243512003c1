"""Build C3D (Tran et al., ICCV 2015) as self-supervised work does: with batch norm, average-pooled.

Without the original's two linear layers it takes any clip of at least 8 frames and 16 pixels.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from fame.backbones.encoder import Encoder

NAMES = ("conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")
CHANNELS = (3, 64, 128, 256, 256, 512, 512, 512, 512)
POOLED = ("conv1", "conv2", "conv3b", "conv4b")  # a maximum follows; the first one leaves time alone
STAGES = {"layer1": NAMES[:2], "layer2": NAMES[2:4], "layer3": NAMES[4:6], "layer4": NAMES[6:]}


class C3D(Encoder):
    """512 features; a clip of T frames of 112 pixels ends in a map of T/8 x 7 x 7."""

    dim = 512
    stages = STAGES
    kernels_note = "C3D's kernels are 3 x 3 x 3: these are their temporal profiles, each kernel averaged over its 3 x 3 positions"

    def __init__(self) -> None:
        super().__init__()
        for name, given, planes in zip(NAMES, CHANNELS[:-1], CHANNELS[1:], strict=True):
            conv = nn.Conv3d(given, planes, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's networks here
            self.add_module(
                name,
                nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm3d(planes), relu=nn.ReLU(inplace=True))),
            )
            if name in POOLED:
                self.add_module(f"pool_{name}", nn.MaxPool3d((1, 2, 2) if name == "conv1" else 2))
