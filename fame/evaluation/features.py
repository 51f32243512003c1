"""Extract frozen features of uniform clips, once for all heads, measures and runs.

The test protocol of the paper: `clips` uniformly spaced clips of a video, centre crop, no augmentation; the encoder in eval mode.
Features are kept in CACHE/features/KEY.npz, where KEY is a hash of all that the numbers depend on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.backbones import Encoder, fast_layout
from fame.backbones.given import load_encoder
from fame.config import Activation, Augment, Backbone, Clip, Finetune, Precision, Probe, Retrieval, identified
from fame.data.clips import VideoSet, too_short
from fame.data.disk import locked
from fame.data.video import DECODER
from fame.errors import NotFinite
from fame.evaluation.predictions import tested_splits
from fame.files import sha256_of, write_atomically
from fame.method.augment import centre_crop, normalise
from fame.run import Run
from fame.training.precision import NAMES, autocast, resolve

BATCH = 64  # clips a forward pass: it moves no number beyond rounding, so it is no scientific choice
VERSION = 1  # of the shared files; raised when `extract` or a network's arithmetic changes
FOLDER = "features"
LIMIT = 4 << 30  # bytes of shared files


def open_encoder(path: Path | None, run: Run) -> tuple[Encoder, Backbone]:
    """Load the upstream stage's encoder, in eval mode on the run's device. ValueError without one."""
    if path is None:
        raise ValueError("this evaluation reads an encoder and was given none; pretraining of kind 'random' makes an untrained one")
    encoder = load_encoder(path)
    assert encoder.loaded is not None
    return fast_layout(encoder.to(run.device)), encoder.loaded.backbone


def opened(
    config: Finetune | Probe | Retrieval | Activation, encoder: Path | None, run: Run
) -> tuple[Encoder, VideoSet, dict[str, Tensor]]:
    """Return the encoder, the videos and the rows of each tested split; sets the number of threads. FameError without a test."""
    torch.set_num_threads(config.threads)
    net, _ = open_encoder(encoder, run)
    videos = run.videos(config.data)
    return net, videos, tested_splits(videos, config.clip)


def notes_of(config: Finetune | Probe | Retrieval, videos: VideoSet, splits: Iterable[str], run: Run) -> dict[str, Any]:
    """Return what the notes of all these stages tell: the arithmetic, and how many videos of `splits` are too short."""
    return {
        "precision": NAMES[resolve(config.precision, run.device)],
        **too_short(videos, list(splits), config.clip),
    }


def batches(videos: VideoSet, rows: Tensor, clip: Clip, clips: int, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Yield float crops (B, 3, T, size, size) in [0, 1] of `clips` uniform clips of each row; of one clip, the middle one."""
    starts = middle_starts(videos, rows, clip) if clips == 1 else videos.uniform_starts(rows, clip, clips).reshape(-1)
    for part, begin in zip(rows.repeat_interleave(clips).split(batch), starts.split(batch), strict=True):
        yield centre_crop(videos.clips(part, begin, clip), clip.size, resize=clip.resize).to(device)


def middle_starts(videos: VideoSet, rows: Tensor, clip: Clip) -> Tensor:
    """The start of the middle one of three uniform clips of each row: LongTensor (B,)."""
    return videos.uniform_starts(rows, clip, 3)[:, 1]


def middle_clips(
    videos: VideoSet, rows: Tensor, clip: Clip, batch: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield float crops (B, 3, T, size, size) in [0, 1] of middle clips and, where known, true figures, bool (B, T, size, size)."""
    for part, begin in zip(rows.split(batch), middle_starts(videos, rows, clip).split(batch), strict=True):
        truth = videos.true_masks(part, begin, clip)
        truth = None if truth is None else centre_crop(truth, clip.size, resize=clip.resize) >= 0.5
        yield centre_crop(videos.clips(part, begin, clip), clip.size, resize=clip.resize).to(device), truth


@torch.inference_mode()
def extract(
    encoder: Encoder,
    videos: VideoSet,
    rows: Tensor,
    *,
    clip: Clip,
    clips: int,
    device: torch.device,
    augment: Augment | None = None,
    precision: Precision = "auto",
    batch: int = BATCH,
) -> Tensor:
    """Return pooled features, float32 (N, clips, dim) on the CPU; puts the encoder in eval mode. NotFinite for NaN or infinity."""
    if not len(rows):
        return torch.empty(0, clips, encoder.dim)
    encoder.eval()
    found = []
    for clip_batch in batches(videos, rows, clip, clips, batch, device):
        with autocast(resolve(precision, device), device):
            found.append(encoder(normalise(clip_batch, augment or Augment())).float().cpu())
    features = torch.cat(found).reshape(len(rows), clips, -1)
    if not features.isfinite().all():
        raise NotFinite(
            "the encoder gives features that are not finite: its training diverged; lower the learning rate and pretrain again"
        )
    return features


def shared_features(
    net: Encoder, encoder: Path | None, videos: VideoSet, rows: Tensor, config: Probe | Retrieval, run: Run
) -> Tensor:
    """Extract by `net`, whose weights are the file `encoder`, or read from `run.cache`. OSError where that cannot be written."""
    normal = config.augment if isinstance(config, Probe) else Augment()

    def extracted() -> Tensor:
        how = {"clip": config.clip, "clips": config.clips, "augment": normal, "precision": config.precision}
        return extract(net, videos, rows, **how, device=run.device)  # type: ignore[arg-type]

    if run.cache is None or encoder is None:
        return extracted()
    dtype = NAMES[resolve(config.precision, run.device)]
    about = {
        "version": VERSION,
        "encoder": sha256_of(encoder),
        "videos": [videos.store.manifest, videos.store.short_side, videos.store.codec, DECODER],
        "rows": hashlib.sha256(rows.numpy().tobytes()).hexdigest(),
        "clip": identified(config.clip),
        "clips": config.clips,
        "normalised": [normal.mean, normal.std],
        # not science, but rounding depends on it
        "arithmetic": [dtype, run.device.type, torch.get_num_threads(), BATCH, torch.__version__],
    }
    key = json.dumps(about, sort_keys=True)
    file = run.cache / FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    if (found := _read(file, key)) is not None:
        return found
    with locked(file):
        if (found := _read(file, key)) is not None:
            return found  # made by the process that held the lock
        found = extracted()
        _make_room(file.parent, found.nbytes)
        write_atomically(file, lambda beside: _write(beside, key, found))
    return found


def _read(file: Path, key: str) -> Tensor | None:
    try:
        with np.load(file, allow_pickle=False) as held:
            return torch.from_numpy(held["features"]) if str(held["key"]) == key else None
    except Exception:  # a damaged archive raises many kinds, and whatever it is, the file is made again
        return None


def _write(file: Path, key: str, features: Tensor) -> None:
    with file.open("wb") as target:  # a file, as numpy adds .npz to a name
        np.savez(target, features=features.numpy(), key=np.array(key))


def _make_room(folder: Path, needed: int) -> None:
    """Remove the files written first until `needed` more bytes stay below LIMIT. A reader that has one open reads on."""
    held = []
    for file in folder.glob("*.npz"):
        with suppress(FileNotFoundError):  # another process makes room as well
            facts = file.stat()
            held.append((facts.st_mtime, facts.st_size, file))
    free = LIMIT - needed - sum(size for _, size, _ in held)
    for _, size, file in sorted(held):
        if free >= 0:
            return
        file.unlink(missing_ok=True)
        free += size
