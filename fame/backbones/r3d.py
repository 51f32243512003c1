"""R3D-18: a residual network of full 3 x 3 x 3 kernels, torchvision's, with random weights."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.video import r3d_18

from fame.backbones.encoder import LAYERS, ResidualEncoder


class R3D(ResidualEncoder):
    """512 features. Its kernels mix time and space."""

    kernels_note = "R3D's kernels are 3 x 3 x 3: these are their temporal profiles, each kernel averaged over its 3 x 3 positions"

    def __init__(self) -> None:
        super().__init__(r3d_18(weights=None))

    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        """Temporal profiles (out, in, 3) of the 3 x 3 x 3 kernels, see `kernels_note`; the 1 x 1 x 1 shortcuts are left out."""
        found: dict[str, list[Tensor]] = {}
        for layer in LAYERS:
            convolutions = [part for part in getattr(self, layer).modules() if isinstance(part, nn.Conv3d)]
            found[layer] = [part.weight.detach().mean((3, 4)) for part in convolutions if part.kernel_size[0] > 1]
        return found
