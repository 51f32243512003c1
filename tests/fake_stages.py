"""Stages that take no time; `plan.json` in OUT says what goes wrong: {stage id: what}.

A worker process imports this module by name.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from fame.errors import FameError, NotFinite
from fame.files import write_atomically
from fame.run import Run
from fame.seeds import SELECTION_REPLICATES

EVALUATIONS = ("finetune", "probe", "retrieval", "kernels", "activation", "masks")
FAKES = {"videos": "fake_stages:videos", "pretrain": "fake_stages:pretrain"} | dict.fromkeys(EVALUATIONS, "fake_stages:evaluate")


class FakeSet:
    """What `open_videos` gives; its digest says where its videos lie on disk."""

    def __init__(self, root: Path | None) -> None:
        self.root = root

    @property
    def manifest(self) -> FakeSet:
        return self

    def digest(self) -> str:
        return str(self.root) if self.root else "fade00000000"


def videos(data: Any, seeds: Any, cache: Path, root: Path | None, jobs: int, progress: Any, most_broken: float) -> FakeSet:
    if progress:
        progress("rendering", 1, 1)
    return FakeSet(root)


def pretrain(config: Any, run: Run) -> dict[str, Any]:
    if config.data is not None:
        run.videos(config.data)
    checkpoint = run.folder / "checkpoint.pt"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    wrong = _trouble(run)
    for epoch in range(done, 4):
        while wrong == "hold" and epoch == 1:  # until it is told to end
            time.sleep(0.05)
        if wrong == "slow":
            time.sleep(0.5)
        run.log(step=epoch + 1, steps=4, loss=1.0)
        write_atomically(checkpoint, lambda beside, epoch=epoch: beside.write_text(str(epoch + 1)))
        if wrong == "kill once" and not done and epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    (run.folder / "encoder.pt").write_text("weights")
    checkpoint.unlink()
    return {"metrics": {"loss": 1.0, "started_at": float(done)}, "artifacts": ["encoder.pt"], "notes": {}}


def evaluate(config: Any, encoder: Path | None, run: Run) -> dict[str, Any]:
    if getattr(config, "data", None) is not None:
        run.videos(config.data)
    _trouble(run)
    found = encoder.read_text() if encoder else ""
    artifacts = []
    if run.seeds.replicate >= SELECTION_REPLICATES:  # a search reads its objective off two videos, one of them right
        lines = "val/balanced,biased,0,0,1\nval/balanced,biased,0,1,1\n"
        (run.folder / "predictions.csv").write_text(f"condition,head,label,predicted,scene_action\n{lines}")
        artifacts = ["predictions.csv"]
    return {
        "metrics": {"top1": 50.0, "val/top1": 50.0, "replicate": float(run.seeds.replicate), "encoder": float(len(found))},
        "artifacts": artifacts,
    }


def _trouble(run: Run) -> str:
    """Raise, or return the name of, what the test wants to go wrong with this run."""
    file = run.folder.parents[2] / "plan.json"
    what: str = json.loads(file.read_text()).get(run.folder.parent.name, "") if file.exists() else ""
    if what == "print":
        sys.stderr.write("said by the stage\n")
    if what == "fail":
        raise RuntimeError("it did\nnot work")
    if what == "user":
        raise FameError("the videos are gone; bring them back")
    if what == "not finite":
        raise NotFinite("the loss is nan")
    if what == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    return what
