"""Momentum contrast (He et al., CVPR 2020) as the paper uses it: InfoNCE against a queue of keys (section 3, step 5).

The loss is symmetric as in the released code: both views are queries in turn, only the first turn moves the momentum encoder, and
both turns enqueue. The second query's negatives then hold the first key of the same clip, unless `MoCo.own_key` is False.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.nn import functional

from fame.backbones import Encoder
from fame.config import MoCo
from fame.distributed import gathered, here, shuffled


class Projection(nn.Module):
    """Map clips (B, 3, T, H, W) to points on the unit sphere (B, dim): an encoder and its two-layer head."""

    def __init__(self, encoder: Encoder, dim: int):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(encoder.dim, encoder.dim), nn.ReLU(inplace=True), nn.Linear(encoder.dim, dim))

    def forward(self, clips: Tensor) -> Tensor:
        return functional.normalize(self.head(self.encoder(clips)).float(), dim=1)


class MomentumContrast(nn.Module):
    """Hold query encoder, momentum encoder and queue; head and first queue (random unit vectors) are drawn from `seed` alone.

    `autocast` is entered around the encoders only: points, logits and loss are 32-bit.
    """

    queue: Tensor
    position: Tensor
    turns: Tensor

    def __init__(self, encoder: Encoder, config: MoCo, seed: int = 0, accumulate: int = 1):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.query = Projection(encoder, config.dim)
            queue = functional.normalize(torch.randn(config.queue, config.dim), dim=1)
        self.key = copy.deepcopy(self.query)
        self.key.requires_grad_(False)
        self.config = config
        self.register_buffer("queue", queue)
        self.register_buffer("position", torch.zeros((), dtype=torch.long))
        self.seed, self.accumulate = seed, accumulate
        if here().size * accumulate > 1:
            self.register_buffer("turns", torch.zeros((), dtype=torch.long))  # shuffles so far: a resumed run goes on with the next

    def forward(
        self, view0: Tensor, view1: Tensor, autocast: AbstractContextManager[object] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mean InfoNCE and the share of queries whose own key wins. ValueError where the batch exceeds the queue."""
        losses, right = zip(*self.pieces(view0, view1, autocast), strict=True)
        return torch.stack(losses).sum(), torch.stack(right).sum()

    def pieces(
        self, view0: Tensor, view1: Tensor, autocast: AbstractContextManager[object] | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield parts that add up to what `forward` gives: a backward pass after each keeps one part's graph in memory."""
        turns = ((view0, view1), (view1, view0)) if self.config.symmetric else ((view0, view1),)
        self.follow()
        hidden: Tensor | None = None  # of each query, the place in the queue of its own clip's key
        for asked, answered in turns:
            with autocast or nullcontext():
                keys = self.keys(answered)
            unseen = repeat(None) if hidden is None else cut(hidden, self.accumulate)
            for some, own, out in zip(cut(asked, self.accumulate), cut(keys, self.accumulate), unseen):
                with autocast or nullcontext():
                    points = self.query(some)
                loss, hit = info_nce(points, own, self.queue, self.config.temperature, out)
                share = len(some) / (len(asked) * len(turns))
                yield loss * share, hit * share
            places = self.enqueue(gathered(keys))
            hidden = None if self.config.own_key else here().mine(places)

    @torch.no_grad()
    def follow(self) -> None:
        """Set key <- m key + (1 - m) query; with `key_norm` ema also in batch norm's statistics (EMAN, Cai et al., CVPR 2021)."""
        ema = self.config.key_norm == "ema"
        keys, queries = ([*part.parameters(), *(statistics(part) if ema else ())] for part in (self.key, self.query))
        torch._foreach_lerp_(keys, queries, 1 - self.config.momentum)

    def train(self, mode: bool = True) -> MomentumContrast:
        """Do as torch does; with `key_norm` ema the key encoder stays in evaluation, where batch norm uses running statistics."""
        super().train(mode)
        if self.config.key_norm == "ema":
            self.key.eval()
        return self

    def keys(self, clips: Tensor) -> Tensor:
        """Return the momentum encoder's points. Shuffling keeps the batch's statistics from telling a query its key."""
        ranks = here()
        with torch.inference_mode():
            if not self.shuffles:
                points = self._points(clips)
            else:
                self.turns += 1
                others, places = shuffled(clips, self.seed + int(self.turns))
                points = ranks.mine(gathered(self._points(others))[places])
        return points.clone()  # what inference mode makes must not enter the loss

    @property
    def shuffles(self) -> bool:
        """Say whether keys are computed in another order than queries."""
        return here().size * self.accumulate > 1 and self.config.key_norm != "ema"

    def _points(self, clips: Tensor) -> Tensor:
        return torch.cat([self.key(some) for some in cut(clips, self.accumulate)])

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> Tensor:
        """Overwrite the oldest entries with `keys` (B, dim), going round at the end; return their places, long (B,)."""
        length = len(self.queue)
        if len(keys) > length:
            raise ValueError(f"a batch of {len(keys)} does not fit in a queue of {length}: give one as long as the batch")
        places = (self.position + torch.arange(len(keys), device=keys.device)) % length
        self.queue[places] = keys.to(self.queue.dtype)
        self.position.copy_((self.position + len(keys)) % length)
        return places


def cut(batch: Tensor, accumulate: int) -> tuple[Tensor, ...]:
    """Cut a batch in `accumulate` pieces along the first dimension; equal ones, unless a small set does not fill its batch."""
    return batch.split(-(-len(batch) // accumulate))


def statistics(network: nn.Module) -> list[Tensor]:
    """Return running means and variances of batch norm."""
    return [value for name, value in network.named_buffers() if name.endswith(("running_mean", "running_var"))]


def info_nce(
    points: Tensor, keys: Tensor, negatives: Tensor, temperature: float, hidden: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of each point's own key against the negatives, and the share of points for which the own key wins.

    Unit vectors: `points` and `keys` (B, dim), pairs by row; `negatives` (K, dim). `hidden`: long (B,), a negative to leave out.
    """
    own = (points * keys).sum(1, keepdim=True)
    # a copy, because the queue is overwritten before the backward pass needs it
    others = points @ negatives.detach().clone().T
    if hidden is not None:
        others = others.scatter(1, hidden[:, None], -torch.inf)
    logits = torch.cat([own, others], 1) / temperature
    target = torch.zeros(len(points), dtype=torch.long, device=points.device)
    return functional.cross_entropy(logits, target), (own > others.detach().amax(1, keepdim=True)).float().mean()
