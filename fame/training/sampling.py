"""Which videos each rank sees in an epoch.

    once      all ranks share one order: every video once, up to the last incomplete batch
    released  each rank draws an order of its own and takes its share of that, as several GPUs do in the released code: of 8 ranks'
              epoch a video is left out with chance (7/8)^8, so about 66 % of the videos are seen, some of them up to 8 times

Alone, both are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from fame.config import Sampling
from fame.distributed import Ranks
from fame.training.supervised import batches

if TYPE_CHECKING:
    from fame.seeds import Seeds


def epoch_order(rows: Tensor, batch: int, sampling: Sampling, seeds: Seeds, epoch: int, ranks: Ranks) -> list[Tensor]:
    """This rank's part, long (batch / ranks,), of each batch of `epoch`: as many batches on all ranks, and by either sampling.

    `batch` is that of all ranks together, which they share equally; `rows` are those of the training videos.
    """
    if sampling == "once" or ranks.size == 1:
        return [ranks.mine(some) for some in batches(rows, batch, seeds.generator("order", epoch))]
    share = len(rows) // ranks.size
    own = batches(rows, len(rows), seeds.generator("order", epoch, "rank", ranks.rank))[0]
    part = batch // ranks.size
    return list(own[ranks.rank :: ranks.size][: share // part * part].split(part))
