"""The page from top to bottom trains as the fast path does: the same views, the same losses but for rounding."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest

from fame.config import Clip, Merge, MoCo, Optim
from fame.seeds import Seeds
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, fake_run
from tests.small import NARROW, config, lines

PAGE = Path(__file__).resolve().parents[2] / "examples" / "pretrain_plain.py"
TOLERANCE = 1e-3  # of a loss of about 3: convolutions are summed in another order, and the weights drift apart from there


def test_the_page_has_the_losses_of_the_fast_path(tmp_path: Path) -> None:
    assert len(PAGE.read_text().splitlines()) <= 80
    page, videos = runpy.run_path(str(PAGE)), FakeVideos(frames=16, size=32)
    clip = Clip(frames=4, stride=2, size=24)
    moco = MoCo(dim=8, queue=16, momentum=0.9, key_norm="ema", symmetric=False)
    _, plain = page["pretrain"](videos, Seeds(0), clip=clip, backbone=NARROW, moco=moco, epochs=3, batch=8, lr=1e-3)
    optim = Optim(kind="adamw", lr=1e-3, batch=8, epochs=3)
    asked = config(clip=clip, augment=page["AUGMENT"], moco=moco, merge=Merge(), optim=optim)
    pretrain(asked, fake_run(tmp_path, videos))
    logged = [line["loss"] for line in lines(tmp_path)]
    assert logged == pytest.approx(plain, abs=TOLERANCE)
    assert all(map(math.isfinite, plain))
