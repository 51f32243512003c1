"""Map where the features are active, without regard to class (figure 1), and measure what moves them (claim C8).

- `auroc`: per frame, of the map against the true figure; mean over a video's frames that show the figure, then over videos.
- `exchange_ratio`: |f(x) - f(scene exchanged)| / |f(x) - f(figure exchanged)|, Euclidean, f the pooled features of the middle clip,
  x a test performance in its own scene. The scene is exchanged by its deranged twin; the figure by every video among the chosen
  ones and their twins that shows another action in a scene of x's family (mean distance).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import interpolate

from fame.backbones import Encoder
from fame.config import Activation, Augment, Clip
from fame.data.clips import VideoSet, too_short
from fame.evaluation.artifacts import write_arrays, write_table
from fame.evaluation.features import extract, middle_clips, opened
from fame.evaluation.predictions import facts
from fame.method.augment import normalise
from fame.run import Run
from fame.training import precision as arithmetic

TABLE, MAPS = "activation.csv", "maps.npz"
BATCH = 16  # clips
SMALLEST = 4  # a map of fewer cells a side says too little of where
LAYERS = ("layer1", "layer2", "layer3", "layer4")


def activation(config: Activation, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Map and measure `config.videos` test videos; writes `activation.csv` and `maps.npz` and returns the stage's result."""
    net, videos, tests = opened(config, encoder, run)
    rows = evenly(tests["test"], config.videos)
    layer, side = map_layer(net, config.clip, run.device)
    precision = arithmetic.resolve(config.precision, run.device)
    table = facts(videos, rows, "test")
    shown = evenly(torch.arange(len(rows)), config.examples).tolist()
    kept: dict[str, list[np.ndarray]] = {}
    scores: list[tuple[float, int]] = []  # and the number of frames that show the figure
    for number, (clips, truth) in enumerate(middle_clips(videos, rows, config.clip, BATCH, run.device)):
        with arithmetic.autocast(precision, run.device):
            heat = activation_map(net, layer, normalise(clips, Augment())).cpu()
        for index, place in enumerate(range(BATCH * number, BATCH * number + len(clips))):
            found = {
                "frames": (clips[index].cpu() * 255).round().to(torch.uint8).permute(1, 2, 3, 0),
                "maps": (heat[index] / heat[index].amax().clamp_min(1e-12)).half(),
            }
            if truth is not None:
                found["truth"] = truth[index]
                of_frames = auroc(heat[index].flatten(1).numpy(), truth[index].flatten(1).numpy())
                many = int(np.isfinite(of_frames).sum())
                scores.append((float(np.nanmean(of_frames)) if many else np.nan, many))
            for name, value in found.items() if place in shown else ():
                kept.setdefault(name, []).append(value.numpy())
        run.log(step=place + 1, steps=len(rows), phase="maps")
    if scores:
        table["auroc"], table["frames"] = zip(*scores, strict=True)
    distances = exchange_distances(net, videos, rows, config, run.device)
    if distances is not None:
        table = pd.concat([table, distances], axis=1)
    measured = [name for name in ("auroc", "exchange_ratio") if name in table and table[name].notna().any()]
    arrays = {name: np.stack(value) for name, value in kept.items()} | {"videos": table["video"].to_numpy(dtype=str)[shown]}
    notes = {"layer": layer, "map": side, "videos": len(rows), "truth": bool(scores)}
    return {
        "metrics": {name: float(table[name].mean()) for name in measured},
        "artifacts": [write_table(run.folder, TABLE, table), write_arrays(run.folder, MAPS, arrays)],
        "notes": notes | too_short(videos, ["test"], config.clip),
    }


def evenly(rows: Tensor, count: int) -> Tensor:
    """Return at most `count` of the rows, evenly spaced, the same for every method: maps of two methods stand side by side."""
    if len(rows) <= count:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()]


def stage_maps(net: Encoder, clips: Tensor) -> dict[str, Tensor]:
    """Return maps (B, c, t, h, w) after layer4, ..., layer1, deepest first; without such stages (S3D) `features` alone."""
    children = dict(net.named_children())
    if not {"stem", *LAYERS} <= set(children):
        return {"features": net.features(clips)}
    x, found = children["stem"](clips), {}
    for name in LAYERS:
        found[name] = x = children[name](x)
    return dict(reversed(found.items()))


@torch.inference_mode()
def map_layer(net: Encoder, clip: Clip, device: torch.device) -> tuple[str, list[int]]:
    """Return where the map is read, and its size [t, h, w]: the deepest stage of at least 4 x 4 cells, else the largest."""
    blank = torch.zeros(1, 3, clip.frames, clip.size, clip.size, device=device)
    sizes = {name: list(found.shape[2:]) for name, found in stage_maps(net, blank).items()}
    large = [name for name, size in sizes.items() if min(size[1:]) >= SMALLEST]
    layer = large[0] if large else max(sizes, key=lambda name: min(sizes[name][1:]))
    return layer, sizes[layer]


@torch.inference_mode()
def activation_map(net: Encoder, layer: str, clips: Tensor) -> Tensor:
    """Map normalised clips (B, 3, T, H, W) to float32 (B, T, H, W): |.| summed over channels, trilinearly resized; not scaled."""
    found = stage_maps(net, clips)[layer].float().abs().sum(dim=1, keepdim=True)
    return interpolate(found, size=clips.shape[2:], mode="trilinear", align_corners=False)[:, 0]


def exchange_distances(
    net: Encoder, videos: VideoSet, rows: Tensor, config: Activation, device: torch.device
) -> pd.DataFrame | None:
    """Return each row's two distances and their ratio, NaN where a partner is missing; None where no row has a deranged twin."""
    performance, family, label = videos.tag("performance"), videos.tag("scene"), videos.labels.tolist()
    twins = {performance[row]: row for row in videos.select("test/deranged").tolist() if performance[row]}
    own = rows.tolist()
    shown = own + [twins[performance[row]] for row in own if performance[row] in twins]
    if len(shown) == len(own):
        return None
    vectors = extract(net, videos, torch.tensor(shown), clip=config.clip, clips=1, precision=config.precision, device=device)
    feature = dict(zip(shown, vectors[:, 0], strict=True))

    def distance(a: int, b: int) -> float:
        return float(torch.linalg.vector_norm(feature[a] - feature[b]))

    lines = []
    for row in own:
        alike = [other for other in shown if family[row] and family[other] == family[row] and label[other] != label[row]]
        scene = distance(row, twins[performance[row]]) if performance[row] in twins else np.nan
        figure = float(np.mean([distance(row, other) for other in alike])) if alike else np.nan
        lines.append(
            {
                "scene_distance": scene,
                "figure_distance": figure,
                "exchange_ratio": scene / figure if figure else np.nan,
            }
        )
    return pd.DataFrame(lines)


def auroc(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the area under each line's ROC curve, (N, P) -> (N,), ties counted half; NaN where a line has only one kind."""
    ranks = rankdata(scores, axis=1)
    positive = truth.sum(axis=1).astype(float)
    negative = truth.shape[1] - positive
    above = (ranks * truth).sum(axis=1) - positive * (positive + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((positive > 0) & (negative > 0), above / (positive * negative), np.nan)
