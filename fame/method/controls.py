"""Give controls their masks and backgrounds, which are no method's (docs/rules.md).

true     the true figure, wherever it is in any frame of the clip, at its own area
dilated  the true figure grown to the share beta of the frame; a larger one stays whole
other    FAME's mask of another clip of the batch
blob     a random smooth shape of the share beta
empty      as inter, but another clip's scene without its true figure, filled from around it
elsewhere  as inpainted, but filled where FAME's mask of a third clip lies: as much is smooth, the figure mostly stays.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from fame.config import Background, Clip, Control, Merge, Scenery, Variant
from fame.data.clips import VideoSet
from fame.errors import FameError
from fame.method.inpainting import inpainted
from fame.method.masks import Bayes, kept_pixels, top_share
from fame.method.merging import ForegroundBackgroundMerge, random_cycle
from fame.method.shapes import check_clips
from fame.method.smoothing import gaussian_weights, smooth

CONTROLS = get_args(Control)
BLOB = 8  # a blob's scale, sigma, is the frame's shorter side over this


def merging_of(merge: Merge) -> ForegroundBackgroundMerge:
    """Return the merge that a configuration says; controls are given to its `forward`."""
    variant: Variant = "fame" if merge.variant in CONTROLS else merge.variant
    background: Background = "inter" if merge.background in get_args(Scenery) else merge.background  # type: ignore[assignment]
    bayes = {"prior": merge.prior, "sampled": merge.sampled}
    return ForegroundBackgroundMerge(merge.beta, variant, background, merge.flavour, partners=merge.partners, **bayes)  # type: ignore[arg-type]


class Controlled:
    """Give the masks and backgrounds of one control; for a method's own merge, and for none, nothing."""

    def __init__(self, merge: Merge | None, generator: torch.Generator) -> None:
        self.merge, self.generator = merge, generator
        self.needs_truth = merge is not None and merge.needs_truth

    def truth(self, videos: VideoSet, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor | None:
        """Return the figure in each stored frame, bool (B, T, H, W); None if it is not needed, FameError if it is not known."""
        if not self.needs_truth or self.merge is None:
            return None
        found = videos.true_masks(rows, starts, clip)
        if found is None:
            what = "background 'empty'" if self.merge.background == "empty" else f"mask {self.merge.variant!r}"
            lack = "needs the true figure, and these videos have no true masks: only the embedded benchmark has (--dataset staged)"
            raise FameError(f"{what} is a control that {lack}")
        return found

    def mask(self, clips: Tensor, truth: Tensor | None) -> Tensor | None:
        """Return bool (B, H, W) for clips float (B, 3, T, H, W) and the figure in any frame; None: the method's own mask."""
        merge = self.merge
        if merge is None or merge.variant not in CONTROLS:
            return None
        check_clips(clips, moving=True)
        height, width = clips.shape[-2:]
        count = max(1, int(merge.beta * height * width))
        if merge.variant == "other":
            return self._of_another(clips, merge)
        if merge.variant == "blob":
            return blobs(len(clips), height, width, count, self.generator).to(clips.device)
        assert truth is not None  # `truth` was asked for
        return truth if merge.variant == "true" else dilated(truth, count)

    def behind(self, clips: Tensor, truth: Tensor | None) -> Tensor | None:
        """Return what backgrounds are taken from, as `clips`; None: from the clips themselves, or where the merge says."""
        if self.merge is None or self.merge.background not in get_args(Scenery):
            return None
        check_clips(clips, moving=True)
        if self.merge.background == "elsewhere":
            return inpainted(clips, self._of_another(clips, self.merge) >= 0.5)
        assert truth is not None  # `truth` was asked for
        return inpainted(clips, truth)

    @torch.no_grad()
    def _of_another(self, clips: Tensor, merge: Merge) -> Tensor:
        """Return FAME's masks (B, H, W), each given to another clip."""
        masks = kept_pixels(clips, "fame", merge.beta, merge.flavour, bayes=Bayes(merge.prior, merge.sampled))
        return masks[random_cycle(len(clips), self.generator, clips.device)]


def dilated(figures: Tensor, count: int) -> Tensor:
    """Mark the `count` pixels nearest to each figure (if none, the centre), bool (B, H, W); a larger figure stays whole."""
    height, width = figures.shape[1:]
    seeds = figures.clone()
    seeds[:, height // 2, width // 2] |= ~figures.flatten(1).any(1)
    distance = np.stack([distance_transform_edt(~one) for one in seeds.cpu().numpy()])
    return top_share(-torch.from_numpy(distance).to(figures.device), count) | figures


def blobs(batch: int, height: int, width: int, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw shapes of exactly `count` pixels, bool (batch, height, width): the highest of a smooth random field."""
    sigma = min(height, width) / BLOB
    reach = int(3 * sigma) + 1  # with such a margin no place in the frame is likelier than another
    noise = torch.randn(batch, 1, height + 2 * reach, width + 2 * reach, generator=generator)
    field = smooth(noise, gaussian_weights(2 * reach + 1, sigma, noise.device))
    return top_share(field[:, 0, reach : reach + height, reach : reach + width].contiguous(), count)
