"""A batch in pieces and on two ranks: equal to the whole batch where batch norm does not see it, one piece's graph in memory."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from fame.backbones import build_encoder
from fame.config import Augment, MoCo, Optim
from fame.distributed import average, gathered, here, joined, shuffled
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.training.pretrain import pretrain
from fame.training.step import ContrastStep
from fame.training.supervised import Classifier, train_classifier
from tests.fakes import FakeVideos, fake_run
from tests.ranked import asked_on, run_of
from tests.small import CPU, NARROW, VIDEOS, Plain, config, lines, same, weights

BATCH, STEPS = 8, 3
MOCOS = {
    "symmetric": MoCo(dim=5, queue=12, momentum=0.9),
    "without own key": MoCo(dim=5, queue=16, momentum=0.9, own_key=False),
    "one turn": MoCo(dim=5, queue=24, momentum=0.9, symmetric=False),
}


def steps(moco: MoCo, accumulate: int = 1, network: Any = None, evaluating: bool = False) -> dict[str, Tensor]:
    """Three steps on clips that all ranks know: loss and share of right queries (means over ranks), gradients, weights, queue."""
    ranks = here()
    model = MomentumContrast(network or Plain(), moco, seed=3, accumulate=accumulate).train(not evaluating)
    descend = ContrastStep(model, torch.optim.SGD(model.query.parameters(), lr=0.5), None, CPU)
    drawn = torch.Generator().manual_seed(11)
    means = []
    for _ in range(STEPS):
        view0, view1 = (ranks.mine(torch.rand(BATCH, 3, 4, 16, 16, generator=drawn)) for _ in range(2))
        value = torch.stack(descend(view0, view1))
        average([value])
        means.append(value)
    gradients = {f"gradient of {name}": weight.grad for name, weight in model.query.named_parameters()}
    weights = {name: value for name, value in model.state_dict().items() if "num_batches" not in name and name != "turns"}
    return {"means": torch.stack(means), **gradients, **weights}


def on_a_rank(file: Path) -> None:
    """Save what rank 0 computes of whole batches and in pieces, and the queues and an exchange of both ranks."""
    with joined("cpu"):
        found = {(name, accumulate): steps(moco, accumulate) for name, moco in MOCOS.items() for accumulate in (1, 2)}
        mine, places = shuffled(torch.arange(3) + 3 * here().rank, seed=1)
        told = {"steps": found, "everybody": gathered(mine), "back": gathered(mine)[places]}
        told["queues"] = gathered(found["symmetric", 1]["queue"])
        if here().first:
            torch.save(told, file)


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("accumulate", [2, 4, 8])
@pytest.mark.parametrize("moco", MOCOS.values(), ids=MOCOS)
def test_without_batch_norm_pieces_compute_what_the_whole_batch_computes(moco, accumulate):
    """The losses of later steps are compared, too, so keys in another order of the queue would show."""
    assert_same(steps(moco, accumulate), steps(moco))


@pytest.mark.parametrize("key_norm", ["batch", "ema"])
def test_with_batch_norm_in_evaluation_they_are_equal_too(key_norm):
    moco = MoCo(dim=5, queue=16, momentum=0.9, key_norm=key_norm)
    one, other = (steps(moco, accumulate, build_encoder(NARROW, 2), evaluating=True) for accumulate in (1, 4))
    assert_same(other, one)


def test_without_batch_norm_two_ranks_compute_what_one_process_computes(tmp_path):
    meeting = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost", "run_id": "test"}
    elastic_launch(LaunchConfig(1, 1, 2, max_restarts=0, **meeting), on_a_rank)(tmp_path / "found")
    found = torch.load(tmp_path / "found", weights_only=True)
    for (name, _), ours in found["steps"].items():
        assert_same(ours, steps(MOCOS[name]))
    assert found["everybody"].sort().values.tolist() == list(range(6)) != found["everybody"].tolist()
    assert found["back"].tolist() == list(range(6))
    assert torch.equal(*found["queues"].chunk(2))


def clips_held(accumulate: int) -> int:
    """The most clips whose activations were kept for the backward pass at one time."""
    alive, peak = weakref.WeakSet(), 0

    def pack(tensor):
        nonlocal peak

        def held():
            return tensor

        alive.add(held)
        kept = [one() for one in alive]
        peak = max(peak, sum(len(one) for one in kept if one.dim() == 5 and one.shape[1] == Plain.dim))
        return held

    model = MomentumContrast(Plain(), MoCo(dim=5, queue=32), seed=3, accumulate=accumulate)
    descend = ContrastStep(model, torch.optim.SGD(model.query.parameters(), lr=0.5), None, CPU)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held()):
        descend(torch.rand(BATCH, 3, 4, 8, 8), torch.rand(BATCH, 3, 4, 8, 8))
    return peak


def test_one_pieces_graph_is_in_memory_at_a_time():
    whole = clips_held(1)
    assert [clips_held(accumulate) for accumulate in (2, 4)] == [whole // 2, whole // 4]


def test_keys_are_shuffled_over_pieces_and_the_shuffles_are_kept():
    """By hand: the second shuffle of a model is drawn from its seed and the number two, which the state holds."""
    model = MomentumContrast(build_encoder(NARROW, 0), MoCo(dim=5, queue=16), seed=3, accumulate=2).train()
    clips = torch.rand(BATCH, 3, 4, 32, 32, generator=torch.Generator().manual_seed(3))
    model.keys(clips)
    assert model.state_dict()["turns"] == 1
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = torch.cat([model.key(some) for some in clips[order].split(4)])[order.argsort()]
        unshuffled = torch.cat([model.key(some) for some in clips.split(4)])
    found = model.keys(clips)
    assert torch.equal(found, expected) and not torch.allclose(found, unshuffled, atol=1e-4)
    assert "turns" not in MomentumContrast(Plain(), MoCo()).state_dict()


def classified(folder: Path, accumulate: int) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Two epochs with labels, of a network without batch norm, in batches of 10 whose last piece may be shorter."""
    videos = FakeVideos(classes=2, per_class=5, frames=8, size=16, counterfactual=False)
    torch.manual_seed(1)
    model = Classifier(Plain(), 2)
    metrics = train_classifier(
        model,
        videos,
        videos.select("train"),
        config(augment=Augment(blur=0), optim=Optim(lr=0.1, batch=12, epochs=2), accumulate=accumulate),
        fake_run(folder, videos),
        purpose="finetune",
    )
    return model.state_dict(), metrics


def test_a_classifier_in_pieces_is_that_of_whole_batches(tmp_path):
    weights, metrics = classified(tmp_path / "whole", 1)
    for accumulate in (2, 3, 12):
        others, other = classified(tmp_path / str(accumulate), accumulate)
        assert_same(others, weights)
        assert other == pytest.approx(metrics, rel=1e-5)


def test_a_pretraining_of_two_ranks(tmp_path):
    """One log, one encoder; every video once an epoch; not what one process makes of it."""
    results = {}
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        results[ranks] = pretrain(asked_on(tmp_path, ranks=ranks), run_of(folder, tmp_path))
        assert [line["step"] for line in lines(folder)] == [1, 2, 3, 4]
        assert {path.name for path in folder.iterdir()} == {"encoder.pt", "metrics.jsonl"}
    assert results[1]["notes"] == results[2]["notes"] and results[1]["notes"]["steps"] == 4
    assert not same(weights(tmp_path / "1"), weights(tmp_path / "2"))


def test_an_error_of_a_rank_is_one_line(tmp_path):
    with pytest.raises(FameError, match=r"^a queue of 4 keys cannot take a batch of 6"):
        pretrain(config(ranks=2, moco=MoCo(queue=4)), fake_run(tmp_path, VIDEOS))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"accumulate": 0}, r"accumulate = 0: a batch of 6 on one device is cut in so many equal pieces"),
        ({"accumulate": 2, "ranks": 2}, r"accumulate = 2: a batch of 3 on one device"),
        ({"ranks": 4}, "shared by them equally"),
    ],
)
def test_pieces_and_ranks_divide_the_batch(changes, match):
    with pytest.raises(ValidationError, match=match):
        config(**changes)
    assert config(accumulate=3, ranks=2).accumulate == 3
