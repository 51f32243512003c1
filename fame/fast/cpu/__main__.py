"""`python -m fame.fast.cpu`: every compiled loop called once, so that its code lies on disk before workers want it.

A loop is compiled for the types it is called with. Hence the calls are those of the training core, by its public functions, in the
form that workers use: one thread, 32-bit floats, 8-bit videos, the narrow network. Left out is what only other forms need; it is
compiled on its first use. Half a minute of one core on a new machine, some seconds where all is there; nothing is printed.
"""

from __future__ import annotations

from typing import get_args

import torch

from fame.backbones import build_encoder, fast_layout
from fame.config import MASKS, Augment, Backbone, Background, Flavour
from fame.method.augment import centre_crop, colour_normalised, random_crops
from fame.method.masks import foreground_mask
from fame.method.merging import ForegroundBackgroundMerge
from fame.training import precision
from fame.training.supervised import Classifier

FRAMES, SIDE, STORED = 4, 32, 48
CLIPS = 6  # enough that crops of the stored size, flips and every colour change occur
AUGMENT = Augment(area=(0.4, 1.0), blur=0.5)


def main() -> None:
    """Call all of it."""
    precision.set_threads(1)
    drawn = torch.Generator().manual_seed(0)
    clips = crops(drawn)
    augmented = colour_normalised(clips.clone(), AUGMENT, drawn, inplace=True)
    colour_normalised(clips, AUGMENT.model_copy(update={"blur": 0.0}), drawn)
    masks_and_merging(clips, drawn)
    network(augmented)


def crops(drawn: torch.Generator) -> torch.Tensor:
    """Crops float (CLIPS, 3, FRAMES, SIDE, SIDE), after crops of videos of one size, of differing sizes, and of tests."""
    videos = torch.randint(0, 256, (CLIPS, FRAMES, STORED, STORED, 3), dtype=torch.uint8, generator=drawn)
    uneven = [video[:, : STORED - index].contiguous() for index, video in enumerate(videos)]
    for kept in (videos, uneven):
        random_crops(kept, SIDE, AUGMENT, drawn)
        centre_crop(kept, SIDE)
    return random_crops(videos, SIDE, AUGMENT, drawn)


def masks_and_merging(clips: torch.Tensor, drawn: torch.Generator) -> None:
    """Every mask, hard and soft, and every place that a background can come from."""
    for flavour in get_args(Flavour):
        for variant in MASKS:
            foreground_mask(clips, variant=variant, flavour=flavour)
    for background in get_args(Background):
        sources = clips.flip(0) if background == "intra" else None
        for variant in MASKS:
            ForegroundBackgroundMerge(0.5, variant, background)(clips, sources, drawn)


def network(clips: torch.Tensor) -> None:
    """A step of training, a pass for keys, which is of the training form without gradients, and a pass of evaluation."""
    model = fast_layout(Classifier(build_encoder(Backbone(name="r2plus1d_narrow", width=4)), 2))
    model.train()
    model(clips).sum().backward()
    for training in (True, False):
        model.train(training)
        with torch.inference_mode():
            model(clips)


if __name__ == "__main__":
    main()
