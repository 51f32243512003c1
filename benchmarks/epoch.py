"""(4b) Epochs of R(2+1)D-18 at 112 pixels on real UCF101 clips from the prepared stores: clips a second, and waiting for them.

FAME's pretraining as scale paper has it, but for the batch: the few real clips at hand do not fill the paper's 64 often enough.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.decoding import ROOT, opened
from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.setting import Setting
from benchmarks.timing import spread
from benchmarks.training import FULL, TINY, configured
from fame.config import Pretrain
from fame.data.clips import VideoSet
from fame.run import Run
from fame.seeds import SELECTION_REPLICATES, Seeds
from fame.training.pretrain import pretrain

TITLE = "Real videos: an epoch of R(2+1)D-18 at 112 px"
CODECS = ("raw", "jpeg")
EPOCHS = 4  # the first is not counted: it imports, compiles and reads cold files
WAITING = {
    codec: Target(f"training R(2+1)D-18 at 112 px from the {codec} store waits for data, CPU", 5, "% of the time", at_most=True)
    for codec in CODECS
}
TARGETS = tuple(WAITING.values())


def measure(setting: Setting) -> Outcome:
    backbone, batch = (TINY, 4) if setting.tiny else (FULL, 16)
    config = configured(setting, backbone, batch, threads=setting.threads)
    about = {"clips": batch, "frames": config.clip.frames, "pixels": config.clip.size, "threads": setting.threads}
    sheet = Sheet("epoch", TITLE, about, setting.why_not)
    if not (ROOT / "UCF-101").is_dir():
        for target in TARGETS:
            sheet.skip(target, "there are no UCF101 clips beside the checkout (../shared/real-video)")
        return sheet.outcome()
    config = config.model_copy(update={"optim": config.optim.model_copy(update={"epochs": 2 if setting.quick else EPOCHS})})
    sets = opened(setting)
    for codec in CODECS:
        lines, videos = epochs(config, sets[codec], setting)
        rates = [2 * videos / float(line["seconds"]) for line in lines]  # two clips of each video
        shares = [float(line["waiting"]) for line in lines]
        sheet.add(f"{codec}: clips trained on", spread(rates), "clips/s", note=f"epochs of {videos} videos, two clips each")
        waits, judged = f"{codec}: training waits for data", None if setting.cuda else WAITING[codec]
        sheet.add(waits, spread(shares).scaled(100), "% of the time", target=judged, note="an epoch each")
        if setting.cuda:
            sheet.skip(WAITING[codec], "on a GPU the figure is stated, without a bound")
    return sheet.outcome()


def epochs(config: Pretrain, videos: VideoSet, setting: Setting) -> tuple[list[dict[str, float]], int]:
    """The metrics of every epoch of a pretraining after the first, and the videos of each."""
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        run = Run(Path(folder), Seeds(SELECTION_REPLICATES), setting.device, lambda data: videos)
        notes = pretrain(config, run)["notes"]
        lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    trained = notes["steps"] // config.optim.epochs * notes["batch"]
    return [line for line in lines if "waiting" in line][1:], trained
