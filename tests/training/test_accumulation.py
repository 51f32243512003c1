"""A batch in pieces: equal to the whole batch where batch norm does not see it, one piece's graph in memory, keys shuffled."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fame.backbones import build_encoder
from fame.backbones.given import load_encoder
from fame.config import Augment, Backbone, Clip, Merge, MoCo, Optim, Pretrain
from fame.distributed import average, here, together
from fame.method.moco import MomentumContrast, cut
from fame.run import Run
from fame.training.descent import ContrastStep, Descent
from fame.training.pretrain import pretrain
from fame.training.supervised import Classifier, train_classifier
from tests.fakes import FakeVideos, contrast, fake_data, fake_run
from tests.training.test_distributed import MOCOS, Plain

torch.set_num_threads(1)
CPU = torch.device("cpu")
BATCH, STEPS = 8, 3


def steps(moco: MoCo, accumulate: int, network: Any = None, evaluating: bool = False) -> dict[str, Tensor]:
    """Three steps on clips that all ranks know: loss and share of right queries (means over ranks), gradients, weights, queue."""
    ranks = here()
    model = MomentumContrast(network or Plain(), moco, seed=3, accumulate=accumulate).train(not evaluating)
    descend = ContrastStep(model, Descent(torch.optim.SGD(model.query.parameters(), lr=0.5)), None, CPU)
    drawn = torch.Generator().manual_seed(11)
    told = []
    for _ in range(STEPS):
        view0, view1 = (ranks.mine(torch.rand(BATCH, 3, 4, 16, 16, generator=drawn)) for _ in range(2))
        value = torch.stack(descend(view0, view1))
        average([value])
        told.append(value)
    gradients = {f"gradient of {name}": weight.grad for name, weight in model.query.named_parameters()}
    weights = {name: value for name, value in model.state_dict().items() if "num_batches" not in name and name != "turns"}
    return {"told": torch.stack(told), **gradients, **weights}


def steps_of_a_rank(device: torch.device, accumulate: int) -> list[dict[str, Tensor]]:
    return [steps(moco, accumulate) for moco in MOCOS]


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("accumulate", [2, 4, 8])
@pytest.mark.parametrize("moco", MOCOS, ids=["symmetric", "without own key", "one turn"])
def test_without_batch_norm_pieces_compute_what_the_whole_batch_computes(moco: MoCo, accumulate: int) -> None:
    """`told` holds the losses of later steps, too, so keys in another order of the queue would show."""
    assert_same(steps(moco, accumulate), steps(moco, 1))


@pytest.mark.parametrize("key_norm", ["batch", "ema"])
def test_with_batch_norm_in_evaluation_they_are_equal_too(key_norm: str) -> None:
    moco = MoCo(dim=5, queue=16, momentum=0.9, key_norm=key_norm)
    backbone = Backbone(name="r2plus1d_narrow", width=4)
    one, other = (steps(moco, accumulate, build_encoder(backbone, 2), evaluating=True) for accumulate in (1, 4))
    assert_same(other, one)


def test_two_ranks_with_pieces_compute_what_one_process_computes() -> None:
    for found, moco in zip(together(steps_of_a_rank, 2, "cpu", 2), MOCOS, strict=True):
        assert_same(found, steps(moco, 1))


class Held:
    """A tensor that the backward pass will want."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def clips_held(accumulate: int) -> tuple[int, list[int]]:
    """The most clips whose activations were kept for the backward pass at one time, and the tensors kept when a query began."""
    alive: weakref.WeakSet[Held] = weakref.WeakSet()
    peak, begun = 0, []

    def pack(tensor: Tensor) -> Held:
        nonlocal peak
        held = Held(tensor)
        alive.add(held)
        peak = max(peak, sum(len(one.tensor) for one in alive if one.tensor.dim() == 5 and one.tensor.shape[1] == Plain.dim))
        return held

    model = MomentumContrast(Plain(), MoCo(dim=5, queue=32), seed=3, accumulate=accumulate)
    model.query.encoder.register_forward_pre_hook(lambda *_: begun.append(len(alive)))
    descend = ContrastStep(model, Descent(torch.optim.SGD(model.query.parameters(), lr=0.5)), None, CPU)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
        descend(torch.rand(BATCH, 3, 4, 8, 8), torch.rand(BATCH, 3, 4, 8, 8))
    return peak, begun


def test_one_pieces_graph_is_in_memory_at_a_time() -> None:
    whole, begun = clips_held(1)
    assert len(begun) == 2 and begun[1] > 0  # symmetric: the second turn's graph joins the first one's
    for accumulate in (2, 4):
        held, begun = clips_held(accumulate)
        assert held * 2 * accumulate == whole  # of one turn, too
        assert begun == [0] * (2 * accumulate)


def test_keys_are_shuffled_over_pieces_and_the_shuffles_are_kept() -> None:
    """By hand: the second shuffle of a model is drawn from its seed and the number two, which the state holds."""
    network = build_encoder(Backbone(name="r2plus1d_narrow", width=4), 0)
    model = MomentumContrast(network, MoCo(dim=5, queue=16), seed=3, accumulate=2).train()
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


def test_pieces_are_equal_or_the_last_is_shorter() -> None:
    assert [len(piece) for piece in cut(torch.arange(8), 4)] == [2, 2, 2, 2]
    assert [len(piece) for piece in cut(torch.arange(7), 3)] == [3, 3, 1]


def config(**changes: Any) -> Pretrain:
    given: dict[str, Any] = {
        "data": fake_data(),
        "clip": Clip(frames=4, stride=2, size=16),
        "backbone": Backbone(name="r2plus1d_narrow", width=4),
        "moco": MoCo(dim=8, queue=16, momentum=0.9),
        "optim": Optim(kind="adamw", lr=1e-3, batch=6, epochs=4),
        "merge": Merge(),
        "precision": "fp32",
        "accumulate": 3,
    }
    return contrast(**{**given, **changes})


class Stopped(Exception):
    pass


class Breaking(Run):
    """A run that stops when it is told of the third epoch."""

    def log(self, **values: Any) -> None:
        if values.get("step") == 3:
            raise Stopped
        super().log(**values)


def test_a_pretraining_in_pieces_sees_the_same_clips_and_continues_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = FakeVideos(classes=2, per_class=6, frames=8, size=24, counterfactual=False)
    seen: dict[str, list[Tensor]] = {"whole": [], "pieces": []}
    original, at = MomentumContrast.pieces, "whole"

    def watched(model: MomentumContrast, view0: Tensor, view1: Tensor, autocast: Any = None) -> Any:
        seen[at] += [view0.clone(), view1.clone()]
        return original(model, view0, view1, autocast)

    monkeypatch.setattr(MomentumContrast, "pieces", watched)
    pretrain(config(accumulate=1), fake_run(tmp_path / "whole", videos))
    at = "pieces"
    straight = pretrain(config(), fake_run(tmp_path / "straight", videos))
    assert all(torch.equal(one, other) for one, other in zip(seen["whole"], seen["pieces"], strict=True))

    run = fake_run(tmp_path / "broken", videos)
    with pytest.raises(Stopped):
        pretrain(config(), Breaking(run.folder, run.seeds, run.device, run.videos))
    continued = pretrain(config(), run)
    assert straight["metrics"] == continued["metrics"]
    assert straight["notes"]["steps"] == 8 and straight["notes"]["pieces"] == 3
    first, second, whole = (load_encoder(tmp_path / name / "encoder.pt").state_dict() for name in ("straight", "broken", "whole"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], whole[name]) for name in first)  # batch norm sees pieces
    steps = [json.loads(line)["step"] for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def classified(folder: Path, accumulate: int) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Two epochs with labels, of a network without batch norm, in batches of 10 whose last piece is shorter."""
    videos = FakeVideos(classes=2, per_class=6, frames=8, size=16, counterfactual=False)
    torch.manual_seed(1)
    model = Classifier(Plain(), 2)
    told = train_classifier(
        model,
        videos,  # type: ignore[arg-type]
        videos.select("train"),
        clip=Clip(frames=4, stride=1, size=16),
        augment=Augment(blur=0),
        optim=Optim(lr=0.1, batch=10, epochs=2),
        precision="fp32",
        run=fake_run(folder, videos),
        purpose="finetune",
        accumulate=accumulate,
    )
    return model.state_dict(), told


def test_a_classifier_in_pieces_is_that_of_whole_batches(tmp_path: Path) -> None:
    weights, told = classified(tmp_path / "whole", 1)
    for accumulate in (2, 3, 10):
        others, other = classified(tmp_path / str(accumulate), accumulate)
        assert_same(others, weights)
        assert other == pytest.approx(told, rel=1e-5)


def test_pieces_must_divide_the_batch_of_a_rank() -> None:
    with pytest.raises(ValidationError, match=r"accumulate = 0: a batch of 6 on one device is cut in so many equal pieces"):
        config(accumulate=0)
    with pytest.raises(ValidationError, match=r"accumulate = 2: a batch of 3 on one device"):
        config(accumulate=2, ranks=2)
    assert config(accumulate=3, ranks=2).accumulate == 3
