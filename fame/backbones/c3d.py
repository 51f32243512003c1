"""C3D (Tran et al., ICCV 2015) as self-supervised work uses it: eight 3 x 3 x 3 convolutions with batch norm, average-pooled.

The original has no batch norm and ends in two wide linear layers, which fix the clip's size; without them it takes any clip of at
least 8 frames and 16 pixels. Convolutions have no bias: the batch norm behind each would take it out again.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from fame.backbones.encoder import Encoder

# name: channels in, channels out
CONVOLUTIONS = {
    "conv1": (3, 64),
    "conv2": (64, 128),
    "conv3a": (128, 256),
    "conv3b": (256, 256),
    "conv4a": (256, 512),
    "conv4b": (512, 512),
    "conv5a": (512, 512),
    "conv5b": (512, 512),
}
POOLED = ("conv1", "conv2", "conv3b", "conv4b")  # a maximum follows; the first one leaves time alone
STAGES = {
    "layer1": ("conv1", "conv2"),
    "layer2": ("conv3a", "conv3b"),
    "layer3": ("conv4a", "conv4b"),
    "layer4": ("conv5a", "conv5b"),
}


class C3D(Encoder):
    """512 features; a clip of T frames of 112 pixels ends in a map of T/8 x 7 x 7."""

    dim = 512
    stages = STAGES
    kernels_note = "C3D's kernels are 3 x 3 x 3: these are their temporal profiles, each kernel averaged over its 3 x 3 positions"

    def __init__(self) -> None:
        super().__init__()
        for name, (given, planes) in CONVOLUTIONS.items():
            conv = nn.Conv3d(given, planes, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's networks here
            self.add_module(name, nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm3d(planes), relu=nn.ReLU(inplace=True))))
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.pool2 = nn.MaxPool3d(2)

    def features(self, clips: Tensor) -> Tensor:
        x = clips
        for name in CONVOLUTIONS:
            x = self.get_submodule(name)(x)
            if name in POOLED:
                x = self.pool1(x) if name == "conv1" else self.pool2(x)
        return x
