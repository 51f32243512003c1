"""A pretraining broken off between or within epochs goes on from the step that was saved, and ends bit for bit the same."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

import fame.method.views
import fame.training.pretrain
from fame.backbones.given import read_weights
from fame.config import BackgroundErasing, Merge, MoCo, Optim, Pretrain, Supervised
from fame.data.parallel import ahead
from fame.training.pretrain import pretrain
from fame.training.step import ContrastStep
from tests.fakes import FakeVideos, fake_run
from tests.programs import until
from tests.ranked import asked_on, killed, run_of, started
from tests.small import VIDEOS, Stopped, assert_continues, breaking, config, lines, same, weights

MORE = FakeVideos(classes=2, per_class=9, frames=8, size=24, counterfactual=False)  # 18 videos, 6 steps of 3 an epoch
LONG = Optim(kind="adamw", lr=1e-3, batch=6, epochs=4)
SHORT = Optim(kind="adamw", lr=1e-3, batch=3, epochs=3)


@pytest.mark.parametrize(
    "how",
    [{"merge": Merge()}, {"objective": Supervised()}, {"merge": Merge(), "moco": MoCo(dim=8, queue=16), "accumulate": 3}],
    ids=["moco", "supervised", "in pieces"],
)
def test_a_broken_off_run_continues_bit_for_bit(tmp_path, how):
    assert_continues(tmp_path, config(optim=LONG, **how))


def test_a_checkpoint_of_another_configuration_is_not_continued(tmp_path):
    run = fake_run(tmp_path, VIDEOS)
    with pytest.raises(Stopped):
        pretrain(config(optim=Optim(batch=6, epochs=3)), breaking(run))
    pretrain(config(merge=Merge()), run)
    assert any("ignored" in line.get("note", "") for line in lines(tmp_path))
    pretrain(config(merge=Merge()), fake_run(tmp_path / "clean", VIDEOS))
    assert same(weights(tmp_path), weights(tmp_path / "clean"))


def test_a_training_that_stops_early_is_the_beginning_of_the_whole_one(tmp_path):
    whole = config(optim=LONG, merge=Merge())
    part, further = (tmp_path / name for name in ("part", "further"))
    pretrain(Pretrain.model_validate(whole.model_dump() | {"stop": 2}), fake_run(part, VIDEOS))
    assert len(lines(part)) == 2
    further.mkdir()
    for name in ("checkpoint.pt", "metrics.jsonl"):
        (part / name).rename(further / name)
    pretrain(whole, fake_run(further, VIDEOS))
    pretrain(whole, fake_run(tmp_path / "at once", VIDEOS))
    assert same(weights(further), weights(tmp_path / "at once")) and not same(weights(further), weights(part))
    assert [line["step"] for line in lines(further)] == [1, 2, 3, 4]


def stopping(monkeypatch: pytest.MonkeyPatch, after: int) -> list[int]:
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
        {"merge": Merge(background="intra", views="both")},
        {"merge": Merge(variant="blob")},
        {"merge": Merge(variant="true")},
        {"erasing": BackgroundErasing()},
    ],
    ids=["baseline", "intra, both", "blob", "true", "erased"],
)
def test_it_goes_on_within_the_epoch(tmp_path, monkeypatch, changes, threaded):
    asked = config(optim=SHORT, **changes)
    monkeypatch.setattr(fame.method.views, "ahead", lambda items, _: ahead(items, threaded))
    straight = pretrain(asked, fake_run(tmp_path / "straight", MORE))
    monkeypatch.setattr(fame.training.pretrain, "WITHIN", 0.0)  # saved after every step
    run = fake_run(tmp_path / "broken", MORE)
    for after, total in ((3, 3), (7, 10)):  # within the first epoch, then within the second
        with monkeypatch.context() as patch, pytest.raises(Stopped):
            taken = stopping(patch, after)
            pretrain(asked, run)
        assert len(taken) == after
        held = torch.load(run.folder / "checkpoint.pt", weights_only=True)
        assert 6 * held["epochs"] + held["within"]["steps"] == total
    with monkeypatch.context() as patch:
        taken = stopping(patch, 100)
        continued = pretrain(asked, run)
    assert len(taken) == 18 - 10  # no step was taken twice
    assert continued["metrics"] == straight["metrics"]
    assert same(weights(tmp_path / "straight"), weights(run.folder))
    logged = [
        [[line[name] for name in ("step", "loss", "accuracy")] for line in lines(tmp_path / where)]
        for where in ("straight", "broken")
    ]
    assert logged[0] == logged[1]


def test_an_epoch_is_not_saved_before_its_time(tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        stopping(monkeypatch, 3)
        pretrain(config(optim=SHORT), fake_run(tmp_path, MORE))
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("ranks", [1, 2])
def test_killed_within_an_epoch_and_gone_on_with_it_ends_the_same(tmp_path, ranks):
    """On packed videos, by kill -9, twice."""
    asked = asked_on(tmp_path, ranks=ranks, accumulate=3 - ranks)
    whole = pretrain(asked, run_of(tmp_path / "whole", tmp_path))
    folder = tmp_path / "killed"
    for epochs in (1, 2):
        process = started(folder, asked, tmp_path)
        until(lambda epochs=epochs: (folder / "checkpoint.pt").exists() and len(lines(folder)) >= epochs, 240)
        time.sleep(0.4)  # into the next epoch, whose batches take 0.6 s each at least
        killed(folder, process.pid)
        process.communicate()
        assert epochs <= read_weights(folder / "checkpoint.pt")["epochs"] < 4 and not (folder / "encoder.pt").exists()
    assert pretrain(asked, run_of(folder, tmp_path))["metrics"] == whole["metrics"]
    assert [line["step"] for line in lines(folder)] == [1, 2, 3, 4]  # none was done twice
    assert same(weights(folder), weights(tmp_path / "whole"))
    assert {path.name for path in folder.iterdir()} == {"encoder.pt", "metrics.jsonl"}
