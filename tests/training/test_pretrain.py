"""The first stage: every kind, pairing of streams, resuming bit for bit, failures."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from fame.backbones import build_encoder
from fame.backbones.given import save_encoder
from fame.config import Augment, BackgroundErasing, Clip, File, Merge, MoCo, Optim, Pretrain, Random, Supervised
from fame.errors import FameError
from fame.files import sha256_of
from fame.method.views import Views
from fame.training.optimiser import learning_rate
from fame.training.precision import resolve
from fame.training.pretrain import pretrain
from fame.training.supervised import batches
from tests.fakes import FakeVideos, fake_run
from tests.painted import move
from tests.small import CPU, NARROW, VIDEOS, config, drawn, lines, same, weights


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"merge": Merge(beta=0.5)},
        {"merge": Merge(beta=0.3, views="both", variant="gauss")},
        {"merge": Merge(background="intra", variant="dilated")},
        {"merge": Merge(background="still", flavour="official")},
        {"erasing": BackgroundErasing(views="both")},
        {"moco": MoCo(dim=8, queue=16, symmetric=True), "optim": Optim(lr=0.01, batch=5, epochs=2)},
        {"objective": Supervised()},
    ],
)
def test_every_kind_trains_and_tells(tmp_path, changes):
    run = fake_run(tmp_path, VIDEOS)
    result = pretrain(config(**changes), run)
    start = build_encoder(NARROW, run.seeds.of("initialisation")).state_dict()
    assert not same(start, weights(tmp_path))
    assert all(torch.isfinite(value).all() for value in weights(tmp_path).values())
    assert set(result["metrics"]) == {"loss", "accuracy"} and 0 <= result["metrics"]["accuracy"] <= 100
    assert result["artifacts"] == ["encoder.pt"]
    assert result["notes"]["precision"] == "fp32" and result["notes"]["videos"] == 12
    json.dumps(result)
    told = lines(tmp_path)
    assert [(line["step"], line["steps"]) for line in told] == [(1, 2), (2, 2)]
    assert {"loss", "accuracy", "lr", "seconds", "waiting"} <= set(told[0])
    assert told[0]["lr"] > told[1]["lr"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.pt", "metrics.jsonl"]  # no checkpoint is left


def test_random_is_the_initialisation_that_training_starts_from(tmp_path):
    run = fake_run(tmp_path, VIDEOS)
    result = pretrain(Pretrain(objective=Random(), backbone=NARROW), run)
    assert same(weights(tmp_path), build_encoder(NARROW, run.seeds.of("initialisation")).state_dict())
    assert result["metrics"] == {}
    untrained = fake_run(tmp_path / "no epochs", VIDEOS)
    pretrain(config(optim=Optim(epochs=0, batch=4)), untrained)
    assert same(weights(tmp_path), weights(untrained.folder))


def test_a_given_file_is_taken_by_its_hash(tmp_path):
    run = replace(fake_run(tmp_path, VIDEOS), given=tmp_path / "given.pt")
    save_encoder(build_encoder(NARROW, seed=77), NARROW, tmp_path / "given.pt")
    digest = sha256_of(tmp_path / "given.pt")
    result = pretrain(Pretrain(objective=File(weights=digest), backbone=NARROW), run)
    assert same(weights(tmp_path), build_encoder(NARROW, seed=77).state_dict())
    assert result["notes"]["keys"]["left"] == [] and "stem.0.weight" in result["notes"]["keys"]["used"]
    with pytest.raises(FameError, match="--pretrained"):
        pretrain(Pretrain(objective=File(weights=digest), backbone=NARROW), replace(run, given=None))
    with pytest.raises(FameError, match="another file"):
        pretrain(Pretrain(objective=File(weights="f" * 64), backbone=NARROW), run)


def test_methods_see_the_same_clips_and_differ_by_merging_alone(tmp_path):
    base0, base1 = drawn(tmp_path)
    merges = (Merge(beta=0.5), Merge(beta=0.3, variant="grid"), Merge(background="intra"), Merge(background="still"))
    for change in (*({"merge": merge} for merge in merges), {"erasing": BackgroundErasing()}):
        view0, view1 = drawn(tmp_path, **change)
        assert torch.equal(view1, base1) and not torch.equal(view0, base0)
    both0, both1 = drawn(tmp_path, merge=Merge(views="both"))
    assert torch.equal(drawn(tmp_path, merge=Merge(beta=1.0, views="both"))[1], base1)
    assert not torch.equal(both0, base0) and not torch.equal(both1, base1)


def test_two_views_are_two_clips_of_each_video(tmp_path):
    plain = Augment(area=(1.0, 1.0), flip=0, grayscale=0, jitter=0, blur=0)
    view0, view1 = drawn(tmp_path, augment=plain, clip=Clip(frames=2, stride=1, size=24))
    assert view0.shape == (6, 3, 2, 24, 24)
    assert not torch.equal(view0, view1)
    # the background of a video shows in both views, where the square is in neither
    close = (view0 - view1).abs().mean(1) < 0.15
    other = (view0 - view1.roll(1, 0)).abs().mean(1) < 0.15
    assert (close.float().mean((1, 2, 3)) > 0.6).all() and (other.float().mean() < 0.5).all()


def test_epochs_and_replicates_draw_differently(tmp_path):
    first, again, epoch, replicate = (
        next(Views(config(), VIDEOS, fake_run(tmp_path, VIDEOS, replicate=replicate), epoch).pairs([torch.arange(4)]))[0]
        for epoch, replicate in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert torch.equal(first, again) and not torch.equal(first, epoch) and not torch.equal(first, replicate)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"moco": MoCo(dim=8, queue=2)}, "queue of 2 keys cannot take a batch of 6"),
        ({"optim": Optim(batch=1, epochs=1), "merge": Merge()}, "background from another video"),
        ({"optim": Optim(lr=1e30, batch=4, epochs=2)}, r"epoch [12]: lower the learning rate"),
        ({"optim": Optim(lr=1e30, batch=4, epochs=2), "objective": Supervised()}, r"epoch [12]: lower the learning rate"),
    ],
)
def test_impossible_trainings_are_one_line(tmp_path, changes, match):
    with pytest.raises(FameError, match=match):
        pretrain(config(**changes), fake_run(tmp_path, VIDEOS))


def test_small_sets_fill_a_batch_and_empty_ones_are_named(tmp_path):
    result = pretrain(config(optim=Optim(batch=100, epochs=1)), fake_run(tmp_path, VIDEOS))
    assert result["notes"]["batch"] == 12
    with pytest.raises(FameError, match="no videos in split train"):
        pretrain(config(), fake_run(tmp_path, move(FakeVideos(classes=2, per_class=1, frames=4, size=16), "train", "val")))


def test_batches_leave_out_an_incomplete_last_one():
    rows = torch.arange(10, 20)
    cut = batches(rows, 4, torch.Generator().manual_seed(0))
    assert [len(batch) for batch in cut] == [4, 4]
    assert len(set(torch.cat(cut).tolist())) == 8 and set(torch.cat(cut).tolist()) <= set(range(10, 20))
    assert [len(batch) for batch in batches(rows, 64, torch.Generator())] == [10]


def test_schedules():
    cosine = Optim(lr=2.0, epochs=10)
    assert learning_rate(cosine, 0) == 2.0
    assert learning_rate(cosine, 5) == pytest.approx(1.0)
    assert 0 < learning_rate(cosine, 9) < 0.1
    step = Optim(lr=1.0, epochs=10, schedule="step", milestones=(3, 6))
    assert [round(learning_rate(step, epoch), 6) for epoch in (0, 2, 3, 5, 6, 9)] == [1, 1, 0.1, 0.1, 0.01, 0.01]


def test_automatic_precision_follows_the_device(monkeypatch):
    for units in (False, True):
        monkeypatch.setattr("fame.training.precision.has_bf16_units", lambda device, units=units: units)
        assert resolve("auto", torch.device("cuda")) is (torch.bfloat16 if units else None)
        assert resolve("fp32", torch.device("cuda")) is None
    monkeypatch.undo()
    assert resolve("auto", CPU) is None
