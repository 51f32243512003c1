"""Train one encoder in several processes of one machine, one a device, each with its share of every batch.

Batch norm sees a rank's own clips; keys are made from clips shuffled across ranks (He et al., CVPR 2020), so that no key carries
the statistics of its query's batch. Every rank enqueues the keys of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, distributed

from fame.errors import FameError
from fame.plugins import Plugin, load, loaded
from fame.processes import without_main

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


def together(work: Callable[..., Any], size: int, device: str, *arguments: Any) -> Any:
    """Call `work(device, *arguments)`, pickled, in `size` processes; return rank 0's result. FameError where any raises it."""
    if device == "cuda" and size > torch.cuda.device_count():
        raise FameError(f"{size} ranks need {size} GPUs, and {torch.cuda.device_count()} are here; ask for so many")
    with TemporaryDirectory(prefix="fame-ranks-") as folder:
        try:
            with without_main():
                given = (work, size, device, Path(folder), loaded(), arguments)
                started = torch.multiprocessing.spawn(_one, given, nprocs=size, join=False)
            while not started.join():
                pass
        except torch.multiprocessing.ProcessRaisedException as error:
            name, _, text = str(error).strip().splitlines()[-1].partition(": ")
            if name.rpartition(".")[2] == FameError.__name__:
                raise FameError(text) from None
            raise
        return torch.load(Path(folder) / "result.pt", map_location="cpu", weights_only=True)


def _one(
    rank: int,
    work: Callable[..., Any],
    size: int,
    device: str,
    folder: Path,
    plugins: tuple[Plugin, ...],
    arguments: tuple[Any, ...],
) -> None:
    for plugin in plugins:
        load(*plugin)
    own = torch.device(device, rank) if device == "cuda" else torch.device(device)
    if device == "cuda":
        torch.cuda.set_device(own)
    backend, meeting = "nccl" if device == "cuda" else "gloo", (folder / "meeting").as_uri()
    distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        found = work(own, *arguments)
        if rank == 0:
            torch.save(found, folder / "result.pt")
    finally:
        distributed.destroy_process_group()
