"""Train a classifier with labels, on clips augmented as in pretraining: the supervised bound, and the loop of finetuning."""

from __future__ import annotations

import hashlib
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from fame.backbones import Encoder, fast_layout
from fame.config import Finetune, Pretrain, Probe
from fame.data.clips import VideoSet
from fame.errors import NotFinite
from fame.method.augment import colour_normalised, random_crops
from fame.method.moco import cut
from fame.run import Run
from fame.training.checkpoint import TrainingState, weights_digest
from fame.training.optimiser import build_optimiser, learning_rate, set_learning_rate
from fame.training.precision import autocast, resolve, scaler


class Classifier(nn.Module):
    """An encoder, dropout and a linear layer, drawn from `seed` alone: clips (B, 3, T, H, W) -> logits (B, classes)."""

    def __init__(self, encoder: Encoder, classes: int, dropout: float = 0.0, seed: int = 0):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.linear = nn.Linear(encoder.dim, classes)

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(self.encoder(clips)))
        return logits


def batches(rows: Tensor, size: int, generator: torch.Generator) -> list[Tensor]:
    """`rows` in random order, in batches of `size`; an incomplete one is left out, unless it is the only one."""
    order = rows[torch.randperm(len(rows), generator=generator)]
    size = min(size, len(rows))
    return list(order[: len(rows) // size * size].split(size))


def train_classifier(
    model: nn.Module,
    videos: VideoSet,
    rows: Tensor,
    config: Pretrain | Finetune | Probe,
    run: Run,
    *,
    purpose: str,
    keep: bool = False,
) -> dict[str, float]:
    """Train every parameter of `model` that takes gradients, in place, on the labels of `rows`.

    `model`: normalised clips (B, 3, T, size, size) -> logits (B, classes). `purpose` names the random streams. A broken training
    goes on bit for bit from `checkpoint.pt`, removed at the end unless `keep`. Returns the last `loss` and `accuracy` (percent).
    """
    device, clip, augment, optim = run.device, config.clip, config.augment, config.optim
    accumulate = config.accumulate if isinstance(config, Pretrain) else 1
    dtype = resolve(config.precision, device)
    given = weights_digest(model)
    model = fast_layout(model.to(device))
    labels = videos.labels.to(device)
    optimiser = build_optimiser(optim, model.parameters())
    drawn = hashlib.sha256(rows.numpy().tobytes() + videos.labels.numpy().tobytes()).hexdigest()
    parts = [purpose, *(part.model_dump_json() for part in (clip, augment, optim)), str(dtype), drawn, given]
    parts += [f"in {accumulate} pieces"] if accumulate > 1 else []
    scaling = scaler(dtype, device)
    state = TrainingState(run, "|".join(parts), model, optimiser, scaling)
    done, metrics = state.restore()
    for epoch in range(done, optim.epochs):
        set_learning_rate(optimiser, learning_rate(optim, epoch))
        order = batches(rows, optim.batch, run.seeds.generator(purpose, "order", epoch))
        views = run.seeds.generator(purpose, "views", epoch)
        model.train()
        total = torch.zeros(2, dtype=torch.float64)
        began, waited = time.perf_counter(), 0.0
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(run.seeds.of(purpose, "dropout", epoch))
            for batch in order:
                before = time.perf_counter()
                raw = videos.clips(batch, videos.random_starts(batch, clip, views), clip)
                waited += time.perf_counter() - before
                raw = raw.to(device) if isinstance(raw, Tensor) else [one.to(device) for one in raw]
                clips = colour_normalised(random_crops(raw, clip.size, augment, views), augment, views)
                optimiser.zero_grad(set_to_none=True)
                for some, target in zip(cut(clips, accumulate), cut(labels[batch.to(device)], accumulate), strict=True):
                    with autocast(dtype, device):
                        logits = model(some)
                    loss = functional.cross_entropy(logits.float(), target)
                    if not torch.isfinite(loss):
                        where = f"{purpose} in {run.folder} is {loss.item()} in epoch {epoch + 1}"
                        raise NotFinite(f"the loss of {where}: lower the learning rate")
                    share = len(some) / len(clips)
                    scaling.scale(loss * share).backward()
                    right = (logits.detach().argmax(1) == target).double().mean()
                    total += share * torch.stack([loss.detach().double(), right]).cpu()
                scaling.step(optimiser)
                scaling.update()
        seconds = time.perf_counter() - began
        mean_loss, mean_right = (total / len(order)).tolist()
        metrics = {"loss": mean_loss, "accuracy": 100 * mean_right}
        times = {"seconds": seconds, "waiting": waited / max(seconds, 1e-9)}
        rate = optimiser.param_groups[0]["lr"]
        run.log(step=epoch + 1, steps=optim.epochs, purpose=purpose, **metrics, lr=rate, **times)
        state.save(epoch + 1, metrics, last=keep and epoch + 1 == optim.epochs)
    if not keep:
        state.path.unlink(missing_ok=True)
    return metrics or {"loss": 0.0, "accuracy": 0.0}
