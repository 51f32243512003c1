"""Finetuning (paper, tables 1-5): encoder, dropout and a linear head, all weights trained on the target's `train` split.

Test: `clips` uniform clips a video, centre crop, softmax outputs averaged. What is reported is the last epoch; no test video is
looked at before it, unless `test_every` asks for the released code's looks. Their best is `test_best/top1`, a number chosen on the
test split, and nothing else depends on it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor, nn

from fame.config import Finetune
from fame.data.fitting import too_short
from fame.evaluation.features import extract, open_encoder
from fame.evaluation.predictions import TEST, metrics_from, predictions, tested_splits, training_rows, write_predictions
from fame.files import write_json
from fame.training import precision as arithmetic
from fame.training.supervised import Classifier, train_classifier

if TYPE_CHECKING:
    from fame.data.clips import VideoSet
    from fame.run import Run
    from fame.seeds import Seeds

HEAD = "biased"
LOOKS = "test_looks.json"  # top1 by epoch, until the run is done: a break shall not lose them


def draw_head(layer: nn.Linear, seeds: Seeds, purpose: str) -> None:
    """Draw the weights of `layer` anew, in place, from the seed of (`purpose`, "head") and from no global stream."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.of(purpose, "head"))
        layer.reset_parameters()


@torch.inference_mode()
def classify(head: nn.Module, features: Tensor) -> Tensor:
    """Clip features (N, clips, dim) -> predicted classes (N,): softmax per clip, averaged over the clips of a video."""
    return head(features).softmax(dim=-1).mean(dim=1).argmax(dim=-1)


def finetune(config: Finetune, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Finetune and test; continues from `checkpoint.pt`. Writes `predictions.csv` and returns the stage's result."""
    arithmetic.set_threads(config.threads)
    net, _ = open_encoder(encoder, run)
    videos = run.videos(config.data)
    tests = tested_splits(videos, config.clip)  # before training: a set that cannot be tested is found out at once
    model = Classifier(net, len(videos.classes), config.dropout)
    draw_head(model.linear, run.seeds, "finetune")
    trained = train_classifier(
        model,
        videos,
        training_rows(videos, config.clip),
        clip=config.clip,
        augment=config.augment,
        optim=config.optim,
        precision=config.precision,
        accumulate=config.accumulate,
        run=run,
        purpose="finetune",
        keep=True,  # until it is tested: a break during the test does not cost the training
        after_epoch=_looking(config, model, videos, tests[TEST], run) if config.test_every else None,
    )
    frames = [predictions(videos, rows, split, HEAD, _predicted(config, model, videos, rows, run)) for split, rows in tests.items()]
    table = pd.concat(frames, ignore_index=True)
    artifacts = [write_predictions(run.folder, table)]
    metrics, best = metrics_from(table), {}
    if config.test_every:
        looks = _looks(run) | {config.optim.epochs: metrics["top1"]}
        epoch = max(looks, key=lambda one: (looks[one], -one))
        metrics["test_best/top1"], best = looks[epoch], {"test_best": {"epoch": epoch, "looks": looks}}
    for name in ("checkpoint.pt", LOOKS):
        (run.folder / name).unlink(missing_ok=True)
    notes: dict[str, Any] = {
        "reported": "last epoch",
        "training": trained,
        "precision": arithmetic.name(arithmetic.resolve(config.precision, run.device)),
        "videos": {split: len(rows) for split, rows in tests.items()},
        **best,
        **too_short(videos, ["train", *tests], config.clip),
    }
    return {"metrics": metrics, "artifacts": artifacts, "notes": notes}


def _predicted(config: Finetune, model: Classifier, videos: VideoSet, rows: Tensor, run: Run) -> Tensor:
    """Classes (N,) that the model, as it stands, gives the rows."""
    features = extract(
        model.encoder,
        videos,
        rows,
        clip=config.clip,
        clips=config.clips,
        augment=config.augment,
        precision=config.precision,
        device=run.device,
    )
    return classify(copy.deepcopy(model.linear).cpu(), features)  # a copy: training goes on with the one on the device


def _looking(config: Finetune, model: Classifier, videos: VideoSet, rows: Tensor, run: Run) -> Callable[[int], None]:
    """After epochs 1, 1 + `test_every`, ...: the accuracy on `rows`, kept in LOOKS. The last epoch is tested anyway."""

    def look(epoch: int) -> None:
        if (epoch - 1) % config.test_every == 0 and epoch < config.optim.epochs:
            right = _predicted(config, model, videos, rows, run) == videos.labels[rows]
            write_json(run.folder / LOOKS, _looks(run) | {epoch: 100 * right.double().mean().item()})

    return look


def _looks(run: Run) -> dict[int, float]:
    """What LOOKS holds; empty where there is none."""
    path = run.folder / LOOKS
    return {int(epoch): top1 for epoch, top1 in json.loads(path.read_text(encoding="utf-8")).items()} if path.exists() else {}
