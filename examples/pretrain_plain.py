"""FAME from top to bottom on one page: videos, two views, merging, momentum contrast, AdamW. The public API, nothing hidden.

    python examples/pretrain_plain.py [DIR]     # DIR/CLASS/VIDEO; without it the embedded benchmark, rendered once

The method only: no resuming, no several GPUs, no reading ahead. fame/training/pretrain.py does the same with those, and
tests/examples/test_pretrain_plain.py holds both to the same losses.
"""

import sys
from pathlib import Path

import torch

from fame import ForegroundBackgroundMerge
from fame.backbones import build_encoder
from fame.config import Augment, Backbone, Clip, MoCo, StagedData, VideoData
from fame.data import open_videos, scan_videos
from fame.method.augment import colour_normalised, random_crops
from fame.method.moco import MomentumContrast
from fame.seeds import Seeds
from studies.setting.scales import QUICK

CLIP = Clip(frames=8, stride=2, size=32)
AUGMENT = Augment(area=(0.4, 1.0), blur=0.0, grayscale=0.1, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05)
BACKBONE = Backbone(name="r2plus1d_narrow", width=8)
MOCO = MoCo(dim=64, queue=128, momentum=0.99, temperature=0.1, key_norm="ema", symmetric=False)
MERGE = ForegroundBackgroundMerge(beta=0.5)
EPOCHS, BATCH, LR = 20, 32, 2e-3
CACHE = Path("out/cache")


def videos_of(folder, seeds):
    """Open class folders of videos, or the embedded benchmark: rendered or decoded once, then mapped from CACHE."""
    if folder is None:
        return open_videos(StagedData(part="A", world=QUICK.world, short_side=QUICK.world.size), seeds, CACHE, None)
    digest = scan_videos(folder, "folder", 1, CACHE).digest()
    return open_videos(VideoData(kind="folder", manifest=digest, short_side=64), seeds, CACHE, folder)


def pretrain(videos, seeds, *, clip=CLIP, augment=AUGMENT, backbone=BACKBONE, moco=MOCO, epochs=EPOCHS, batch=BATCH, lr=LR):
    """Train an encoder on split train of `videos`; return it and the mean loss of each epoch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = build_encoder(backbone, seeds.of("initialisation"))
    model = MomentumContrast(encoder, moco, seeds.of("head")).to(device).train()
    optimiser = torch.optim.AdamW(model.query.parameters(), lr=lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, epochs))
    rows = videos.select("train")
    batch, losses = min(batch, len(rows)), []
    for epoch in range(epochs):
        order, starts, views, merging = (seeds.generator(one, epoch) for one in ("order", "starts", "views", "merging"))
        shuffled = rows[torch.randperm(len(rows), generator=order)]
        total = 0.0
        for part in shuffled[: len(rows) // batch * batch].split(batch):
            raw = [videos.clips(part, videos.random_starts(part, clip, starts), clip) for _ in range(2)]
            first, second = (random_crops(one.to(device), clip.size, augment, views) for one in raw)
            first = MERGE(first, generator=merging)  # view 0 gets another video's background
            first, second = (colour_normalised(one, augment, views) for one in (first, second))
            loss, _ = model(first, second)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        schedule.step()
        losses.append(total / (len(rows) // batch))
        print(f"epoch {epoch + 1}/{epochs}: loss {losses[-1]:.4f}", flush=True)  # noqa: T201
    return encoder, losses


if __name__ == "__main__":
    seeds = Seeds(0)
    encoder, _ = pretrain(videos_of(Path(sys.argv[1]) if len(sys.argv) > 1 else None, seeds), seeds)
    torch.save(encoder.state_dict(), "encoder.pt")
