"""An in-memory stand-in for `fame.data.clips.VideoSet`: squares that move over random backgrounds.

The label is the direction of motion; `scene` is the background's family, which in `train` goes with the label.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fame.config import Clip, MoCoObjective, Pretrain, StagedData, VideoData
from fame.data.clips import VideoSet
from fame.run import Run
from fame.seeds import Seeds

DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))
CONDITIONS = ("test", "test/deranged", "test/neutral", "test/scene_only", "test/figure_only")


class FakeVideos(VideoSet):
    """`per_class` videos of each class in every split; every third is half as long, so that looping is met."""

    def __init__(
        self,
        *,
        classes: int = 4,
        per_class: int = 4,
        frames: int = 16,
        size: int = 32,
        seed: int = 0,
        counterfactual: bool = True,
    ):
        generator = torch.Generator().manual_seed(seed)
        self.classes = [f"direction{index}" for index in range(classes)]
        self.videos: list[Tensor] = []
        self.masks: list[Tensor] = []
        self._split: list[str] = []
        names = ("performance", "scene", "scene_action", "mask", "path")
        self._tags: dict[str, list[str]] = {name: [] for name in names}
        labels: list[int] = []
        tests = CONDITIONS if counterfactual else CONDITIONS[:1]
        for split in ("train", "val", "balanced", *tests):
            for index in range(classes * per_class):
                label = index % classes
                scene = label if split in ("train", "test", "val") else (label + 1 + index // classes) % classes
                length = frames // 2 if index % 3 == 2 else frames
                # a test performance moves alike in every condition
                own = torch.Generator().manual_seed(seed * 100_003 + index + (50_000 if split in tests else 0))
                video, mask = _moving_square(length, size, label, scene, own, generator)
                if split == "test/figure_only":
                    video = torch.where(mask[..., None], video, torch.zeros_like(video))
                if split == "test/scene_only":
                    video = video[:1].expand_as(video).clone()
                self.videos.append(video)
                self.masks.append(mask)
                self._split.append(split)
                labels.append(label)
                family = "test" if split in tests else split
                self._tags["performance"].append(f"{family}{index:04d}")
                for tag in ("scene", "scene_action"):
                    self._tags[tag].append("" if split in ("test/neutral", "test/figure_only") else str(scene))
                self._tags["mask"].append("known")
                self._tags["path"].append(f"{self.classes[label]}/{split.replace('/', '_')}_{index:04d}.mp4")
        self.labels = torch.tensor(labels)
        self.length = torch.tensor([len(video) for video in self.videos])
        self.splits = list(dict.fromkeys(self._split))

    def __len__(self) -> int:
        return len(self.videos)

    def tag(self, name: str) -> list[str]:
        return list(self._tags.get(name, [""] * len(self)))

    def clips(self, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor:
        """uint8 (B, T, H, W, 3); a video shorter than the window is looped."""
        return self._shown(self.videos, rows, starts, clip)

    def true_masks(self, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor:
        return self._shown(self.masks, rows, starts, clip)

    def _shown(self, of: list[Tensor], rows: Tensor, starts: Tensor, clip: Clip) -> Tensor:
        numbers = self.frame_numbers(rows, starts, clip)
        return torch.stack([of[row][frames] for row, frames in zip(rows.tolist(), numbers, strict=True)])

    def random_starts(self, rows: Tensor, clip: Clip, generator: torch.Generator) -> Tensor:
        last = (self.length[rows] - (clip.frames - 1) * clip.stride).clamp_min(1)
        return (torch.rand(len(rows), generator=generator) * last).long()

    def uniform_starts(self, rows: Tensor, clip: Clip, n: int) -> Tensor:
        last = (self.length[rows] - (clip.frames - 1) * clip.stride - 1).clamp_min(0).double()
        return (last[:, None] * torch.linspace(0, 1, n, dtype=torch.float64)[None] + 0.5).long()


def _moving_square(
    length: int, size: int, label: int, scene: int, motion: torch.Generator, texture: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One video uint8 (length, size, size, 3) and its mask bool (length, size, size)."""
    side = size // 4
    background = torch.randint(0, 90, (1, size, size, 3), generator=texture)
    background[..., scene % 3] += 60 + 25 * (scene // 3)
    y, x = torch.randint(0, size, (2,), generator=motion).tolist()
    down, right = DIRECTIONS[label % len(DIRECTIONS)]
    speed = 2 + label // len(DIRECTIONS)
    video = background.repeat(length, 1, 1, 1)
    mask = torch.zeros(length, size, size, dtype=torch.bool)
    for frame in range(length):
        rows = (torch.arange(side) + y + down * speed * frame) % size
        columns = (torch.arange(side) + x + right * speed * frame) % size
        mask[frame, rows[:, None], columns[None, :]] = True
    video[mask] = torch.tensor([230, 220, 60])
    noise = torch.randint(-2, 3, video.shape, generator=texture)
    return (video + noise).clamp(0, 255).to(torch.uint8), mask


def fake_run(folder: Path, videos: FakeVideos | None = None, *, replicate: int = 0) -> Run:
    """A `Run` on the CPU in `folder` whose every data set is `videos`."""
    folder.mkdir(parents=True, exist_ok=True)
    held = FakeVideos() if videos is None else videos

    def opened(data: StagedData | VideoData) -> Any:
        return held

    return Run(folder=folder, seeds=Seeds(replicate), device=torch.device("cpu"), videos=opened)


def fake_data() -> VideoData:
    """A data configuration that validates; `fake_run` answers it with its held videos."""
    return VideoData(kind="folder", manifest="0" * 12, short_side=32)


def contrast(**fields: Any) -> Pretrain:
    """A pretraining by contrast, of fields of `Pretrain` and of `MoCoObjective`."""
    own = {name: value for name, value in fields.items() if name in MoCoObjective.model_fields}
    fields = {name: value for name, value in fields.items() if name not in own}
    if "objective" in fields:
        return Pretrain(**fields)
    return Pretrain(objective=MoCoObjective(**own), **fields)


def contrasted(config: Pretrain, **fields: Any) -> Pretrain:
    """The same with other fields of its contrast."""
    return config.model_copy(update={"objective": config.contrast.model_copy(update=fields)})
