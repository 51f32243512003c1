"""S3D (Xie et al., ECCV 2018): separable inception, torchvision's, with random weights."""

from __future__ import annotations

from torchvision.models.video import s3d

from fame.backbones.encoder import Encoder

# parts of torchvision's trunk between poolings
PLACES = {"layer1": range(0, 4), "layer2": range(5, 7), "layer3": range(8, 13), "layer4": range(14, 16)}
STAGES = {layer: tuple(f"trunk.{place}" for place in places) for layer, places in PLACES.items()}


class S3D(Encoder):
    """1024 features. torchvision's `features.*` are called `trunk.*` here, because `features` is a method of every encoder."""

    dim = 1024
    stages = STAGES

    def __init__(self) -> None:
        super().__init__()
        self.trunk = s3d(weights=None).features
