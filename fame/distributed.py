"""Train one encoder in several processes, one a device, each with its share of every batch.

Batch norm sees a rank's own clips; keys are made from clips shuffled across ranks (He et al., CVPR 2020), so that no key carries
the statistics of its query's batch. Every rank enqueues the keys of all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(minutes=30)  # a rank may wait so long for another, which may be reading videos


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together; alone, rank 0 of 1. The first one logs and writes files."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def mine(self, whole: Tensor) -> Tensor:
        """This rank's part of what all ranks have: the rank-th of `size` equal pieces along the first dimension."""
        share = len(whole) // self.size
        return whole[self.rank * share : (self.rank + 1) * share]


def here() -> Ranks:
    """Who this process is."""
    if not distributed.is_available() or not distributed.is_initialized():
        return Ranks()
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def gathered(part: Tensor) -> Tensor:
    """The parts (B, ...) of all ranks, one after the other: (size B, ...). Without gradients; alone, `part` itself."""
    size = here().size
    if size == 1:
        return part
    parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(size)]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


@torch.no_grad()
def average(values: Iterable[Tensor]) -> None:
    """Put the mean over ranks in the place of each tensor's values."""
    size = here().size
    if size > 1:
        for value in values:
            distributed.all_reduce(value)
            value /= size


def shuffled(part: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return as many rows of all ranks' parts, in an order from `seed`, and places (size B,): `gathered(...)[places]` undoes it."""
    whole = gathered(part)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed)).to(part.device)
    return here().mine(whole[order]), order.argsort()


@contextmanager
def joined(device: str) -> Iterator[torch.device]:
    """Join the ranks that torch's launcher started, as its environment says; yield this rank's device. Alone without a launcher."""
    own = torch.device(device)
    if not distributed.is_torchelastic_launched():
        yield own
        return
    if own.type == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield own
    finally:
        distributed.destroy_process_group()
