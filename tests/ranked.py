"""A small set on disk, and pretrainings on it in processes of their own, slow enough to be killed within an epoch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from fame.config import Merge, MoCo, Optim, Pretrain, VideoData
from fame.data import open_videos, scan_videos
from fame.run import Run
from fame.seeds import Seeds
from tests.programs import ROOT, until
from tests.small import config
from tests.videos import moving_square, write_video

SLOW = """
import os, time, torch
import fame.training.checkpoint
from fame.data.clips import VideoSet
from fame.method.moco import MomentumContrast
fame.training.checkpoint.EVERY = 0.0
read, enqueue = VideoSet.clips, MomentumContrast.enqueue
def clips(self, *given):
    time.sleep(0.3)
    return read(self, *given)
def kept(self, keys):
    places = enqueue(self, keys)
    torch.save(self.queue, {folder!r} + "/queue" + os.environ.get("RANK", "0"))
    return places
VideoSet.clips, MomentumContrast.enqueue, STUDY = clips, kept, None
"""


def asked_on(root: Path, **changes: Any) -> Pretrain:
    """A pretraining of four epochs on twelve videos, which are written to root/set."""
    for index in range(12):
        shown = moving_square(10 + 3 * index, 40, 48, seed=index)
        write_video(root / "set" / "train" / "ab"[index % 2] / f"{index}.mp4", shown, codec="libx264")
    digest = scan_videos(root / "set", "folder", 1, root / "cache").digest()
    data = VideoData(kind="folder", manifest=digest, short_side=24, codec="jpeg")
    optim = Optim(kind="adamw", lr=1e-3, batch=6, epochs=4)
    return config(**{"data": data, "merge": Merge(), "moco": MoCo(dim=8, queue=16), "optim": optim, **changes})


def run_of(folder: Path, root: Path) -> Run:
    folder.mkdir(exist_ok=True)
    seeds = Seeds(3)
    return Run(
        folder, seeds, torch.device("cpu"), lambda data: open_videos(data, seeds, root / "cache", root / "set"), root / "cache"
    )


def started(folder: Path, asked: Pretrain, root: Path, *launcher: str) -> subprocess.Popen[str]:
    """`python -m fame.training`, or torchrun with these options; reading a batch takes 0.3 s more, each rank keeps its queue."""
    slow, file = root / "slow.py", root / "asked.json"
    slow.write_text(SLOW.format(folder=str(root)))
    file.write_text(asked.model_dump_json())
    words = ["-m", "fame.training", str(file), str(folder), "--replicate", "3", "--plugin", str(slow), "--device", "cpu"]
    words += ["--data-root", str(root / "set"), "--cache", str(root / "cache")]
    before = ["-m", "torch.distributed.run", *launcher] if launcher else []
    return subprocess.Popen(
        [sys.executable, *before, *words],
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def ranks_in(folder: Path) -> list[int]:
    """The processes that are at a pretraining in `folder`, its launchers included."""
    found = []
    for words in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in words.read_bytes().split(b"\0"):
                found.append(int(words.parent.name))
        except OSError:
            continue
    return found


def killed(folder: Path, launcher: int) -> None:
    """Kill -9 a launcher; its ranks end by themselves."""
    os.kill(launcher, signal.SIGKILL)
    until(lambda: not [one for one in ranks_in(folder) if one != launcher], 20)
