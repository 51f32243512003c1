"""The three figures: mask and merge against a plain reference, a step against eager torch, `make reproduce` now and before.

Each returns the ratio slow / fast. On a CPU with the threads that torch has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks import reference_mask
from benchmarks.timing import Ratio, alternate, ratio
from fame import ForegroundBackgroundMerge
from fame.backbones import build_encoder, fast_layout
from fame.config import Augment, Pretrain, StagedData
from fame.data import open_videos
from fame.data.clips import VideoSet
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.method.views import Views
from fame.run import Run
from fame.seeds import SELECTION_REPLICATES, Seeds
from fame.training import precision as arithmetic
from fame.training.descent import ContrastStep, Descent
from fame.training.optimiser import build_optimiser
from studies.setting.resolve import Setting
from studies.setting.scales import Scale, world
from studies.study import fame

ROOT = Path(__file__).resolve().parents[1]


# ---------------------------------------------------------------- mask and merge


def moving_clips(batch: int, frames: int, size: int, device: torch.device | str = "cpu", seed: int = 0) -> Tensor:
    """Return float clips (batch, 3, frames, size, size) in [0, 1]: a still backdrop, a square that crosses it, sensor noise.

    They are drawn on the CPU from `seed`, so equal on every device. (Noise alone would put all pixels into few colours.)
    """
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, max(2, size // 16), max(2, size // 16), generator=generator)
    clips = F.interpolate(coarse, (size, size), mode="bilinear")[:, :, None].repeat(1, 1, frames, 1, 1)
    side = size // 4
    paint = torch.rand(batch, 3, 1, 1, generator=generator)
    for frame in range(frames):
        left = (size - side) * frame // max(1, frames - 1)
        clips[:, :, frame, size // 3 : size // 3 + side, left : left + side] = paint
    clips.add_(torch.randn(clips.shape, generator=generator), alpha=0.01).clamp_(0, 1)
    return clips.to(device)


def merging(device: torch.device, rounds: int, shape: tuple[int, int, int]) -> Ratio:
    """Compare FAME's mask and merge of one batch, (clips, frames, pixels a side), with benchmarks/reference_mask.py."""
    clips = moving_clips(*shape, device)
    ours, generator = ForegroundBackgroundMerge(), torch.Generator().manual_seed(0)
    works = {
        "reference": lambda: reference_mask.merge(clips, generator=generator),
        "ours": lambda: ours(clips, generator=generator),
    }
    return ratio(alternate(works, rounds, untimed=5, device=device), "reference", "ours")


# ---------------------------------------------------------------- a pretraining step


class EagerViews:
    """Draw views by torchvision's transforms, clip by clip, in the released code's order: crop, flip; merge; colour; normalise."""

    def __init__(self, config: Pretrain, videos: VideoSet, device: torch.device):
        self.config, self.videos, self.device = config, videos, device
        augment, size = config.augment, config.clip.size
        self.crop = v2.Compose(
            [v2.RandomResizedCrop(size, scale=augment.area, antialias=False), v2.RandomHorizontalFlip(augment.flip)]
        )
        self.colour = v2.Compose(colour_transforms(augment, size))

    def draw(self, rows: Tensor) -> list[Tensor]:
        """Return two views (B, 3, T, size, size) of the rows' videos, the first one merged."""
        views = [self.cropped(rows) for _ in range(2)]
        views[0] = reference_mask.merge(views[0])
        return [torch.stack([self.colour(clip.transpose(0, 1)).transpose(0, 1) for clip in view]) for view in views]

    def cropped(self, rows: Tensor) -> Tensor:
        starts = self.videos.random_starts(rows, self.config.clip, torch.default_generator)
        raw = self.videos.clips(rows, starts, self.config.clip)
        clips = [self.crop(clip.to(self.device).permute(0, 3, 1, 2).float() / 255) for clip in raw]  # (T, 3, size, size) each
        return torch.stack(clips).transpose(1, 2).contiguous()


def colour_transforms(augment: Augment, size: int) -> list[nn.Module]:
    jitter = v2.ColorJitter(augment.brightness, augment.contrast, augment.saturation, augment.hue)
    kernel = int(0.1 * size) // 2 * 2 + 1
    steps: list[nn.Module] = [v2.RandomGrayscale(augment.grayscale), v2.RandomApply([jitter], augment.jitter)]
    if augment.blur > 0 and kernel > 1:
        steps.append(v2.RandomApply([v2.GaussianBlur(kernel, (0.1, 2.0))], augment.blur))
    return [*steps, v2.Normalize(list(augment.mean), list(augment.std))]


Step = Callable[[], float]


def eager_step(config: Pretrain, videos: VideoSet, rows: Tensor, device: torch.device) -> Step:
    """Return a step as it is written before anybody thinks of speed: contiguous 32-bit modules of torch, eager; its loss."""
    model = MomentumContrast(build_encoder(config.backbone), config.contrast.moco, 0).to(device).train()
    optimiser = torch.optim.AdamW(model.query.parameters(), lr=config.optim.lr, weight_decay=config.optim.weight_decay)
    views = EagerViews(config, videos, device)

    def step() -> float:
        loss, _ = model(*views.draw(rows))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def our_step(config: Pretrain, videos: VideoSet, rows: Tensor, run: Run) -> Step:
    """Return a step as fame/training/pretrain.py takes it; its loss."""
    model = fast_layout(MomentumContrast(build_encoder(config.backbone), config.contrast.moco, 0).to(run.device)).train()
    descent = Descent(build_optimiser(config.optim, model.query.parameters()))
    descend = ContrastStep(model, descent, arithmetic.resolve(config.precision, run.device), run.device)
    views = Views(config, videos, run, 0)
    return lambda: float(descend(*views.draw(rows))[0])


def steps(device: torch.device, scale: Scale, folder: Path) -> dict[str, Step]:
    """Return both steps on the scale's batch of FAME; videos of a selection world (no verdict rests on it) lie in `folder`."""
    small = world(train=64, source=64, small=16, test=8, val=8)
    data, seeds = StagedData(part="source", world=small, short_side=scale.short_side), Seeds(SELECTION_REPLICATES)
    videos = open_videos(data, seeds, folder / "cache")
    stage = Setting(scale).pretraining(fame())
    assert stage is not None and isinstance(stage.config, Pretrain)
    config, run = stage.config, Run(folder, seeds, device, lambda data: videos)
    rows = torch.arange(config.optim.batch) % len(videos)
    return {"eager": eager_step(config, videos, rows, device), "ours": our_step(config, videos, rows, run)}


def stepping(device: torch.device, rounds: int, scale: Scale) -> Ratio:
    """Compare a whole pretraining step of the narrow network with its eager twin."""
    with tempfile.TemporaryDirectory(prefix="fame-benchmarks-") as folder:
        works = steps(device, scale, Path(folder))
        return ratio(alternate(works, rounds, untimed=5, device=device), "eager", "ours")


# ---------------------------------------------------------------- a whole study


def reproducing(device: torch.device, rounds: int, scale: str, before: Path) -> Ratio:
    """Compare the wall clock of `make reproduce` in the checkout `before` with this one's; both run in this environment.

    FameError where `before` is no checkout, or a run fails.
    """
    if not (before / "run_study.py").exists():
        raise FameError(f"--before {before}: no checkout of this project (it has no run_study.py); git worktree add makes one")
    works = {"before": lambda: reproduce(before, device, scale), "ours": lambda: reproduce(ROOT, device, scale)}
    return ratio(alternate(works, rounds, untimed=0), "before", "ours")


def reproduce(checkout: Path, device: torch.device, scale: str) -> None:
    """Run the main job of a checkout on the embedded benchmark, in a new output folder."""
    with tempfile.TemporaryDirectory(prefix="fame-reproduce-") as out:
        command = [sys.executable, "-c", "import run_study; run_study.reproduce_paper()", "--scale", scale, "--dataset", "staged"]
        command += ["--out", out, "--device", str(device)]
        where = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
        done = subprocess.run(command, cwd=checkout, env=where, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FameError(f"the study failed in {checkout}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
