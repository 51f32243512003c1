"""Figure 1: class-agnostic activation maps: where the features are active, and whether that is where the true figure is.

The map of a clip is its last feature map, |.| summed over channels, resized to the clip. Small crops leave the last map without
extent (32 px end at 1 x 1), so the map is read at the deepest stage that is at least 4 x 4; the result says which.

- `auroc`: per frame, how well the map tells the true figure's pixels from the others (0.5: not at all); mean over the frames of a
  video that show the figure, then over videos. Free of the features' norm. Left out where the data set knows no figure.
- `exchange_ratio`: see exchange.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from fame.backbones import Encoder
from fame.config import Activation, Augment, Clip
from fame.data.clips import VideoSet, too_short
from fame.evaluation.analysis.exchange import exchange_distances
from fame.evaluation.analysis.roc import auroc
from fame.evaluation.artifacts import write_arrays, write_table
from fame.evaluation.features import middle_clips, opened
from fame.evaluation.predictions import facts
from fame.method.augment import normalise
from fame.run import Run
from fame.training import precision as arithmetic

TABLE, MAPS = "activation.csv", "maps.npz"
BATCH = 16  # clips
SMALLEST = 4  # a map of fewer cells a side says too little of where
LAYERS = ("layer1", "layer2", "layer3", "layer4")


def activation(config: Activation, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Maps and measures on `config.videos` test videos; writes `activation.csv` and `maps.npz` and returns the stage's result."""
    net, videos, tests = opened(config, encoder, run)
    rows = evenly(tests["test"], config.videos)
    layer, side = map_layer(net, config.clip, run.device)
    table = facts(videos, rows, "test")
    shown = set(evenly(torch.arange(len(rows)), config.examples).tolist())
    kept: dict[str, list[np.ndarray]] = {"frames": [], "maps": [], "truth": []}
    scores: list[float] = []
    frames: list[int] = []
    for place, (clip, heat, truth) in enumerate(clip_maps(net, layer, videos, rows, config, run.device)):
        if truth is not None:
            values = auroc(heat.flatten(1).numpy(), truth.flatten(1).numpy())
            scores.append(float(np.nanmean(values)) if np.isfinite(values).any() else float("nan"))
            frames.append(int(np.isfinite(values).sum()))
        if place in shown:
            kept["frames"].append((clip * 255).round().to(torch.uint8).permute(1, 2, 3, 0).numpy())
            kept["maps"].append((heat / heat.amax().clamp_min(1e-12)).half().numpy())
            if truth is not None:
                kept["truth"].append(truth.numpy())
        if place % BATCH == BATCH - 1 or place == len(rows) - 1:
            run.log(step=place + 1, steps=len(rows), phase="maps")
    metrics: dict[str, float] = {}
    if scores:
        table["auroc"], table["frames"] = scores, frames
        metrics["auroc"] = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
    distances = exchange_distances(net, videos, rows, clip=config.clip, precision=config.precision, device=run.device)
    if distances is not None:
        table = pd.concat([table, distances], axis=1)
        metrics["exchange_ratio"] = float(distances["exchange_ratio"].mean())
    metrics = {name: value for name, value in metrics.items() if value == value}
    arrays = {name: np.stack(value) for name, value in kept.items() if value}
    arrays["videos"] = np.array([table["video"].iloc[place] for place in sorted(shown)])
    artifacts = [write_table(run.folder, TABLE, table), write_arrays(run.folder, MAPS, arrays)]
    notes: dict[str, Any] = {"layer": layer, "map": side, "videos": len(rows), "truth": bool(scores)}
    if distances is not None:
        notes["exchanged"] = int(distances["exchange_ratio"].notna().sum())
    notes |= too_short(videos, ["test"], config.clip)
    return {"metrics": metrics, "artifacts": artifacts, "notes": notes}


def evenly(rows: Tensor, count: int) -> Tensor:
    """At most `count` of the rows, evenly spaced, the same for every method: maps of two methods stand side by side."""
    if len(rows) <= count:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()]


def stage_maps(net: Encoder, clips: Tensor) -> dict[str, Tensor]:
    """Maps (B, c, t, h, w) after layer4, ..., layer1, deepest first; of a network without such stages (S3D) `features` alone.

    The stages are run one by one, because an encoder is free to compute `features` without calling its modules.
    """
    children = dict(net.named_children())
    if not {"stem", *LAYERS} <= set(children):
        return {"features": net.features(clips)}
    x, found = children["stem"](clips), {}
    for name in LAYERS:
        found[name] = x = children[name](x)
    return dict(reversed(found.items()))


@torch.inference_mode()
def map_layer(net: Encoder, clip: Clip, device: torch.device) -> tuple[str, list[int]]:
    """Where the map is read, and its size [t, h, w]: the deepest stage of at least 4 x 4 cells, else the largest."""
    blank = torch.zeros(1, 3, clip.frames, clip.size, clip.size, device=device)
    sizes = {name: list(found.shape[2:]) for name, found in stage_maps(net, blank).items()}
    large = [name for name, size in sizes.items() if min(size[1:]) >= SMALLEST]
    layer = large[0] if large else max(sizes, key=lambda name: min(sizes[name][1:]))
    return layer, sizes[layer]


@torch.inference_mode()
def activation_map(net: Encoder, layer: str, clips: Tensor) -> Tensor:
    """Normalised clips (B, 3, T, H, W) -> maps float32 (B, T, H, W): |.| summed over channels, trilinearly resized; not scaled."""
    found = stage_maps(net, clips)[layer].float().abs().sum(dim=1, keepdim=True)
    return interpolate(found, size=clips.shape[2:], mode="trilinear", align_corners=False)[:, 0]


def clip_maps(
    net: Encoder, layer: str, videos: VideoSet, rows: Tensor, config: Activation, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Per row its middle clip (3, T, s, s) in [0, 1], the map (T, s, s) and the true figure bool (T, s, s), None where unknown."""
    for crops, truth in middle_clips(videos, rows, config.clip, BATCH, device):
        with arithmetic.autocast(arithmetic.resolve(config.precision, device), device):
            heat = activation_map(net, layer, normalise(crops, Augment())).cpu()
        for index in range(len(crops)):
            yield crops[index].cpu(), heat[index], None if truth is None else truth[index]
