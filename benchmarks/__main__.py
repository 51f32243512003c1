"""Measure how fast this checkout is: `python -m benchmarks [merge | step] [--device cuda] [--rounds 9] [--scale quick]`.

`merge` times the released algorithm against ours, `step` a pretraining step in eager torch against ours; each a ratio, slow / fast.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from benchmarks import reference_mask
from fame import ForegroundBackgroundMerge
from fame.backbones import build_encoder, fast_layout
from fame.config import Pretrain, StagedData
from fame.data import open_videos
from fame.data.clips import VideoSet
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.method.views import Views
from fame.run import Run
from fame.seeds import SELECTION_REPLICATES, Seeds
from fame.training.optimiser import build_optimiser
from fame.training.precision import resolve
from fame.training.step import ContrastStep
from studies.harness.hardware import commit, hardware, resolve_device
from studies.harness.pool import KEEP_MEMORY
from studies.setting.resolve import Setting
from studies.setting.scales import SCALES, Scale, world
from studies.study import fame

Work = Callable[[], object]
BATCH = {"cpu": (16, 16, 112), "cuda": (64, 16, 224)}  # clips, frames, pixels a side


def moving_clips(batch: int, frames: int, size: int) -> Tensor:
    """Return float clips (batch, 3, frames, size, size) in [0, 1]: a still backdrop, a square that crosses it, sensor noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, size // 16, size // 16, generator=generator)
    clips = functional.interpolate(coarse, (size, size), mode="bilinear")[:, :, None].repeat(1, 1, frames, 1, 1)
    side = size // 4
    paint = torch.rand(batch, 3, 1, 1, generator=generator)
    for frame in range(frames):
        left = (size - side) * frame // (frames - 1)
        clips[:, :, frame, size // 3 : size // 3 + side, left : left + side] = paint
    return clips.add_(torch.randn(clips.shape, generator=generator), alpha=0.01).clamp_(0, 1)


def merging(device: torch.device) -> tuple[Work, Work]:
    """Return mask and merge of one batch, by benchmarks/reference_mask.py and by FAME."""
    clips = moving_clips(*BATCH[device.type]).to(device)
    ours, generator = ForegroundBackgroundMerge(), torch.Generator().manual_seed(0)
    return lambda: reference_mask.merge(clips, generator=generator), lambda: ours(clips, generator=generator)


def eager_views(config: Pretrain, videos: VideoSet, rows: Tensor, device: torch.device) -> list[Tensor]:
    """Return two views (B, 3, T, size, size) by torchvision's transforms, clip by clip."""
    augment, clip = config.augment, config.clip
    crop = v2.RandomResizedCrop(clip.size, scale=augment.area, antialias=False)
    flip = v2.RandomHorizontalFlip(augment.flip)
    jitter = v2.ColorJitter(augment.brightness, augment.contrast, augment.saturation, augment.hue)
    colour = v2.Compose([v2.RandomGrayscale(augment.grayscale), v2.RandomApply([jitter], augment.jitter)])
    normalise = v2.Normalize(list(augment.mean), list(augment.std))
    views = []
    for _ in range(2):
        raw = videos.clips(rows, videos.random_starts(rows, clip, torch.default_generator), clip)
        clips = [flip(crop(one.to(device).permute(0, 3, 1, 2).float() / 255)) for one in raw]  # (T, 3, size, size) each
        views.append(torch.stack(clips).transpose(1, 2).contiguous())
    views[0] = reference_mask.merge(views[0])
    return [torch.stack([normalise(colour(one.transpose(0, 1))).transpose(0, 1) for one in view]) for view in views]


def stepping(device: torch.device, scale: Scale, folder: Path) -> tuple[Work, Work]:
    """Return a step of FAME on a scale's batch, eager and ours; `folder` takes a selection world's videos."""
    small = world(train=64, source=64, small=16, test=8, val=8)
    data, seeds = StagedData(part="source", world=small, short_side=scale.short_side), Seeds(SELECTION_REPLICATES)
    videos = open_videos(data, seeds, folder / "cache")
    stage = Setting(scale).pretraining(fame())
    assert stage is not None and isinstance(stage.config, Pretrain)
    config, optim = stage.config, stage.config.optim
    rows = torch.arange(optim.batch) % len(videos)
    eager, ours = (MomentumContrast(build_encoder(config.backbone), config.contrast.moco).to(device).train() for _ in range(2))
    plain = torch.optim.AdamW(eager.query.parameters(), lr=optim.lr, weight_decay=optim.weight_decay)

    def slow() -> float:
        """Contiguous modules of torch in 32 bits."""
        loss, _ = eager(*eager_views(config, videos, rows, device))
        plain.zero_grad()
        loss.backward()
        plain.step()
        return float(loss.detach())

    ours = fast_layout(ours)
    step = ContrastStep(ours, build_optimiser(optim, ours.query.parameters()), resolve(config.precision, device), device)
    views = Views(config, videos, Run(folder, seeds, device, lambda data: videos), 0)
    return slow, lambda: float(step(*next(views.pairs([rows])))[0])


def alternate(works: tuple[Work, Work], rounds: int, device: torch.device) -> list[list[float]]:
    """Return the seconds of one call of each in every round, after five untimed rounds; a GPU's work is waited for."""
    seconds: list[list[float]] = [[], []]
    for number in range(-5, rounds):
        for side in (number % 2, 1 - number % 2):
            began = time.perf_counter()
            works[side]()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number >= 0:
                seconds[side].append(time.perf_counter() - began)
    return seconds


def main(words: list[str] | None = None) -> None:
    """Print what was measured on, and for each figure the median of the rounds' ratios, quartiles, seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("figure", nargs="?", choices=["merge", "step"], help="default: both")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--rounds", type=int, choices=range(2, 1000), default=9, metavar="N", help="2 or more (default: 9)")
    parser.add_argument("--scale", default="quick", choices=["smoke", "quick", "mini"], help="of step (default: %(default)s)")
    asked = parser.parse_args(words)
    device = torch.device(resolve_device(asked.device))
    print(json.dumps({"commit": commit(), "threads": torch.get_num_threads(), **hardware(str(device))}))
    for figure in [asked.figure] if asked.figure else ["merge", "step"]:
        with tempfile.TemporaryDirectory(prefix="fame-benchmarks-") as folder:
            works = merging(device) if figure == "merge" else stepping(device, SCALES[asked.scale], Path(folder))
            slow, fast = alternate(works, asked.rounds, device)
        ratios = [one / other for one, other in zip(slow, fast, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        seconds = f"{statistics.median(slow):.4g} s against {statistics.median(fast):.4g} s"
        print(f"{figure}: {median:.2f} ({low:.2f} to {high:.2f}), {seconds}", flush=True)


if __name__ == "__main__":
    # the C library's allocator reads its settings at the start of a process; a study's workers have these
    if any(name not in os.environ for name in KEEP_MEMORY):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**KEEP_MEMORY, **os.environ})
    try:
        main()
    except FameError as error:
        sys.exit(f"error: {error}")
