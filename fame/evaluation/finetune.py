"""Finetune (paper, tables 1-5): encoder, dropout and a linear head, all weights trained on the target's `train` split.

No test video is looked at before the last epoch, which is the one reported.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from fame.config import Finetune
from fame.evaluation.artifacts import write_table
from fame.evaluation.features import extract, notes_of, opened
from fame.evaluation.predictions import FILE, metrics_from, predictions, training_rows
from fame.run import Run
from fame.training.supervised import Classifier, train_classifier

HEAD = "biased"


@torch.inference_mode()
def classify(head: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """Clip features (N, clips, dim) -> predicted classes (N,): softmax per clip, averaged over the clips of a video."""
    return head(features).softmax(dim=-1).mean(dim=1).argmax(dim=-1)


def finetune(config: Finetune, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Finetune and test; continues from `checkpoint.pt`. Writes `predictions.csv` and returns the stage's result."""
    net, videos, tests = opened(config, encoder, run)
    model = Classifier(net, len(videos.classes), config.dropout, run.seeds.of("finetune", "head"))
    # keep: until it is tested, as a break during the test must not cost the training
    trained = train_classifier(model, videos, training_rows(videos, config.clip), config, run, purpose="finetune", keep=True)
    how = {"clip": config.clip, "clips": config.clips, "augment": config.augment, "precision": config.precision}
    frames = []
    for split, rows in tests.items():
        features = extract(model.encoder, videos, rows, **how, device=run.device)  # type: ignore[arg-type]
        frames.append(predictions(videos, rows, split, HEAD, classify(model.linear.cpu(), features)))
    table = pd.concat(frames, ignore_index=True)
    artifacts = [write_table(run.folder, FILE, table)]
    (run.folder / "checkpoint.pt").unlink(missing_ok=True)
    notes = {
        "reported": "last epoch",
        "training": trained,
        "videos": {split: len(rows) for split, rows in tests.items()},
    }
    notes |= notes_of(config, videos, ["train", *tests], run)
    return {"metrics": metrics_from(table), "artifacts": artifacts, "notes": notes}
