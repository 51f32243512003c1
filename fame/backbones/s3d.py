"""S3D (Xie et al., ECCV 2018): separable inception, torchvision's, with random weights."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.video import s3d

from fame.backbones.encoder import Encoder

# parts of torchvision's trunk between poolings: the stages that stand for layer1..layer4
STAGES = {"layer1": range(0, 4), "layer2": range(5, 7), "layer3": range(8, 13), "layer4": range(14, 16)}


class S3D(Encoder):
    """1024 features. torchvision's `features.*` are called `trunk.*` here, because `features` is a method of every encoder."""

    dim = 1024

    def __init__(self) -> None:
        super().__init__()
        self.trunk: nn.Sequential = s3d(weights=None).features

    def features(self, clips: Tensor) -> Tensor:
        last: Tensor = self.trunk(clips)
        return last

    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        """The (k, 1, 1) factors of the separable convolutions, by stage: (out, in, k) with k = 7 for the first and 3 elsewhere."""
        found: dict[str, list[Tensor]] = {}
        for layer, places in STAGES.items():
            parts = [part for place in places for part in self.trunk[place].modules() if isinstance(part, nn.Conv3d)]
            found[layer] = [part.weight.detach()[..., 0, 0] for part in parts if part.kernel_size[0] > 1]
        return found
