"""What every network of this project can do; the rest of the code knows no more of an architecture than this."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from fame.backbones.keys import Loaded


class Encoder(nn.Module):
    """Map normalised clips (B, 3, T, H, W) to pooled features (B, `dim`), by its parts one after another.

    `stages` are the parts that stand for each layer of figure 3, `layer1` (near the input) to `layer4`.
    """

    dim: int
    stages: Mapping[str, tuple[str, ...]]
    kernels_note: str = ""
    loaded: Loaded | None = None

    def forward(self, clips: Tensor) -> Tensor:
        # torch's own bfloat16 gradients of temporal kernels are wrong on some CPUs (up to all zeros), so there it is 32 bits
        with torch.autocast("cpu", enabled=False) if clips.device.type == "cpu" else nullcontext():
            return self.features(clips).mean((2, 3, 4))

    def features(self, clips: Tensor) -> Tensor:
        """The last map (B, dim, t, h, w), after its ReLU, so never negative."""
        for part in self.children():
            clips = part(clips)
        return clips

    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        """Return the kernels along time by layer: tensors (out, in, k), detached, averaged over their places in a frame."""
        found: dict[str, list[Tensor]] = {}
        for layer, places in self.stages.items():
            parts = [part for place in places for part in self.get_submodule(place).modules() if isinstance(part, nn.Conv3d)]
            found[layer] = [part.weight.detach().mean((3, 4)) for part in parts if part.kernel_size[0] > 1]
        return found
