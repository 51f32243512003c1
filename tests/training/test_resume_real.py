"""A pretraining on packed videos, killed within an epoch (kill -9) and gone on with in a new process, ends bit for bit the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fame.backbones.given import load_encoder
from fame.config import Backbone, Clip, Merge, MoCo, Optim, Pretrain, VideoData
from fame.data import scan_videos
from tests.fakes import contrast
from tests.videos import moving_square, write_video

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
EPOCHS, BATCH, VIDEOS = 6, 4, 12
TRAINING = """
import sys, time
from pathlib import Path
import torch
import fame.backbones.checkpoint
from fame.config import Pretrain
from fame.data import open_videos
from fame.data.clips import VideoSet
from fame.training.pretrain import pretrain
from fame.files import write_json
from fame.run import Run
from fame.seeds import Seeds

configuration, root, cache, folder, seconds = sys.argv[1:]
fame.backbones.checkpoint.EVERY = 0.0
clips = VideoSet.clips
def slowly(*given):
    time.sleep(float(seconds))
    return clips(*given)
VideoSet.clips = slowly
seeds = Seeds(3)
run = Run(Path(folder), seeds, torch.device("cpu"), lambda data: open_videos(data, seeds, Path(cache), Path(root)))
write_json(Path(folder) / "done.json", pretrain(Pretrain.model_validate_json(configuration), run))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("resume")
    for index in range(VIDEOS):
        shown = moving_square(10 + 3 * index, 40, 48, seed=index)
        write_video(root / "set" / "train" / "ab"[index % 2] / f"{index}.mp4", shown, codec="libx264")
    return root


def started(config: Pretrain, root: Path, folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    words = [config.model_dump_json(), str(root / "set"), str(root / "cache"), str(folder), str(seconds)]
    return subprocess.Popen([sys.executable, "-c", TRAINING, *words], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})


def steps(folder: Path) -> list[int]:
    log = folder / "metrics.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("}")]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_encoder(folder / "encoder.pt").state_dict()


def test_killed_within_an_epoch_and_gone_on_with_it_ends_the_same(root: Path, tmp_path: Path) -> None:
    digest = scan_videos(root / "set", "folder", 1, root / "cache").digest()
    config = contrast(
        data=VideoData(kind="folder", manifest=digest, short_side=24, codec="jpeg"),
        clip=Clip(frames=4, stride=2, size=16),
        merge=Merge(beta=0.5),
        backbone=Backbone(name="r2plus1d_narrow", width=4),
        moco=MoCo(dim=8, queue=8, momentum=0.9),
        optim=Optim(kind="adamw", lr=1e-3, batch=BATCH, epochs=EPOCHS),
        precision="fp32",
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert started(config, root, whole, 0).wait(300) == 0
    for after in (2, 4):  # twice
        process = started(config, root, killed, 0.3)
        until = time.monotonic() + 200
        while len(steps(killed)) < after and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.4)  # into the next epoch, whose batches take 0.6 s each at least
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert after <= len(steps(killed)) < EPOCHS and (killed / "checkpoint.pt").exists()
        assert not (killed / "encoder.pt").exists()
    assert started(config, root, killed, 0).wait(300) == 0
    assert steps(killed) == steps(whole) == list(range(1, EPOCHS + 1))  # none was done twice
    mine, theirs = weights(killed), weights(whole)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    told = [json.loads((folder / "done.json").read_text())["metrics"] for folder in (killed, whole)]
    assert told[0] == told[1] and told[0]["loss"] > 0
