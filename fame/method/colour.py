"""Colour changes of whole clips, as in the released code: what is drawn, and what it does to pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fame.config import Augment
from fame.method.smoothing import blur_kernel, gaussian_weights, smooth

LUMA = (0.299, 0.587, 0.114)
ORDERS = 4  # of jitter steps in one batch: few groups of clips, so few calls


class Colours(NamedTuple):
    """What was drawn for B clips; on the CPU."""

    grey: Tensor  # bool (B,)
    group: Tensor  # long (B,): which of the orders, or -1 without jitter
    orders: Tensor  # long (ORDERS, 4): places in JITTER, in the order in which they are applied
    amounts: Tensor  # float (B, 4): three factors and the hue's turn, as JITTER lists them
    blurred: Tensor  # bool (B,)
    sigma: Tensor  # float (B,): of the blur, pixels


def draw_colours(clips: int, augment: Augment, generator: torch.Generator | None = None) -> Colours:
    """Nine numbers a clip and four orders a batch, whatever the probabilities and strengths are."""
    draws, ranks = rand((clips, 9), generator), rand((ORDERS, len(JITTER)), generator)
    strengths = torch.tensor([augment.brightness, augment.contrast, augment.saturation])
    lowest = (1 - strengths).clamp_(min=0)
    factors = lowest + (1 + strengths - lowest) * draws[:, 3:6]
    turns = augment.hue * (2 * draws[:, 6:7] - 1)
    least, most = augment.blur_sigma
    return Colours(
        grey=draws[:, 0] < augment.grayscale,
        group=torch.where(draws[:, 1] < augment.jitter, (draws[:, 8] * ORDERS).long(), -1),
        orders=ranks.argsort(dim=1, stable=True),
        amounts=torch.cat([factors, turns], 1),
        blurred=draws[:, 2] < augment.blur,
        sigma=least + (most - least) * draws[:, 7],
    )


def recolour(clips: Tensor, drawn: Colours) -> Tensor:
    """Apply grayscale, then jitter, then blur, where they were drawn; float (B, 3, T, H, W) in [0, 1], in place.

    Indices are found on the CPU and copied without waiting for the device.
    """

    def there(values: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return values.to(clips.device, dtype, non_blocking=True)

    grey = drawn.grey.nonzero()[:, 0]
    if len(grey):
        rows = there(grey)
        clips[rows] = luma(clips[rows]).expand(-1, 3, -1, -1, -1)
    for i, order in enumerate(drawn.orders.tolist()):
        chosen = (drawn.group == i).nonzero()[:, 0]
        if len(chosen):
            rows, amounts = there(chosen), there(drawn.amounts[chosen], clips.dtype)
            part = clips[rows]
            for step in order:
                part = JITTER[step](part, amounts[:, step].view(-1, 1, 1, 1, 1))
            clips[rows] = part
    kernel = blur_kernel(min(clips.shape[-2:]))
    blurred = drawn.blurred.nonzero()[:, 0]
    if kernel > 1 and len(blurred):
        weights = there(gaussian_weights(kernel, drawn.sigma[blurred].view(-1, 1, 1, 1), drawn.sigma.device), clips.dtype)
        rows = there(blurred)
        clips[rows] = smooth(clips[rows].flatten(1, 2), weights).view(-1, *clips.shape[1:])
    return clips


def luma(clips: Tensor) -> Tensor:
    """(B, 3, T, H, W) -> (B, 1, T, H, W), ITU-R BT.601 weights."""
    red, green, blue = clips.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])[:, None]


def brightness(clips: Tensor, factor: Tensor) -> Tensor:
    return (clips * factor).clamp_(0, 1)


def contrast(clips: Tensor, factor: Tensor) -> Tensor:
    mean = luma(clips.mean((2, 3, 4), keepdim=True))
    return torch.addcmul(mean * (1 - factor), clips, factor).clamp_(0, 1)


def saturation(clips: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(luma(clips), clips, factor).clamp_(0, 1)


def hue(clips: Tensor, turns: Tensor) -> Tensor:
    """Hue turned by `turns` (B, 1, 1, 1, 1); saturation and value of HSV are kept, exactly, without going there and back.

    With channels scaled to r, g, b in 0..1 (least 0, greatest 1), the hue in sixths of a turn is +-(1 + g + b - r), the sign that
    of g - b; and r = |h - 3| - 1, g = 2 - |h - 2|, b = 2 - |h - 4|, each cut to 0..1, for h in 0..6.
    """
    red, green, blue = clips.unbind(1)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue).sub_(least)
    sixths = (green + blue).sub_(red).sub_(least).div_(chroma.clamp(min=1e-12)).add_(1)  # grey: chroma 0 makes any hue right
    sixths = torch.copysign(sixths, green - blue).add_(6 * turns[:, 0])
    sixths.sub_((sixths / 6).floor_().mul_(6))
    out = torch.stack([(sixths - 3).abs_().sub_(1), (sixths - 2).abs_().neg_().add_(2), (sixths - 4).abs_().neg_().add_(2)], 1)
    return out.clamp_(0, 1).mul_(chroma[:, None]).add_(least[:, None])


JITTER = (brightness, contrast, saturation, hue)


def rand(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Uniform in [0, 1) from `generator` (None: torch's global one), on the CPU wherever the generator is."""
    drawn = torch.rand(shape, generator=generator, device="cpu" if generator is None else generator.device)
    return drawn if drawn.device.type == "cpu" else drawn.cpu()
