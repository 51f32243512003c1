"""Measure how well each foreground mask covers the true figure (figure 4 and claim C11; docs/rules.md).

Truth is where the figure is in any sampled frame of the clip, after the centre crop, as one mask serves all frames. With R the
share of true pixels in the mask and a the mask's own area share:

- `recall_lift` = (R - a) / (1 - a): 0 for a mask laid down at random, 1 for one that holds the whole figure
- `iou`
- `auroc` of the soft map behind the mask, whatever the area
- `recall_still`: R on the figure's still pixels alone, whose motion is at most the 90 % quantile of the background's
- `recall_lift_frame`, `iou_frame`: the same against the figure of each single frame, mean over the frames that show it

Each is computed per clip (mask_quality.csv), then averaged. The Gaussian is cut at beta here, although training uses it soft.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fame.config import Flavour, Masks
from fame.data.clips import too_short
from fame.evaluation.analysis.activation_maps import auroc, evenly
from fame.evaluation.artifacts import write_arrays, write_table
from fame.evaluation.features import middle_clips
from fame.evaluation.predictions import facts, tested_splits
from fame.method.masks import (
    foreground_mask,
    frame_difference,
    gaussian_map,
    grid_map,
    mask_maps,
    plugin_scores,
    spread_grid,
    top_share,
)
from fame.run import Run

TABLE, MASKS = "mask_quality.csv", "masks.npz"
BATCH = 16  # clips
SHOWN_BETA = 0.5  # of the masks kept for the figure
STILL = 0.9  # quantile of the background's motion up to which a pixel of the figure counts as still
MEASURES = ("recall_lift", "iou", "auroc", "recall_still", "recall_lift_frame", "iou_frame")


def masks(config: Masks, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Measure masks on middle clips; writes `mask_quality.csv` and `masks.npz`. FameError without a test video.

    `masks.npz`: middle frames uint8 (N, H, W, 3); a mask a variant at beta 0.5, float (N, H, W); `truth`, the figure in that frame,
    and `truth_union`, bool, where known; videos.
    """
    videos = run.videos(config.data)
    rows = evenly(tested_splits(videos, config.clip)["test"], config.videos)
    names = facts(videos, rows, "test")
    shown = set(evenly(torch.arange(len(rows)), config.examples).tolist())
    lines: list[dict[str, Any]] = []
    middle = config.clip.frames // 2
    kept: dict[str, list[np.ndarray]] = {}
    for number, (clips, truth) in enumerate(middle_clips(videos, rows, config.clip, BATCH, run.device)):
        place = BATCH * number
        if chosen := [index for index in range(len(clips)) if place + index in shown]:
            frames = clips[chosen, :, middle]
            found = {"frames": (frames * 255).round().byte().permute(0, 2, 3, 1)}
            found |= {name: foreground_mask(clips[chosen], variant=name, beta=SHOWN_BETA) for name in config.variants}
            if truth is not None:
                found |= {"truth": truth[chosen, middle], "truth_union": truth[chosen].any(1)}
            for name, value in found.items():
                kept.setdefault(name, []).append(value.cpu().numpy())
        if truth is not None:
            for line in measured(clips, truth, config.variants, config.betas, config.flavours):
                video = names.iloc[place + line.pop("clip")]
                lines.append({"video": video["video"], "label": int(video["label"]), **line})
        run.log(step=place + len(clips), steps=len(rows), phase="masks")
    table = pd.DataFrame(lines, columns=["video", "label", "variant", "beta", "flavour", "area", *MEASURES])
    arrays = {name: np.concatenate(value) for name, value in kept.items()}
    arrays["videos"] = names["video"].iloc[sorted(shown)].to_numpy(dtype=str)
    artifacts = [write_table(run.folder, TABLE, table), write_arrays(run.folder, MASKS, arrays)]
    notes: dict[str, Any] = {"videos": len(rows), "truth": bool(lines)} | too_short(videos, ["test"], config.clip)
    metrics = {
        f"{variant}/{beta:g}/{flavour}/{name}": float(mean)
        for (variant, beta, flavour), part in table.groupby(["variant", "beta", "flavour"], sort=False)
        for name, mean in part[list(MEASURES)].mean().dropna().items()
    }
    return {"metrics": metrics, "artifacts": artifacts, "notes": notes}


def measure(mask: Tensor, score: Tensor, truth: Tensor, still: Tensor) -> dict[str, np.ndarray]:
    """Return each measure (B,), NaN where a clip does not define it; mask, score (soft) and still (B, H, W), truth (B, T, H, W)."""
    union = truth.any(1)
    area = mask.flatten(1).double().mean(1)
    values = {
        "area": area,
        "recall_lift": _lift(_recall(mask, union), area),
        "iou": _iou(mask, union),
        "recall_still": _recall(mask, union & still),
        "recall_lift_frame": _lift(_recall(mask[:, None], truth), area[:, None]).nanmean(1),
        "iou_frame": torch.where(truth.flatten(2).any(2), _iou(mask[:, None], truth), torch.nan).nanmean(1),
    }
    found = {name: value.numpy() for name, value in values.items()}
    return found | {"auroc": auroc(score.flatten(1).double().numpy(), union.flatten(1).numpy())}


def still_pixels(motion: Tensor, figure: Tensor) -> Tensor:
    """Mark where motion is no greater than that of 90 % of the pixels outside the figure; motion float, rest bool, (B, H, W)."""
    outside = motion.masked_fill(figure, torch.nan).flatten(1)
    return motion <= outside.nanquantile(STILL, dim=1).view(-1, 1, 1)


def soft_maps(clips: Tensor, flavour: Flavour, variants: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Return what each variant ranks pixels by, float (B, H, W), highest kept first; clips float (B, 3, T, H, W) in [0, 1]."""
    height, width = clips.shape[-2:]
    maps = mask_maps(clips, flavour=flavour)
    known = {
        "fame": maps["posterior_blurred"],
        "seed": maps["frame_difference_blurred"],
        "grid": spread_grid(grid_map(maps["frame_difference"]), height, width),
        "gauss": gaussian_map(height, width, clips.device).expand(len(clips), -1, -1),
    }
    known |= {name: plugin_scores(name, clips, SHOWN_BETA).float() for name in variants if name not in known}
    return {name: known[name] for name in variants or known}


def measured(
    clips: Tensor,
    truth: Tensor,
    variants: tuple[str, ...],
    betas: tuple[float, ...],
    flavours: tuple[Flavour, ...],
) -> Iterator[dict[str, Any]]:
    """Yield a line for each clip and mask, `clip` its index in the batch; truth bool (B, T, H, W) on the CPU."""
    still = still_pixels(frame_difference(clips).cpu(), truth.any(1))
    for flavour in flavours:
        for variant, score in soft_maps(clips, flavour, variants).items():
            if variant != "fame" and flavour != flavours[0]:
                continue  # does not depend on the flavour
            for beta in betas:
                if variant == "gauss":
                    mask = top_share(score, max(1, int(beta * score[0].numel())))
                else:
                    mask = foreground_mask(clips, variant=variant, beta=beta, flavour=flavour) > 0.5
                values = measure(mask.cpu(), score.cpu(), truth, still)
                said = {"variant": variant, "beta": beta, "flavour": flavour if variant == "fame" else "paper"}
                for index in range(len(clips)):
                    yield {"clip": index, **said, **{name: float(value[index]) for name, value in values.items()}}


def _recall(mask: Tensor, truth: Tensor) -> Tensor:
    return (mask & truth).sum((-2, -1)).double() / truth.sum((-2, -1))


def _iou(mask: Tensor, truth: Tensor) -> Tensor:
    shared = (mask & truth).sum((-2, -1)).double() / (mask | truth).sum((-2, -1))
    return torch.where(truth.flatten(-2).any(-1), shared, torch.nan)


def _lift(recall: Tensor, area: Tensor) -> Tensor:
    return torch.where(area < 1, (recall - area) / (1 - area), torch.nan)
