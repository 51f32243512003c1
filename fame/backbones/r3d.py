"""R3D-18: a residual network of full 3 x 3 x 3 kernels, torchvision's, with random weights."""

from __future__ import annotations

from torchvision.models.video import r3d_18

from fame.backbones.encoder import ResidualEncoder


class R3D(ResidualEncoder):
    """512 features. Its kernels mix time and space."""

    kernels_note = "R3D's kernels are 3 x 3 x 3: these are their temporal profiles, each kernel averaged over its 3 x 3 positions"

    def __init__(self) -> None:
        super().__init__(r3d_18(weights=None))
