"""Change the colours of whole clips, as in the released code: what is drawn, and its effect on pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from fame.config import Augment
from fame.fast import choose
from fame.method.smoothing import blur_kernel, gaussian_weights, smooth

LUMA = (0.299, 0.587, 0.114)
ORDERS = 4  # of jitter steps in one batch: few groups of clips, so few calls


class Colours(NamedTuple):
    """Hold what was drawn for B clips; on the CPU."""

    grey: Tensor  # bool (B,)
    group: Tensor  # long (B,): which of the orders, or -1 without jitter
    orders: Tensor  # long (ORDERS, 4): places in JITTER, in the order in which they are applied
    amounts: Tensor  # float (B, 4): three factors and the hue's turn, as JITTER lists them
    blurred: Tensor  # bool (B,)
    sigma: Tensor  # float (B,): of the blur, pixels


def draw_colours(clips: int, augment: Augment, generator: torch.Generator | None = None) -> Colours:
    """Draw nine numbers a clip and four orders a batch, whatever the probabilities and strengths are."""
    draws = rand((clips, 9), generator)
    orders = rand((ORDERS, len(JITTER)), generator).argsort(dim=1, stable=True)
    strengths = torch.tensor([augment.brightness, augment.contrast, augment.saturation])
    lowest = (1 - strengths).clamp(min=0)
    factors = lowest + (1 + strengths - lowest) * draws[:, 3:6]
    turns = augment.hue * (2 * draws[:, 6:7] - 1)
    least, most = augment.blur_sigma
    return Colours(
        grey=draws[:, 0] < augment.grayscale,
        group=torch.where(draws[:, 1] < augment.jitter, (draws[:, 8] * ORDERS).long(), -1),
        orders=orders,
        amounts=torch.cat([factors, turns], 1),
        blurred=draws[:, 2] < augment.blur,
        sigma=least + (most - least) * draws[:, 7],
    )


def recolour(clips: Tensor, drawn: Colours) -> Tensor:
    """Apply grayscale, then jitter, then blur, where they were drawn; float (B, 3, T, H, W) in [0, 1], a new tensor."""

    def there(values: Tensor) -> Tensor:
        return values.to(clips.device, clips.dtype if values.is_floating_point() else None, non_blocking=True)

    def each(clips: Tensor, groups: Tensor, change: Callable[[Tensor, int, Tensor], Tensor]) -> Tensor:
        """Hand each group's clips to `change`, with its number and its rows; groups long (B,)."""
        parts = []
        for group in groups.unique().tolist():
            rows = (groups == group).nonzero()[:, 0]
            parts.append(change(clips.index_select(0, there(rows)), group, rows))
        return torch.cat(parts).index_select(0, there(groups.argsort(stable=True).argsort()))

    def jittered(part: Tensor, group: int, rows: Tensor) -> Tensor:
        amounts = there(drawn.amounts[rows])
        for step in drawn.orders[group].tolist() if group >= 0 else ():
            part = JITTER[step](part, amounts[:, step].view(-1, 1, 1, 1, 1))
        return part

    def smoothed(part: Tensor, blurred: int, rows: Tensor) -> Tensor:
        if not blurred:
            return part
        weights = gaussian_weights(kernel, drawn.sigma[rows].view(-1, 1, 1, 1), drawn.sigma.device)
        return smooth(part.flatten(1, 2), there(weights)).view_as(part)

    kernel = blur_kernel(min(clips.shape[-2:]))
    needs_gradient = clips.requires_grad and torch.is_grad_enabled()
    if clips.dtype == torch.float32 and not needs_gradient and (fast := choose("jitter", clips)):
        out = fast(clips, drawn, LUMA)
    else:
        out = torch.where(there(drawn.grey).view(-1, 1, 1, 1, 1), luma(clips), clips)
        out = each(out, drawn.group, jittered)
    return each(out, drawn.blurred.long(), smoothed) if kernel > 1 and drawn.blurred.any() else out


def luma(clips: Tensor) -> Tensor:
    """Return the luma (B, 1, T, H, W) of (B, 3, T, H, W), by ITU-R BT.601 weights."""
    red, green, blue = clips.unbind(1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])[:, None]


def brightness(clips: Tensor, factor: Tensor) -> Tensor:
    return (clips * factor).clamp_(0, 1)


def contrast(clips: Tensor, factor: Tensor) -> Tensor:
    mean = luma(clips.mean((2, 3, 4), keepdim=True))
    return (clips * factor).add_(mean * (1 - factor)).clamp_(0, 1)


def saturation(clips: Tensor, factor: Tensor) -> Tensor:
    grey = luma(clips)
    return (clips - grey).mul_(factor).add_(grey).clamp_(0, 1)


def hue(clips: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue by `turns` (B, 1, 1, 1, 1); saturation and value of HSV are kept, exactly, without going there and back.

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
    """Draw numbers uniform in [0, 1) from `generator` (None: torch's global one), on the CPU wherever the generator is."""
    drawn = torch.rand(shape, generator=generator, device="cpu" if generator is None else generator.device)
    return drawn if drawn.device.type == "cpu" else drawn.cpu()
