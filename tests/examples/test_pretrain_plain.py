"""The page from top to bottom trains as the fast path does: the same views, the same losses but for rounding."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path

import pytest

from fame.config import Backbone, Clip, Merge, MoCo, Optim
from fame.seeds import Seeds
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, contrast, fake_data, fake_run

PAGE = Path(__file__).resolve().parents[2] / "examples" / "pretrain_plain.py"
TOLERANCE = 1e-3  # of a loss of about 3: convolutions are summed in another order, and the weights drift apart from there


def test_the_page_has_the_losses_of_the_fast_path(tmp_path: Path) -> None:
    assert len(PAGE.read_text().splitlines()) <= 80
    page, videos = runpy.run_path(str(PAGE)), FakeVideos(frames=16, size=32)
    clip, backbone = Clip(frames=4, stride=2, size=24), Backbone(name="r2plus1d_narrow", width=4)
    moco = MoCo(dim=8, queue=16, momentum=0.9, key_norm="ema", symmetric=False)
    _, plain = page["pretrain"](videos, Seeds(0), clip=clip, backbone=backbone, moco=moco, epochs=3, batch=8, lr=1e-3)
    config = contrast(
        data=fake_data(),
        clip=clip,
        augment=page["AUGMENT"],
        backbone=backbone,
        moco=moco,
        merge=Merge(),
        optim=Optim(kind="adamw", lr=1e-3, batch=8, epochs=3),
        precision="fp32",
    )
    run = fake_run(tmp_path, videos)
    pretrain(config, run)
    logged = [json.loads(line)["loss"] for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert logged == pytest.approx(plain, abs=TOLERANCE)
    assert all(map(math.isfinite, plain))
