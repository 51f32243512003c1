"""Probe frozen features by a linear classifier (paper, table 5), trained by one of two solvers.

- `lbfgs`: logistic regression on features of `clips` uniform clips of every training video.
- `sgd`: the paper's protocol. Backbone frozen in eval mode, clips augmented at random, learning rate 30 stepped.

Split `balanced`, where there is one, has as many videos as `train`, and their scenes do not go with the action.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from fame.backbones import Encoder
from fame.backbones.given import read_weights
from fame.config import Probe
from fame.data.clips import VideoSet, fitting
from fame.errors import FameError
from fame.evaluation.artifacts import write_table
from fame.evaluation.features import notes_of, opened, shared_features
from fame.evaluation.finetune import classify
from fame.evaluation.floors import described
from fame.evaluation.logistic import fit_logistic
from fame.evaluation.predictions import FILE, metrics_from, predictions, tested_splits, training_rows
from fame.files import write_atomically
from fame.run import Run
from fame.training.checkpoint import weights_digest
from fame.training.supervised import Classifier, train_classifier

TRAINING_SPLITS = {"biased": "train", "balanced": "balanced"}  # head: split


def probe(config: Probe, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Train the heads and test them on every condition, or by cross-validation; writes `predictions.csv`."""
    if config.reads != "encoder":
        videos = run.videos(config.data)
        return _by_folds(config, videos, partial(described, videos, config=config), run)
    net, videos, tests = opened(config, encoder, run)
    if videos.folds():
        return _by_folds(config, videos, lambda rows: shared_features(net, encoder, videos, rows, config, run), run)
    training = {head: fitting(videos, videos.select(split), config.clip) for head, split in TRAINING_SPLITS.items()}
    training = {"biased": training_rows(videos, config.clip)} | {head: rows for head, rows in training.items() if len(rows)}
    seen: dict[str, Tensor] = {}  # one pass over each split, shared by all heads

    def features(split: str, rows: Tensor) -> Tensor:
        if split not in seen:
            seen[split] = shared_features(net, encoder, videos, rows, config, run)
            run.log(phase=f"features of {split}", videos=len(rows))
        return seen[split]

    frames: list[pd.DataFrame] = []
    fits: dict[str, Any] = {}
    head: Callable[[Tensor], Tensor]
    for name, rows in training.items():
        if config.solver == "lbfgs":
            split = TRAINING_SPLITS[name]
            head, fits[name] = fit_logistic(features(split, rows), videos.labels[rows], len(videos.classes), config.l2)
        else:
            model = FrozenClassifier(net, len(videos.classes), run.seeds.of(f"probe/{name}", "head"))
            head, fits[name] = _sgd_head(config, model, videos, rows, name, run)
        for split, tested in tests.items():
            frames.append(predictions(videos, tested, split, name, classify(head, features(split, tested))))
    table = pd.concat(frames, ignore_index=True)
    metrics = metrics_from(table) | scene_metrics(videos, config.l2, training, tests, features)
    artifacts = [write_table(run.folder, FILE, table)]
    for name in training:
        _kept(run, name).unlink(missing_ok=True)
    counts = {split: len(rows) for split, rows in (training | tests).items()}
    notes = {"solver": config.solver, "training": fits, "videos": counts}
    notes |= notes_of(config, videos, [*(TRAINING_SPLITS[name] for name in training), *tests], run)
    return {"metrics": metrics, "artifacts": artifacts, "notes": notes}


def _by_folds(config: Probe, videos: VideoSet, features: Callable[[Tensor], Tensor], run: Run) -> dict[str, Any]:
    """Test every video once, by a logistic head that is trained on the other folds; a single split is one fold of two."""
    tests = videos.folds() or [tested_splits(videos)["test"]]
    rows = torch.cat(tests if len(tests) > 1 else [*tests, training_rows(videos, config.clip)])
    found, labels = features(rows), videos.labels[rows]
    frames = []
    for number, held in enumerate(tests, start=1):
        chosen = torch.isin(rows, held)
        head, _ = fit_logistic(found[~chosen], labels[~chosen], len(videos.classes), config.l2)
        frames.append(predictions(videos, rows[chosen], "test", "biased", classify(head, found[chosen])))
        run.log(step=number, steps=len(tests), phase="folds")
    table = pd.concat(frames, ignore_index=True)
    notes = {"solver": "lbfgs", "folds": [len(held) for held in tests]}
    return {"metrics": metrics_from(table), "artifacts": [write_table(run.folder, FILE, table)], "notes": notes}


def scene_metrics(
    videos: VideoSet,
    l2: float,
    training: dict[str, Tensor],
    tests: dict[str, Tensor],
    features: Callable[[str, Tensor], Tensor],
) -> dict[str, float]:
    """Return `scene/top1`, the percentage of videos whose scene family is read off frozen features; empty without known scenes."""
    # preferred are the splits in which the action tells nothing of the scene
    name = "balanced" if "balanced" in training else "biased"
    tested = "test/deranged" if "test/deranged" in tests else "test"
    scene = videos.tag("scene")
    known = sorted({scene[row] for row in training[name].tolist()} - {""})
    if len(known) < 2:
        return {}

    def labelled(split: str, rows: Tensor) -> tuple[Tensor, Tensor]:
        at = [place for place, row in enumerate(rows.tolist()) if scene[row] in known]
        return features(split, rows)[at], torch.tensor([known.index(scene[int(rows[place])]) for place in at], dtype=torch.long)

    there, families = labelled(tested, tests[tested])
    if not len(families):
        return {}
    head, _ = fit_logistic(*labelled(TRAINING_SPLITS[name], training[name]), len(known), l2)
    return {"scene/top1": float(100 * (classify(head, there) == families).float().mean())}


class FrozenClassifier(Classifier):
    """Train a linear head on an encoder that takes no gradient and stays in eval mode: its batch statistics do not move."""

    def __init__(self, encoder: Encoder, classes: int, seed: int = 0):
        super().__init__(encoder.requires_grad_(False), classes, seed=seed)

    def train(self, mode: bool = True) -> FrozenClassifier:
        super().train(mode)
        self.encoder.eval()
        return self


def _sgd_head(
    config: Probe, model: FrozenClassifier, videos: VideoSet, rows: Tensor, name: str, run: Run
) -> tuple[nn.Linear, dict[str, Any]]:
    """Train the head in place, and keep it until the stage ends: a break in the second does not cost the first."""
    kept, begun = _kept(run, name), weights_digest(model)
    with suppress(FameError):  # there is none, or it is damaged
        state = read_weights(kept)
        if state.get("begun") == begun:
            model.linear.load_state_dict(state["head"])
            return model.linear, state["training"]
    trained = train_classifier(model, videos, rows, config, run, purpose=f"probe/{name}")
    head = model.linear.cpu()
    state = {"begun": begun, "head": head.state_dict(), "training": trained}
    write_atomically(kept, lambda beside: torch.save(state, beside))
    return head, trained


def _kept(run: Run, name: str) -> Path:
    return run.folder / f"head-{name}.pt"
