"""Call every compiled loop once (`python -m fame.fast.cpu`), so that its code lies on disk before workers want it.

A loop is compiled for the types it is called with, here the workers': one thread, 32-bit floats, 8-bit videos, the narrow network.
"""

from __future__ import annotations

from typing import get_args

import torch

from fame.backbones import build_encoder, fast_layout
from fame.config import MASKS, Augment, Backbone, Flavour
from fame.method.augment import centre_crop, colour_normalised
from fame.method.masks import foreground_mask
from fame.training.supervised import Classifier

CLIPS, FRAMES, SIDE = 6, 4, 32


def main() -> None:
    torch.set_num_threads(1)
    drawn = torch.Generator().manual_seed(0)
    clips = centre_crop(torch.randint(256, (CLIPS, FRAMES, SIDE, SIDE, 3), dtype=torch.uint8, generator=drawn), SIDE)
    for flavour in get_args(Flavour):
        for variant in MASKS:
            foreground_mask(clips, variant=variant, flavour=flavour)
    network(colour_normalised(clips, Augment(), drawn))


def network(clips: torch.Tensor) -> None:
    """Take a step of training, then a pass without gradients in each mode."""
    model = fast_layout(Classifier(build_encoder(Backbone(name="r2plus1d_narrow", width=4)), 2))
    model.train()
    model(clips).sum().backward()
    for training in (True, False):
        model.train(training)
        with torch.inference_mode():
            model(clips)


if __name__ == "__main__":
    main()
