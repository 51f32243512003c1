"""Two ranks (gloo, one machine): what mathematics says is equal to one process, the queue, a whole pretraining, an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from fame.backbones.encoder import Encoder
from fame.backbones.given import load_encoder
from fame.config import Backbone, Clip, Merge, MoCo, Optim, Pretrain
from fame.distributed import average, gathered, here, parallel, restored, shuffled, together
from fame.errors import FameError
from fame.method.moco import MomentumContrast
from fame.seeds import Seeds
from fame.training.pretrain import pretrain
from studies.setting.choices import Choices, resolve
from studies.setting.resolve import all_stages
from tests.fakes import FakeVideos, contrast, fake_data, fake_run

torch.set_num_threads(1)
BATCH, STEPS = 8, 3


class Plain(Encoder):
    """No batch norm, so a clip's features do not depend on its company."""

    dim = 6

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.layer = nn.Conv3d(3, self.dim, 3, padding=1)

    def features(self, clips: Tensor) -> Tensor:
        return self.layer(clips).relu()

    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        return {}


def trained(moco: MoCo) -> dict[str, Tensor]:
    """Three steps of SGD on clips that all ranks know: losses (mean over ranks), weights, queue."""
    ranks = here()
    model = MomentumContrast(Plain(), moco, seed=3)
    wrapped = parallel(model)
    optimiser = torch.optim.SGD(model.query.parameters(), lr=0.5)
    drawn = torch.Generator().manual_seed(11)
    losses = []
    for _ in range(STEPS):
        view0, view1 = (ranks.mine(torch.rand(BATCH, 3, 4, 8, 8, generator=drawn)) for _ in range(2))
        loss, _ = wrapped(view0, view1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        told = loss.detach().clone()
        average([told])
        losses.append(told)
    found = {f"query.{name}": value for name, value in model.query.state_dict().items()}
    return {"losses": torch.stack(losses), "queue": model.queue, **found}


def on_a_rank(device: torch.device, mocos: list[MoCo]) -> dict[str, dict[str, Tensor]]:
    """What rank 0 saw, and the queues of both ranks."""
    found = {str(number): trained(moco) for number, moco in enumerate(mocos)}
    ranks = here()
    part = torch.arange(3) + 3 * ranks.rank
    mine, places = shuffled(part, seed=1)
    everybody = gathered(mine)
    exchange = {"mine": mine, "everybody": everybody, "back": restored(mine, places), "queues": gathered(found["0"]["queue"])}
    return {**found, "exchange": exchange}


MOCOS = [
    MoCo(dim=5, queue=12, momentum=0.9),
    MoCo(dim=5, queue=16, momentum=0.9, own_key=False),
    MoCo(dim=5, queue=24, momentum=0.9, symmetric=False),
]


def test_without_batch_norm_two_ranks_compute_what_one_process_computes():
    found = together(on_a_rank, 2, "cpu", MOCOS)
    for number, moco in enumerate(MOCOS):
        alone = trained(moco)
        assert alone.keys() == found[str(number)].keys()
        for name, value in alone.items():
            torch.testing.assert_close(
                found[str(number)][name], value.detach(), rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
            )
    exchange = found["exchange"]
    assert exchange["everybody"].sort().values.tolist() == list(range(6)) != exchange["everybody"].tolist()
    assert exchange["back"].tolist() == list(range(6))
    first, second = exchange["queues"].chunk(2)
    assert torch.equal(first, second)


def config(**changes) -> Pretrain:
    given = {
        "data": fake_data(),
        "clip": Clip(frames=4, stride=2, size=16),
        "backbone": Backbone(name="r2plus1d_narrow", width=4),
        "moco": MoCo(dim=8, queue=16, momentum=0.9),
        "optim": Optim(kind="adamw", lr=1e-3, batch=6, epochs=2),
        "merge": Merge(beta=0.5),
        "precision": "fp32",
        "ranks": 2,
    }
    return contrast(**{**given, **changes})


def test_a_pretraining_of_two_ranks(tmp_path: Path):
    """One log, one encoder; every video once an epoch; again the same to the bit; not what one process makes of it."""
    videos = FakeVideos(classes=2, per_class=6, frames=8, size=24, counterfactual=False)
    states, results = [], []
    for name, ranks in (("first", 2), ("again", 2), ("alone", 1)):
        run = fake_run(tmp_path / name, videos)
        results.append(pretrain(config(ranks=ranks), run))
        states.append(load_encoder(run.folder / "encoder.pt").state_dict())
        log = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in log] == [1, 2]
        assert {path.name for path in run.folder.iterdir()} == {"encoder.pt", "metrics.jsonl"}
    first, again, alone = states
    assert results[0]["metrics"] == results[1]["metrics"] and results[0]["notes"]["ranks"] == 2
    assert results[0]["notes"]["steps"] == results[2]["notes"]["steps"] == 4
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], alone[name]) for name in first)


def test_an_error_of_a_rank_is_one_line(tmp_path: Path):
    videos = FakeVideos(classes=2, per_class=6, frames=8, size=24, counterfactual=False)
    with pytest.raises(FameError, match=r"^a queue of 4 keys cannot take a batch of 6"):
        pretrain(config(moco=MoCo(queue=4)), fake_run(tmp_path, videos))


def test_ranks_share_a_batch_equally():
    with pytest.raises(ValidationError, match="shared by them equally"):
        config(ranks=4)
    assert Pretrain.model_validate(config(ranks=3).model_dump()).contrast.ranks == 3


def test_the_option_changes_pretrainings_by_contrast_and_no_others(tmp_path: Path):
    asked = resolve(Choices("smoke", ranks=2), tmp_path, 1)
    stages = [stage for stage, _ in all_stages(asked.setting, asked.studies).values() if isinstance(stage.config, Pretrain)]
    kinds = {(one.kind, getattr(one, "ranks", 1)) for one in (stage.config.objective for stage in stages)}
    assert kinds == {("moco", 2), ("random", 1), ("supervised", 1)}
    with pytest.raises(FameError, match="--ranks 3: the batch of 8 is shared by them equally"):
        resolve(Choices("smoke", ranks=3), tmp_path, 1)


def test_alone_nothing_is_exchanged():
    part = torch.arange(3.0)
    assert gathered(part) is part and here().size == 1
    average([part])
    assert part.tolist() == [0, 1, 2]
    assert torch.equal(restored(*shuffled(part, seed=Seeds(0).of("shuffle"))), part)
    with pytest.raises(ValueError, match="equally"):
        type(here())(0, 2).mine(part)
