"""Pretrain an encoder, the first stage: by momentum contrast, with labels, at random, or from a file."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from fame.backbones import Encoder, build_encoder, fast_layout
from fame.backbones.given import load_encoder, save_encoder
from fame.config import File, MoCoObjective, Pretrain, Random, Supervised
from fame.data.clips import VideoSet, standing_in, too_short
from fame.distributed import average, here
from fame.errors import FameError, NotFinite
from fame.files import sha256_of
from fame.method.moco import MomentumContrast, statistics
from fame.method.views import Views
from fame.run import Run
from fame.training.checkpoint import TrainingState
from fame.training.launch import launch
from fame.training.optimiser import build_optimiser, learning_rate, set_learning_rate
from fame.training.precision import NAMES, resolve
from fame.training.step import ContrastStep
from fame.training.supervised import Classifier, batches, train_classifier

ENCODER_FILE = "encoder.pt"
LOOK = 50  # steps between two looks at whether the loss is still finite
WITHIN = 300.0  # seconds after which an epoch that goes on is saved: one of Kinetics-400 takes hours on one GPU


def pretrain(config: Pretrain, run: Run) -> dict[str, Any]:
    """Write `encoder.pt`, continuing a broken run; return the stage's result with the last `loss` and `accuracy` (percent).

    Where several ranks are asked for and this process is none of them, they are launched. The first rank writes the files.
    """
    torch.set_num_threads(config.threads)
    if here().size not in (1, config.ranks):
        raise FameError(f"{here().size} processes were started for ranks = {config.ranks}: start as many, over all machines")
    encoder = build_encoder(config.backbone, run.seeds.of("initialisation"))
    notes: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    match config.objective:
        case Random():
            pass
        case File(weights=digest):
            if run.given is None:
                raise FameError("no weights are given: name their file by --pretrained")
            encoder = load_encoder(run.given, config.backbone)
            if sha256_of(run.given) != digest:
                raise FameError(f"{run.given} is another file than the one with SHA-256 {digest[:12]}...: plan it anew")
            assert encoder.loaded is not None
            notes["keys"] = {"used": sorted(encoder.loaded.used), "left": sorted(encoder.loaded.left)}
        case objective:
            videos, rows = _training_videos(config, run, notes)
            if config.ranks > here().size:
                _batch(config, rows)
                metrics = launch(config, run, videos.manifest.root)
                return {"metrics": metrics, "artifacts": [ENCODER_FILE], "notes": notes}
            if type(objective) is MoCoObjective:
                metrics = _train_contrast(config, encoder, videos, rows, run)
            elif type(objective) is Supervised:
                model = Classifier(encoder, len(videos.classes), seed=run.seeds.of("head"))
                metrics = train_classifier(model, videos, rows, config, run, purpose="pretrain", keep=True)
            else:  # a plugin's
                metrics = objective.train(config, encoder, videos, rows, run)  # type: ignore[attr-defined]
    if here().first:
        save_encoder(encoder, config.backbone, run.folder / ENCODER_FILE)
    if here().first and not config.stop:
        (run.folder / "checkpoint.pt").unlink(missing_ok=True)
    return {"metrics": metrics, "artifacts": [ENCODER_FILE], "notes": notes}


def _training_videos(config: Pretrain, run: Run, notes: dict[str, Any]) -> tuple[VideoSet, Tensor]:
    """Return the videos and the rows to train on, and note how many. FameError without any."""
    assert config.data is not None  # the configuration's validation
    videos = run.videos(config.data)
    rows = standing_in(videos, videos.select("train"), config.clip)
    if not len(rows):
        splits = ", ".join(videos.splits) or "none at all"
        raise FameError(f"the data of {run.folder} have no videos in split train; they have {splits}")
    batch = min(config.optim.batch, len(rows))
    notes |= too_short(videos, ["train"], config.clip)
    notes |= {"videos": len(rows), "batch": batch, "steps": config.epochs * (len(rows) // batch)}
    notes["precision"] = NAMES[resolve(config.precision, run.device)]
    return videos, rows


def _batch(config: Pretrain, rows: Tensor) -> int:
    """Return the clips of a step, which all ranks share equally. FameError where they are too few, or too many for the queue."""
    ranks, contrast = config.ranks, config.contrast
    batch = min(config.optim.batch, len(rows)) // ranks * ranks
    if not batch:
        raise FameError(f"{len(rows)} training videos cannot be shared by {ranks} ranks: ask for fewer")
    if contrast.moco.queue < batch:
        raise FameError(f"a queue of {contrast.moco.queue} keys cannot take a batch of {batch}: raise moco.queue")
    if batch == ranks and contrast.merge and contrast.merge.background != "intra":
        raise FameError("merging takes its background from another video, and a batch on one device is one")
    return batch


def _train_contrast(config: Pretrain, encoder: Encoder, videos: VideoSet, rows: Tensor, run: Run) -> dict[str, float]:
    """Train the encoder in place, by this rank's share of each batch."""
    optim, device, ranks, contrast = config.optim, run.device, here(), config.contrast
    batch = _batch(config, rows)
    dtype = resolve(config.precision, device)
    model = MomentumContrast(encoder, contrast.moco, run.seeds.of("head"), config.accumulate).to(device)
    if contrast.compiled:
        model.query.compile()
        model.key.compile()
    else:
        model = fast_layout(model)
    optimiser = build_optimiser(optim, model.query.parameters())
    # what changes the numbers must change the identity, the videos drawn included
    # a training that stops early is the beginning of the whole one
    identity = f"{config.model_dump_json(exclude={'stop'})}|{dtype}|{len(rows)}|{int(videos.length[rows].sum())}"
    descend = ContrastStep(model, optimiser, dtype, device, contrast.compiled)
    state = TrainingState(run, identity, model, optimiser, descend.scaler)
    done, metrics = state.restore()
    for epoch in range(done, config.epochs):
        set_learning_rate(optimiser, learning_rate(optim, epoch))
        model.train()
        views = Views(config, videos, run, epoch)
        total = torch.zeros(2, dtype=torch.float64, device=device)
        order = [ranks.mine(some) for some in batches(rows, batch, run.seeds.generator("order", epoch))]
        first, spent = 0, 0.0
        if epoch == done and state.within:  # broken off within this epoch
            first, spent = state.within["steps"], state.within["seconds"]
            total += state.within["total"].to(device)
            views.resume(state.within["place"])
        began = time.perf_counter() - spent
        for step, (view0, view1) in enumerate(views.pairs(order[first:]), first + 1):
            loss, right = descend(view0, view1)
            total += torch.stack([loss, right]).double()
            # a look at a number of the GPU waits for all its work, so it is seldom
            if (step % LOOK == 0 or step == len(order)) and not torch.isfinite(total[0]):
                raise NotFinite(f"the loss of {run.folder} is {loss.item()} in epoch {epoch + 1}: lower the learning rate")
            # several ranks have a batch norm and streams each, which are evened out at an epoch's end only
            if ranks.size == 1 and step < len(order) and state.due(WITHIN):
                spent = time.perf_counter() - began
                place = {"steps": step, "seconds": spent, "total": total.cpu(), "place": views.place()}
                state.save(epoch, metrics, within=place)
        seconds = max(time.perf_counter() - began, 1e-9)
        average([total, *statistics(model)])
        mean_loss, mean_right = (total / len(order)).tolist()
        metrics = {"loss": mean_loss, "accuracy": 100 * mean_right}
        times = {"seconds": seconds, "waiting": views.waited / seconds, "augmenting": views.augmented / seconds}
        run.log(step=epoch + 1, steps=config.epochs, **metrics, lr=optimiser.param_groups[0]["lr"], **times)
        if ranks.first:
            state.save(epoch + 1, metrics, last=epoch + 1 == config.stop)
    return metrics
