"""Foreground-background merging (paper, section 3.3; table 3) and background erasing, with which the paper compares (table 2).

    X_merge = X * M + Y * (1 - M)          merging: M the foreground mask of X, Y a clip to take the background from
    x'[t]   = (1 - w) * x[t] + w * x[k]    erasing: k one random frame of the same clip, w ~ U(0, weight_max)

Both come after crop and flip and before colour changes.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from fame.config import MASKS, Background, Flavour, Variant, check_beta, check_prior, check_sampled
from fame.method.bayes import PAPER, Bayes
from fame.method.inpainting import inpainted
from fame.method.masks import FLAVOURS, check_name, kept_pixels
from fame.method.shapes import check_clips, check_mask

Partners = Literal["others", "any"]
BACKGROUNDS, PARTNERS = get_args(Background), get_args(Partners)


class ForegroundBackgroundMerge(nn.Module):
    """Keep a clip's foreground and put another clip's background behind it.

    variant, beta, flavour, prior, sampled: the mask, as in `foreground_mask`. beta = 1.0 returns the clips as they are (the
    baseline); only gauss, which ignores beta, still merges.
    background, where Y comes from:
      inter  another clip of the batch, or the row of `sources` with the same number if they are given
      intra  the same row of `sources`: another clip of the same video
      still  as inter, but one random frame of Y stands still for all T
      inpainted  as inter, but without Y's own foreground (what its mask keeps), filled from around it; not in the paper
    partners: `others` never gives a clip its own background, `any` perhaps. None: `others` in flavour paper, `any` in official.
    """

    def __init__(
        self,
        beta: float = 0.5,
        variant: Variant = "fame",
        background: Background = "inter",
        flavour: Flavour = "paper",
        *,
        partners: Partners | None = None,
        prior: float = PAPER.prior,
        sampled: tuple[float, float] = PAPER.sampled,
    ) -> None:
        super().__init__()
        self.beta = check_beta(beta)
        self.bayes = Bayes(check_prior(prior), check_sampled(sampled))
        check_name("variant", variant, tuple(MASKS))
        check_name("background", background, BACKGROUNDS)
        check_name("flavour", flavour, FLAVOURS)
        self.partners: Partners = partners or ("others" if flavour == "paper" else "any")
        check_name("partners", self.partners, PARTNERS)
        self.variant, self.background, self.flavour = variant, background, flavour

    def forward(
        self,
        clips: Tensor,
        sources: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        mask: Tensor | None = None,
        behind: Tensor | None = None,
    ) -> Tensor:
        """Return merged clips, shape and type of `clips`: float (B, 3, T, H, W) in [0, 1].

        sources: clips of the same shape, taken row by row. behind: such clips, drawn from in place of `clips`.
        mask: (B, H, W), bool or in 0..1, in place of the clip's own. Raises ValueError for other shapes or values, for both sources
        and behind, and without sources for intra or a batch of one.
        """
        check_clips(clips, moving=True)
        for name, given in (("sources", sources), ("behind", behind)):
            if given is not None:
                check_clips(given, name)
                if given.shape != clips.shape:
                    raise ValueError(f"{name} {tuple(given.shape)} must have the shape of clips {tuple(clips.shape)}")
        if sources is not None and behind is not None:
            raise ValueError("backgrounds come from sources, row by row, or from rows of behind: give one of them")
        if mask is not None:
            check_mask(mask, clips)
        if mask is None and self.beta == 1.0 and self.variant != "gauss":
            return clips
        given = sources if behind is None else behind
        rows_from = clips if given is None else given.to(clips.dtype)
        mask = self._mask(clips) if mask is None else mask
        if self.background == "inpainted":
            rows_from = inpainted(rows_from, (mask if given is None else self._mask(rows_from)) >= 0.5)
        rows, frames = self._drawn(rows_from, sources is not None, generator)
        return merge(clips, rows_from, mask, rows, frames)

    @torch.no_grad()
    def _mask(self, clips: Tensor) -> Tensor:
        return kept_pixels(clips, self.variant, self.beta, self.flavour, bayes=self.bayes)

    def _drawn(self, clips: Tensor, given: bool, generator: torch.Generator | None) -> tuple[Tensor | None, Tensor | None]:
        """Draw which clip lies behind which, and which frame of it stands still, (B,) long each; None: its own number; it moves."""
        rows = frames = None
        if not given:
            if self.background == "intra":
                raise ValueError("background 'intra' needs sources: other clips of the same videos, in the same order")
            if len(clips) == 1:
                raise ValueError("a batch of 1 holds no other clip to take the background from: give sources")
            draw = random_cycle if self.partners == "others" else random_permutation
            rows = draw(len(clips), generator, clips.device)
        if self.background == "still":
            frames = _random_frames(clips, generator)
        return rows, frames


def merge(clips: Tensor, behind: Tensor, mask: Tensor, rows: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
    """Return X * M + Y * (1 - M), shape and type of `clips`; where the mask is 0 or 1, not a bit of X or Y changes.

    Y is behind[rows] (None: behind), of which frame `frames` stands still (None: it moves); behind has the type of clips and, with
    rows, any number of them; rows and frames are long (B,), in range. mask: (B, H, W), bool or in 0..1.
    """
    if frames is not None:
        rows = torch.arange(len(clips), device=clips.device) if rows is None else rows
        behind = behind[rows, :, frames][:, :, None]  # broadcast over T
    elif rows is not None:
        behind = behind.index_select(0, rows)
    # lerp is the formula in one pass, exact where the mask is 0 or 1
    return torch.lerp(behind, clips, mask[:, None, None].to(clips.dtype))


def erase_background(clips: Tensor, weight_max: float = 0.3, generator: torch.Generator | None = None) -> Tensor:
    """Erase backgrounds of clips, float (B, 3, T, H, W) in [0, 1], one weight a clip. ValueError unless 0 <= weight_max <= 1."""
    check_clips(clips, moving=True)
    if not 0 <= weight_max <= 1:
        raise ValueError(f"weight_max = {weight_max} is a share and lies in [0, 1]")
    chosen = _random_frames(clips, generator)
    weight = _moved(torch.rand(len(clips), generator=generator, device=_home(generator, clips.device)), clips.device)
    weight = weight.mul_(weight_max).to(clips.dtype).view(-1, 1, 1, 1, 1)
    still = clips[torch.arange(len(clips), device=clips.device), :, chosen][:, :, None]
    return torch.lerp(clips, still, weight)


def random_cycle(count: int, generator: torch.Generator | None = None, device: torch.device | str = "cpu") -> Tensor:
    """Return a permutation without fixed points, (count,) long, uniform over the (count - 1)! cyclic ones: no rejection needed."""
    order = random_permutation(count, generator, _home(generator, device))
    return _moved(torch.empty_like(order).scatter_(0, order, order.roll(-1)), device)


def random_permutation(count: int, generator: torch.Generator | None = None, device: torch.device | str = "cpu") -> Tensor:
    """Draw (count,) long where the generator lives, so that a CPU generator gives the same on every device."""
    return _moved(torch.randperm(count, generator=generator, device=_home(generator, device)), device)


def _random_frames(clips: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return the number of one frame of each clip, long (B,)."""
    home = _home(generator, clips.device)
    return _moved(torch.randint(clips.shape[2], (len(clips),), generator=generator, device=home), clips.device)


def _home(generator: torch.Generator | None, device: torch.device | str) -> torch.device | str:
    if generator is None:
        return device
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator, as torch.Generator().manual_seed(42) is, got {generator!r}")
    return generator.device


def _moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Move a tensor, from pinned memory to a GPU, so that the host does not wait for what the GPU has still to do."""
    if tensor.device.type == "cpu" and torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
