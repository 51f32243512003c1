"""What every network of this project can do; the rest of the code knows no more of an architecture than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from fame.backbones.keys import Loaded


class Encoder(nn.Module, ABC):
    """Normalised clips (B, 3, T, H, W) to pooled features (B, `dim`).

    `kernels_note` says what `temporal_kernels` returns where an architecture has no purely temporal kernels; empty where it has.
    `loaded` says where the weights came from, which keys of the file were used and which were left; None where it was no file.
    """

    dim: int
    kernels_note: str = ""
    loaded: Loaded | None = None

    def forward(self, clips: Tensor) -> Tensor:
        """Features (B, dim): the last map averaged over time and space."""
        # torch's own bfloat16 gradients of temporal kernels are wrong on some CPUs (up to all zeros), so there it is 32 bits
        with torch.autocast("cpu", enabled=False) if clips.device.type == "cpu" else nullcontext():
            return self.features(clips).mean((2, 3, 4))

    @abstractmethod
    def features(self, clips: Tensor) -> Tensor:
        """The last map (B, dim, t, h, w), after its ReLU, so never negative."""

    @abstractmethod
    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        """Per layer, `layer1` (near the input) to `layer4`, the kernels along time: tensors (out, in, k), detached."""


LAYERS = ("layer1", "layer2", "layer3", "layer4")


class ResidualEncoder(Encoder):
    """torchvision's video residual networks without their head: a stem and four layers, under its names."""

    dim = 512

    def __init__(self, published: nn.Module):
        super().__init__()
        self.stem: nn.Module = published.get_submodule("stem")
        self.layer1, self.layer2 = published.get_submodule("layer1"), published.get_submodule("layer2")
        self.layer3, self.layer4 = published.get_submodule("layer3"), published.get_submodule("layer4")

    def features(self, clips: Tensor) -> Tensor:
        x: Tensor = self.stem(clips)
        for layer in LAYERS:
            x = getattr(self, layer)(x)
        return x
