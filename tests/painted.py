"""Videos whose pixels say their label and scene outright, and an encoder that reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fame.backbones import Encoder
from fame.config import Augment, Clip
from tests.fakes import FakeVideos

STEP = 40  # grey levels between two classes
UNKNOWN = 6  # what the scene channel shows where there is no scene
SIZES = UNKNOWN + 1


class PaintedVideos(FakeVideos):
    """Red is STEP times the label, green STEP times the scene; three performances a class."""

    def __init__(self, **how: Any) -> None:
        super().__init__(per_class=3, frames=8, size=16, **how)
        scenes = [int(scene) if scene else UNKNOWN for scene in self.tag("scene")]
        self.paint = torch.stack([self.labels * STEP, torch.tensor(scenes) * STEP, torch.zeros_like(self.labels)], dim=1)

    def clips(self, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor:
        size = self.videos[0].shape[1]
        return self.paint[rows][:, None, None, None].expand(-1, clip.frames, size, size, -1).to(torch.uint8)


class Reader(Encoder):
    """Features: `label` times the one-hot label beside `scene` times the one-hot scene."""

    dim = 2 * SIZES

    def __init__(self, label: float, scene: float) -> None:
        super().__init__()
        self.weights = (label, scene)

    def features(self, clips: Tensor) -> Tensor:
        normal = Augment()
        level = clips.mean((2, 3, 4)) * torch.tensor(normal.std) + torch.tensor(normal.mean)
        read = (level[:, :2] * 255 / STEP).round().long()
        label, scene = (one_hot(read[:, channel], SIZES).float() * weight for channel, weight in enumerate(self.weights))
        return torch.cat([label, scene], dim=1)[:, :, None, None, None]

    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        return {}


def move(videos: FakeVideos, old: str, new: str, only: int | None = None) -> FakeVideos:
    """The videos of split `old` (those of class `only`) counted to split `new`, in place."""
    for row in videos.select(old).tolist():
        if only is None or int(videos.labels[row]) == only:
            videos._split[row] = new
    videos.splits = list(dict.fromkeys(videos._split))
    return videos


def opens(encoder: Encoder) -> Callable[[Path | None, Any], tuple[Encoder, None]]:
    """A stand-in for `open_encoder` that gives this encoder."""
    return lambda path, run: (encoder, None)


def predicted(folder: Path) -> pd.DataFrame:
    """The table that a stage left of its predictions."""
    return pd.read_csv(folder / "predictions.csv", dtype={"video": "str", "performance": "str", "scene_action": "Int64"})
