"""What the stages compute, pinned: a changed method without a new stage `version` fails here, as a changed default fails by its id.

The tolerances cover other processors and releases of torch, not another method: every number here moves by far more when an
augmentation, the merge, the loss or the generator changes.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fame
from fame.config import Augment, Clip, Merge, MoCo, Optim, StagedData
from fame.data import open_videos
from fame.seeds import Seeds
from fame.training.pretrain import pretrain
from studies.setting.scales import SMOKE
from tests.fakes import FakeVideos, fake_run
from tests.method.test_golden import KEPT, as_clips, golden
from tests.small import config

MOMENTS = [[27.85, 28.83], [29.99, 29.31], [27.41, 26.72]]  # of the stored clips: two staged ones and noise; column and row
LOSSES = {"baseline": 3.0637, "fame": 3.2104}
COLOURS = [[165.8, 74.4, 136.0], [129.7, 126.0, 126.5]]
SPREADS = [[49.2, 49.9, 55.1], [19.8, 16.6, 13.0]]


def test_paper_masks_are_what_they_were():
    """Row and column moments of the kept pixels, per clip: any other mask has others."""
    mask = fame.foreground_mask(as_clips(golden(KEPT)["clips"]))
    ticks = torch.arange(112.0)
    moments = torch.stack([(mask.mean(2) * ticks).mean(1), (mask.mean(1) * ticks).mean(1)], 1)
    assert moments.numpy() == pytest.approx(np.array(MOMENTS), abs=0.15)


@pytest.mark.parametrize("merge", ["baseline", "fame"])
def test_pretraining_is_what_it_was(merge, tmp_path):
    """The loss of two epochs on made-up videos."""
    asked = config(
        clip=Clip(frames=4, stride=2, size=32),
        augment=Augment(area=(0.4, 1.0)),
        merge=Merge() if merge == "fame" else None,
        moco=MoCo(dim=16, queue=16),
        optim=Optim(kind="adamw", lr=1e-3, batch=8, epochs=2),
    )
    found = pretrain(asked, fake_run(tmp_path, FakeVideos()))["metrics"]["loss"]
    assert found == pytest.approx(LOSSES[merge], abs=0.01)


def test_the_benchmark_is_what_it_was(tmp_path):
    """Mean colour and its spread, of the first training and the last test video of world 0, smoke scale, in 8-bit levels."""
    assert SMOKE.world is not None
    videos = open_videos(StagedData(part="A", world=SMOKE.world), Seeds(0), tmp_path)
    rows = torch.tensor([0, len(videos) - 1])
    clips = videos.clips(rows, torch.zeros(2, dtype=torch.long), Clip(frames=8, stride=2, size=32))
    levels = torch.as_tensor(clips).float()
    assert levels.mean((1, 2, 3)).numpy() == pytest.approx(np.array(COLOURS), abs=1.5)
    assert levels.std((1, 2, 3)).numpy() == pytest.approx(np.array(SPREADS), abs=1.5)
