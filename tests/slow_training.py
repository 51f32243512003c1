"""A pretraining slow enough to be killed within an epoch. Its ranks import this module, too."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import fame.training.checkpoint
from fame.config import Pretrain
from fame.data import open_videos
from fame.data.clips import VideoSet
from fame.data.manifest import Manifest
from fame.data.store import FrameStore
from fame.run import Run
from fame.seeds import Seeds
from fame.training.pretrain import pretrain

fame.training.checkpoint.EVERY = 0.0


class Slow(VideoSet):
    """Videos that take `seconds` more to be read."""

    def __init__(self, manifest: Manifest, store: FrameStore, seconds: float) -> None:
        super().__init__(manifest, store)
        self.seconds = seconds

    def __reduce__(self) -> Any:
        return Slow, (self.manifest, self.store, self.seconds)

    def clips(self, *given: Any) -> Tensor:
        time.sleep(self.seconds)
        return super().clips(*given)


def run_of(folder: Path, root: Path, seconds: float = 0.0) -> Run:
    """A run in `folder` on the videos of root/set, packed in root/cache."""
    folder.mkdir(exist_ok=True)
    seeds = Seeds(3)

    def opened(data: Any) -> VideoSet:
        videos = open_videos(data, seeds, root / "cache", root / "set")
        return Slow(videos.manifest, videos.store, seconds)

    return Run(folder, seeds, torch.device("cpu"), opened)


def work(folder: str, asked: str, root: str, seconds: float) -> None:
    pretrain(Pretrain.model_validate_json(asked), run_of(Path(folder), Path(root), seconds))
