"""A pretraining that is broken off within an epoch goes on from the step that was saved, and ends bit for bit the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import fame.method.views
import fame.training.pretrain
from fame.config import BackgroundErasing, Merge, Optim
from fame.data.ahead import ahead
from fame.training.descent import ContrastStep
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, fake_run
from tests.training.test_pretrain import config, lines, same, weights

torch.set_num_threads(1)
VIDEOS = FakeVideos(classes=2, per_class=9, frames=8, size=24, counterfactual=False)  # 18 videos, 6 steps of 3 an epoch


class Stopped(Exception):
    pass


def breaking(monkeypatch: pytest.MonkeyPatch, after: int) -> list[int]:
    """From now on a pretraining stops where it would begin step number `after`, from 0; the steps that were taken."""
    taken: list[int] = []
    original = ContrastStep.__call__

    def step(self: ContrastStep, *views: Any) -> Any:
        if len(taken) == after:
            raise Stopped
        taken.append(len(taken))
        return original(self, *views)

    monkeypatch.setattr(ContrastStep, "__call__", step)
    return taken


@pytest.mark.parametrize("threaded", [False, True], ids=["plain", "read ahead"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"merge": Merge()},
        {"merge": Merge(background="intra", views="both")},
        {"merge": Merge(variant="blob")},
        {"merge": Merge(variant="true")},
        {"erasing": BackgroundErasing()},
    ],
    ids=["baseline", "merged", "intra, both", "blob", "true", "erased"],
)
def test_it_goes_on_within_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], threaded: bool
) -> None:
    asked = config(optim=Optim(kind="adamw", lr=1e-3, batch=3, epochs=3), **changes)
    monkeypatch.setattr(fame.method.views, "ahead", lambda items, _: ahead(items, threaded))
    straight = pretrain(asked, fake_run(tmp_path / "straight", VIDEOS))
    monkeypatch.setattr(fame.training.pretrain, "WITHIN", 0.0)  # saved after every step
    run = fake_run(tmp_path / "broken", VIDEOS)
    for after, total in ((3, 3), (7, 10)):  # within the first epoch, then within the second
        with monkeypatch.context() as patch, pytest.raises(Stopped):
            taken = breaking(patch, after)
            pretrain(asked, run)
        assert len(taken) == after
        held = torch.load(run.folder / "checkpoint.pt", weights_only=True)
        assert 6 * held["epochs"] + held["within"]["steps"] == total
    with monkeypatch.context() as patch:
        taken = breaking(patch, 100)
        continued = pretrain(asked, run)
    assert len(taken) == 18 - 10  # no step was taken twice
    assert continued["metrics"] == straight["metrics"]
    assert same(weights(tmp_path / "straight"), weights(run.folder))
    logged = [
        [line[name] for line in lines(tmp_path / where) for name in ("step", "loss", "accuracy")]
        for where in ("straight", "broken")
    ]
    assert logged[0] == logged[1]


def test_an_epoch_is_not_saved_before_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        breaking(monkeypatch, 3)
        pretrain(config(optim=Optim(kind="adamw", lr=1e-3, batch=3, epochs=3)), fake_run(tmp_path, VIDEOS))
    assert not (tmp_path / "checkpoint.pt").exists()
