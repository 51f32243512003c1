"""Which videos several ranks see in an epoch; without processes, as the order is a function of who asks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fame.config import Sampling
from fame.distributed import Ranks
from fame.seeds import Seeds
from fame.training.sampling import epoch_order
from fame.training.supervised import batches

RANKS, BATCH = 8, 64
ROWS = torch.arange(5, 5 + 9537)  # as many as UCF101's first fold trains on


def orders(sampling: Sampling, epoch: int = 0, rows: Tensor = ROWS) -> list[list[Tensor]]:
    return [epoch_order(rows, BATCH, sampling, Seeds(3), epoch, Ranks(rank, RANKS)) for rank in range(RANKS)]


def seen(found: list[list[Tensor]]) -> Tensor:
    return torch.cat([torch.cat(of_rank) for of_rank in found])


@pytest.mark.parametrize("sampling", ["once", "released"])
def test_every_rank_takes_as_many_steps_on_its_share(sampling: Sampling) -> None:
    for many in (len(ROWS), 64, 127, 128):
        found = orders(sampling, rows=ROWS[:many])
        assert {len(of_rank) for of_rank in found} == {many // BATCH}
        assert {len(batch) for of_rank in found for batch in of_rank} == {BATCH // RANKS}
        assert set(seen(found).tolist()) <= set(ROWS[:many].tolist())


def test_once_sees_every_video_once_up_to_the_last_incomplete_batch() -> None:
    found = seen(orders("once"))
    assert len(found.unique()) == len(found) == len(ROWS) // BATCH * BATCH
    whole = batches(ROWS, BATCH, Seeds(3).generator("order", 0))
    for number, batch in enumerate(whole):
        assert torch.equal(torch.cat([of_rank[number] for of_rank in orders("once")]), batch)
        if number == 2:
            break


def test_released_sees_two_thirds_of_the_videos() -> None:
    """1 - (7/8)^8 = 0.656; over ten epochs of 9,537 videos the mean lies within half a percent of it."""
    shares = []
    for epoch in range(10):
        found = orders("released", epoch)
        for of_rank in found:
            own = torch.cat(of_rank)
            assert len(own.unique()) == len(own)  # a rank itself sees no video twice
        shares.append(len(seen(found).unique()) / len(ROWS))
    assert sum(shares) / len(shares) == pytest.approx(1 - (7 / 8) ** 8, abs=0.005)
    assert seen(found).unique(return_counts=True)[1].max() > 2


def test_released_is_drawn_anew_each_epoch_and_the_same_again() -> None:
    one, again, next_epoch = orders("released"), orders("released"), orders("released", 1)
    assert torch.equal(seen(one), seen(again)) and not torch.equal(seen(one), seen(next_epoch))
    assert not torch.equal(torch.cat(one[0]), torch.cat(one[1]))


def test_alone_both_are_the_same() -> None:
    for sampling in ("once", "released"):
        found = epoch_order(ROWS, BATCH, sampling, Seeds(3), 2, Ranks())  # type: ignore[arg-type]
        plain = batches(ROWS, BATCH, Seeds(3).generator("order", 2))
        assert all(torch.equal(one, other) for one, other in zip(found, plain, strict=True))
