"""Hold what a stage is given beside its configuration; nothing here enters a cell's identity."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch takes seconds to import, and whoever only reads results needs none of it
    import torch

    from fame.config import StagedData, VideoData
    from fame.data.clips import VideoSet
    from fame.seeds import Seeds

LOG = "metrics.jsonl"


@dataclass(frozen=True)
class Run:
    """Hold one stage at one replicate, on disk.

    `videos(data)` opens prepared videos. `cache`: a folder that runs share. `given`: the file of weights that a pretraining reads.
    `nodes`: machines that share a pretraining of several ranks and meet at `endpoint`, HOST:PORT on one of them.
    """

    folder: Path
    seeds: Seeds
    device: torch.device
    videos: Callable[[StagedData | VideoData], VideoSet]
    cache: Path | None = None
    quiet: bool = False
    given: Path | None = None
    nodes: int = 1
    endpoint: str = ""

    def log(self, **values: Any) -> None:
        """Append a JSON line to `metrics.jsonl`. `step` and `steps` tell the progress: log(step=3, steps=20, loss=4.1)."""
        if self.quiet:
            return
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": time.time(), **values}) + "\n")

    def logged(self) -> int:
        """Bytes logged so far, for `rewind`."""
        return (self.folder / LOG).stat().st_size if (self.folder / LOG).exists() else 0

    def rewind(self, size: int) -> None:
        """Cut off what was logged after `size` bytes: epochs that are going to be done again."""
        if not self.quiet and self.logged() > size:
            os.truncate(self.folder / LOG, size)
