"""Tabulate what classifiers said: `predictions.csv` has one line a video and head.

The condition is `own` for split `test`, the rest of the name for `test/...`, and `val` or `val/balanced`.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from fame.config import Clip
from fame.data.clips import VideoSet, fitting
from fame.data.manifest import none_fits
from fame.errors import FameError
from fame.evaluation.analysis.background_bias import background_gap, scene_following

FILE = "predictions.csv"
COLUMNS = ["video", "performance", "condition", "head", "label", "predicted", "scene_action"]
TEST, VALIDATION = "test", "val"


def tested_splits(videos: VideoSet, clip: Clip | None = None) -> dict[str, Tensor]:
    """Return each tested split's rows that `clip` fits into; with folds, all videos are `test`. FameError without a test."""
    names = [name for name in dict.fromkeys(videos.splits) if name.split("/")[0] in (TEST, VALIDATION)]
    rows = {name: videos.select(name) for name in sorted(names)}
    rows = {name: chosen for name, chosen in rows.items() if len(chosen)}
    if folds := videos.folds():
        rows = {TEST: torch.cat(folds)}
    if TEST not in rows:
        raise FameError("the data set has no videos in split 'test', so nothing can be evaluated; check its split files")
    if clip is None:
        return rows
    fits = {name: fitting(videos, chosen, clip) for name, chosen in rows.items()}
    if not len(fits[TEST]):
        raise FameError(none_fits(len(rows[TEST]), TEST, clip))
    return {name: chosen for name, chosen in fits.items() if len(chosen)}


def training_rows(videos: VideoSet, clip: Clip) -> Tensor:
    """Rows of split `train` that `clip` fits into. FameError where there is none."""
    rows = videos.select("train")
    if not len(rows):
        raise FameError("the data set has no videos in split 'train', so no classifier can be trained; check its split files")
    fits = fitting(videos, rows, clip)
    if not len(fits):
        raise FameError(none_fits(len(rows), "train", clip))
    return fits


def predictions(videos: VideoSet, rows: Tensor, split: str, head: str, predicted: Tensor) -> pd.DataFrame:
    """The lines of one head on one split; `predicted` (N,) are class indices in the order of `rows`."""
    frame = facts(videos, rows, split)
    frame["head"] = head
    frame["predicted"] = predicted.cpu().numpy()
    return frame[COLUMNS]


def facts(videos: VideoSet, rows: Tensor, split: str) -> pd.DataFrame:
    """Return what is known of each video; `video` is its path, or its row where the set has no paths."""
    chosen = rows.tolist()
    paths, performances, actions = (videos.tag(name) for name in ("path", "performance", "scene_action"))
    return pd.DataFrame(
        {
            "video": [paths[row] or str(row) for row in chosen],
            "performance": [performances[row] for row in chosen],
            "condition": "own" if split == TEST else split.removeprefix(f"{TEST}/"),
            "label": videos.labels[rows].numpy(),
            "scene_action": pd.array([int(actions[row]) if actions[row] else None for row in chosen], dtype="Int64"),
        }
    )


def metrics_from(frame: pd.DataFrame) -> dict[str, float]:
    """Return every head's metrics (docs/architecture.md), in percent or points; those without videos are left out."""
    metrics: dict[str, float] = {}
    for head, lines in frame.groupby("head", sort=True):
        prefix = "" if head == "biased" else f"{head}/"
        right = lines["predicted"] == lines["label"]
        for condition, share in right.groupby(lines["condition"], sort=True).mean().items():
            held_out = str(condition).split("/")[0] == VALIDATION
            name = f"{condition}/top1" if held_out else "top1" if condition == "own" else f"top1/{condition}"
            metrics[prefix + name] = float(100 * share)
        deranged = lines[lines["condition"] == "deranged"]
        biases = {
            "background_gap": background_gap(lines["performance"], lines["condition"], right),
            "scene_following": scene_following(deranged["predicted"], deranged["label"], deranged["scene_action"]),
        }
        metrics |= {prefix + name: value for name, value in biases.items() if value == value}
    return metrics
