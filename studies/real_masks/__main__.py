"""Measure masks on real video: `python -m studies.real_masks REAL OUT`, about a minute on one core; REAL: see clips.py.

    OUT/clips.csv      a line for each clip and mask: the measurement itself
    OUT/sequences.csv  its mean over each sequence's clips: what inference counts (a sequence is one observation)

For the report to decide claim C11 on a new measurement, copy OUT/sequences.csv into studies/real_masks/.

A clip has 16 frames (stride 2; 1 where a sequence is too short) and is cropped at the centre: to 112 pixels from a short side of
128 (the paper's), and to 32 from 48 (the embedded benchmark's). Against actor boxes there are only `box_recall_lift` and `box_iou`:
a box holds much that is no actor.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fame.config import Flavour
from fame.errors import FameError
from fame.evaluation.analysis.mask_quality import MEASURES, measured
from fame.files import write_atomically
from fame.method.augment import centre_crop
from studies.real_masks.clips import STRIDE, Video, camera_motion, clip_frames, davis, grey, resize, sbi, ucf101

SIZES = {112: 128, 32: 48}  # pixels of the crop: short side of the stored frames
VARIANTS = ("fame", "seed", "grid", "gauss")
BETAS = (0.3, 0.5, 0.7)
STILL_CAMERA = 100 * 0.5 / (112 * STRIDE)  # percent of the short side between consecutive frames
BOX_MEASURES = {"recall_lift": "box_recall_lift", "iou": "box_iou"}
MASK = ["size", "variant", "beta", "flavour"]
VALUES = ["area", *MEASURES, *BOX_MEASURES.values()]
COLUMNS = (
    "set",
    "truth",
    "sequence",
    "video",
    "first",
    "stride",
    "motion",
    "size",
    "variant",
    "beta",
    "flavour",
    "area",
)


def measure_all(folder: Path) -> pd.DataFrame:
    """Return a line for each clip and mask, with the sequence's `motion` and `camera`; FameError where no video is annotated."""
    videos = chain(davis(folder), sbi(folder), takewhile(lambda video: video.tracks, ucf101(folder)))
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
            for line in measured(centre_crop(stored, size), inside, VARIANTS, BETAS, get_args(Flavour)):
                if about["truth"] == "box":
                    boxed = {box: line[name] for name, box in BOX_MEASURES.items()}
                    line = boxed | {name: line[name] for name in ("variant", "beta", "flavour", "area")}
                yield {**about, "size": size, **line}


def _pictures(frames: np.ndarray) -> Tensor:
    """Turn uint8 (T, H, W, 3) into float (T, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 255


def by_sequence(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every measure over the clips of a sequence that define it, `motion` their median, `clips` their number."""
    groups = clips.groupby(["set", "truth", "sequence", "camera", *MASK], sort=False)
    table = groups[VALUES].mean()
    table.insert(0, "clips", groups.size())
    motion = clips.drop_duplicates(["video", "first"]).groupby("sequence")["motion"].median()
    table.insert(0, "motion", table.index.get_level_values("sequence").map(motion.to_dict()))
    return table.reset_index()


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m studies.real_masks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path, help="folder of the real videos")
    parser.add_argument("out", type=Path, help="folder of the results; numbers only are written")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    try:
        clips = measure_all(options.real)
    except FameError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.code
    options.out.mkdir(parents=True, exist_ok=True)
    for name, table in (("clips", clips), ("sequences", by_sequence(clips))):
        write_atomically(options.out / f"{name}.csv", partial(table.round(5).to_csv, index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
