"""(4) The loading path: clips a second out of a prepared store, and the share of a real training run that waits for them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.setting import Setting, threads
from benchmarks.timing import Spread, alternate, spread
from benchmarks.training import NARROW, TINY, batch_of, configured, videos_for
from fame.run import Run
from fame.seeds import SELECTION_REPLICATES, Seeds
from fame.training.pretrain import pretrain

TITLE = "Loading: clips a second, and waiting for them"
EPOCHS = 6  # of the training run; the first is not counted: it imports and compiles
WAITING = Target("training on the embedded benchmark waits for data, CPU", 5, "% of the time", at_most=True)
TARGETS = (WAITING,)


def measure(setting: Setting) -> Outcome:
    backbone, batch = (TINY, 4) if setting.tiny else (NARROW, 32)
    config = configured(setting, backbone, batch, threads=1)
    _, videos = videos_for(setting, backbone)
    clip, rows = config.clip, batch_of(videos, batch)
    sheet = Sheet("loading", TITLE, {"clips": batch, "frames": clip.frames, "threads": 1}, setting.why_not)
    with threads(1):
        generator = torch.Generator().manual_seed(0)
        read = lambda: videos.clips(rows, videos.random_starts(rows, clip, generator), clip)  # noqa: E731
        took = alternate({"read": read}, setting.rounds).of("read")
        moved = sum(part.numel() for part in read())
        rate = Spread(batch / took.median, batch / took.high, batch / took.low, took.rounds)
        limits = setting.limits(1)
        least = limits.moving(0, moved) if not setting.cuda else None
        sheet.add("clips read", rate, "clips/s", least=batch / least if least else None)
        waits = waiting(config.model_copy(update={"optim": config.optim.model_copy(update={"epochs": EPOCHS})}), videos, setting)
    sheet.notes.append("The few videos read here fit a cache, so they may come faster than memory's bandwidth allows.")
    if not waits:
        sheet.skip(WAITING, "the run's metrics.jsonl tells no share of waiting")
    else:
        target = None if setting.cuda else WAITING
        sheet.add("training waits for data", spread(waits).scaled(100), "% of the time", target=target, note="a value an epoch")
        if setting.cuda:
            sheet.skip(WAITING, "on a GPU the figure is stated, without a bound")
    return sheet.outcome()


def waiting(config, videos, setting: Setting) -> list[float]:  # type: ignore[no-untyped-def]
    """Shares in 0..1, one an epoch after the first, of a short pretraining; empty where it records none."""
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        run = Run(Path(folder), Seeds(SELECTION_REPLICATES), setting.device, lambda data: videos)
        pretrain(config, run)
        lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return [float(line["waiting"]) for line in lines[1:] if "waiting" in line]
