"""Measure the masks on real clips: all variants, betas and flavours, at two sizes, against true masks and against actor boxes.

A clip has 16 frames (stride 2; 1 where a sequence is too short) and is cropped at the centre: to 112 pixels from a short side of
128 (the paper's), and to 32 from 48 (the embedded benchmark's). Measures are those of fame/evaluation/analysis/mask_quality.py.
Against actor boxes there are only `box_recall_lift` and `box_iou`: a box holds much that is no actor, so they say whether a mask
lies where the actor is, not whether it covers him.

A camera counts as still where its picture moves by less than half a pixel of 112 between the frames that a mask is computed from
(stride 2): then the frame difference shows no background edges. A sequence's camera is the median over its clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fame.config import Flavour, Variant
from fame.errors import FameError
from fame.evaluation.analysis.mask_quality import MEASURES, measure, soft_maps, still_pixels
from fame.method.augment import centre_crop
from fame.method.masks import foreground_mask, frame_difference, top_share
from studies.real_masks.camera import camera_motion, grey, resize
from studies.real_masks.clips import STRIDE, Video, clip_frames, davis, sbi, ucf101

SIZES = {112: 128, 32: 48}  # pixels of the crop: short side of the stored frames
BETAS = (0.3, 0.5, 0.7)
STILL_CAMERA = 100 * 0.5 / (112 * STRIDE)  # percent of the short side between consecutive frames
BOX_MEASURES = {"recall_lift": "box_recall_lift", "iou": "box_iou"}
MASK = ["size", "variant", "beta", "flavour"]
VALUES = ["area", *MEASURES, *BOX_MEASURES.values()]
COLUMNS = ("set", "truth", "sequence", "video", "first", "stride", "motion", "size", "variant", "beta", "flavour", "area")


def measure_all(folder: Path) -> pd.DataFrame:
    """Return a line for each clip and mask of everything in `folder`, with the sequence's `motion` and `camera` (still, moving).

    FameError where the folder holds no annotated video.
    """
    videos = chain(davis(folder), sbi(folder), ucf101(folder, boxed_only=True))
    lines = [line for video in videos for line in measure_video(video)]
    if not lines:
        raise FameError(f"{folder} holds no annotated video (davis2016/, sbi2015/, or UCF-101/ with actor_boxes.json)")
    table = pd.DataFrame(lines, columns=[*COLUMNS, *MEASURES, *BOX_MEASURES.values()])
    clips = table.drop_duplicates(["video", "first"])
    motion = table["sequence"].map(clips.groupby("sequence")["motion"].median())
    table.insert(COLUMNS.index("motion"), "camera", np.where(motion < STILL_CAMERA, "still", "moving"))
    return table


def measure_video(video: Video) -> Iterator[dict[str, Any]]:
    """Yield a line for each clip and mask of a video. A clip whose crop the figure never enters has no measures and is left out."""
    truth = video.truth()
    if truth is None:
        return
    clips, stride = clip_frames(video)
    for numbers in clips:
        span = slice(numbers[0], numbers[-1] + 1)
        light = grey(resize(_pictures(video.frames[span])))
        about = {
            "set": video.set,
            "truth": "mask" if video.masks is not None else "box",
            "sequence": video.unit,
            "video": video.name,
            "first": int(numbers[0]),
            "stride": stride,
            "motion": camera_motion(light, truth[span]),
        }
        pictures = _pictures(video.frames[numbers])
        figure = torch.from_numpy(truth[numbers])[:, None].float()
        for size, side in SIZES.items():
            stored = (resize(pictures, side) * 255).round().byte().permute(0, 2, 3, 1)[None].contiguous()
            inside = centre_crop(resize(figure, side)[None, :, 0].contiguous(), size) >= 0.5
            if not inside.any():
                continue
            for line in measure_clip(centre_crop(stored, size), inside):
                if about["truth"] == "box":
                    line = {BOX_MEASURES.get(name, name): value for name, value in line.items() if name not in _MASK_ONLY}
                yield {**about, "size": size, **line}


_MASK_ONLY = frozenset(MEASURES) - set(BOX_MEASURES)


def measure_clip(clip: Tensor, truth: Tensor) -> Iterator[dict[str, Any]]:
    """Yield a line for each mask; clip float (1, 3, T, s, s) in [0, 1], truth bool (1, T, s, s). Flavours differ for fame only."""
    still = still_pixels(frame_difference(clip), truth.any(1))
    for flavour in get_args(Flavour):
        for variant, score in soft_maps(clip, flavour).items():
            if variant != "fame" and flavour != "paper":
                continue
            for beta in BETAS:
                values = measure(_mask(clip, variant, beta, flavour, score), score, truth, still)
                names = {"variant": variant, "beta": beta, "flavour": flavour}
                yield {**names, **{name: float(value[0]) for name, value in values.items()}}


def _mask(clip: Tensor, variant: Variant, beta: float, flavour: Flavour, score: Tensor) -> Tensor:
    """Return a mask, bool (1, s, s). The Gaussian is soft in training; here it is cut at beta like the others."""
    if variant == "gauss":
        return top_share(score, max(1, int(beta * score[0].numel())))
    return foreground_mask(clip, variant=variant, beta=beta, flavour=flavour) > 0.5


def _pictures(frames: np.ndarray) -> Tensor:
    """Turn uint8 (T, H, W, 3) into float (T, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255


# ---------------------------------------------------------------- from clips to sequences


def by_sequence(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every measure over the clips of a sequence that define it, `motion` their median, `clips` their number."""
    groups = clips.groupby(["set", "truth", "sequence", "camera", *MASK], sort=False)
    table = groups[VALUES].mean()
    table.insert(0, "clips", groups.size())
    motion = clips.drop_duplicates(["video", "first"]).groupby("sequence")["motion"].median()
    table.insert(0, "motion", table.index.get_level_values("sequence").map(motion.to_dict()))
    return table.reset_index()


def means(sequences: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over sequences for every truth, camera class and mask; `n_MEASURE` is how many sequences define it."""
    parts = []
    for camera in ("all", "still", "moving"):
        chosen = sequences if camera == "all" else sequences[sequences["camera"] == camera]
        groups = chosen.groupby(["truth", *MASK], sort=False)
        counts = groups[["recall_lift", "recall_still", "box_recall_lift"]].count().add_prefix("n_")
        part = groups[VALUES].mean().join(counts).reset_index()
        part.insert(1, "camera", camera)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
