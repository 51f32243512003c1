"""Backgrounds across ranks: two gloo ranks merge what one process merges of the clips of both, or each its own, as is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fame.config import Clip, Merge
from fame.distributed import gathered, together
from fame.errors import FameError
from fame.method.controls import merging_of
from fame.method.merging import ForegroundBackgroundMerge
from fame.method.views import Views
from fame.run import Run
from fame.seeds import Seeds
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, contrasted, fake_run
from tests.training.test_distributed import config
from tests.training.test_pretrain import VIDEOS

torch.set_num_threads(1)
MERGES = {
    "inter": Merge(reach="batch"),
    "still, both views": Merge(reach="batch", background="still", views="both"),
    "plain permutation": Merge(reach="batch", flavour="official"),
    "rank": Merge(),
}
ROWS = torch.tensor([[0, 1, 2], [3, 4, 5]])  # of each rank
BATCHES = 2


def merged_on_a_rank(device: torch.device, folder: Path) -> dict[str, tuple[list[Tensor], list[Tensor]]]:
    """Clips before and after merging, of both ranks, in the order in which they were merged."""
    from fame.distributed import here

    found = {}
    for name, merge in MERGES.items():
        before, after = [], []
        run = Run(folder, Seeds(0), device, lambda data: VIDEOS)  # type: ignore[arg-type, return-value]
        views = Views(config(merge=merge), VIDEOS, run, epoch=1)  # type: ignore[arg-type]
        merging = views.merge
        assert merging is not None

        def watched(
            clips: Tensor, *given: Any, merging: Any = merging, before: Any = before, after: Any = after, **how: Any
        ) -> Any:
            before.append(gathered(clips))
            made = merging(clips, *given, **how)
            after.append(gathered(made))
            return made

        views.merge = watched  # type: ignore[assignment]
        for _ in range(BATCHES):
            views.draw(ROWS[here().rank])
        found[name] = (before, after)
    return found


def test_two_ranks_merge_what_one_process_merges_of_the_clips_of_both(tmp_path: Path) -> None:
    for name, (before, after) in together(merged_on_a_rank, 2, "cpu", tmp_path).items():
        merge, drawn = merging_of(MERGES[name]), Seeds(0).generator("merging", 1)
        assert len(before) == BATCHES * (2 if MERGES[name].views == "both" else 1)
        for clips, ours in zip(before, after, strict=True):
            assert len(clips) == 6 and not torch.equal(clips, ours)
            assert torch.equal(ours, merge(clips, generator=drawn)) == (name != "rank")


def test_a_rank_alone_merges_as_ever() -> None:
    clips = torch.rand(4, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    one, other = (
        ForegroundBackgroundMerge(reach=reach)(clips, generator=torch.Generator().manual_seed(2)) for reach in ("rank", "batch")
    )
    assert torch.equal(one, other)
    with pytest.raises(ValueError, match="reach"):
        ForegroundBackgroundMerge(reach="world")  # type: ignore[arg-type]


def test_what_cannot_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="an intra background is of the clip's own video"):
        Merge(reach="batch", background="intra")
    with pytest.raises(FameError, match="background from another video"):
        pretrain(config(ranks=1, optim={"batch": 1}, merge=Merge(reach="batch")), fake_run(tmp_path, VIDEOS))


@pytest.mark.long
def test_a_rank_of_one_clip_takes_its_background_from_the_other(tmp_path: Path) -> None:
    """Under the released code's sampler; twice the same."""
    videos = FakeVideos(classes=2, per_class=6, frames=8, size=24, counterfactual=False)
    optim = {"kind": "adamw", "lr": 1e-3, "batch": 2, "epochs": 1}
    alone = config(optim=optim, merge=Merge(reach="batch"), sampling="released", clip=Clip(frames=4, size=64))
    one, again = (pretrain(alone, fake_run(tmp_path / name, videos)) for name in ("one", "again"))
    assert one["metrics"] == again["metrics"] and one["notes"]["sampling"] == "released" and one["notes"]["steps"] == 6
    with pytest.raises(FameError, match="background from another video"):
        pretrain(contrasted(alone, merge=Merge()), fake_run(tmp_path / "own", videos))
