"""Identity: what is in an id, what is not, and that nothing changes it unnoticed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from fame.config import Clip, Config, Merge, MoCo, Optim, Pretrain, Probe, Random, Retrieval, VideoData, later
from fame.errors import FameError
from studies.paper.registry import STUDIES, studies
from studies.setting.cell import Stage, canonical, identified
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SCALES
from studies.study import Method, moco, random_init
from tests.fakes import contrast, contrasted

VIDEOS = VideoData(kind="ucf101", manifest="0123456789ab")
BASELINE = Stage(Pretrain(data=VIDEOS))
FAME = Stage(contrast(data=VIDEOS, merge=Merge()))

# Where another id is meant, raise the stage's `version` and pin the new one.
GOLDEN = {
    "baseline": (BASELINE, "796ba9892c45"),
    "fame": (FAME, "0b0998eec872"),
    "probe": (Stage(Probe(data=VIDEOS), FAME), "51b51304a433"),
    "retrieval": (Stage(Retrieval(data=VIDEOS), BASELINE), "18216c67923d"),
    "random": (Stage(Pretrain(objective=Random())), "3de05087a62b"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_ids(name: str) -> None:
    stage, pinned = GOLDEN[name]
    assert stage.id == pinned


def test_json_is_canonical() -> None:
    assert canonical({"b": 0.50, "a": [1, None]}) == '{"a":[1,null],"b":0.5}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))
    text = FAME.config.model_dump_json().replace('"beta":0.5', '"beta":0.50')
    assert Stage(Pretrain.model_validate_json(text)).id == FAME.id


def test_every_default_is_in_the_id() -> None:
    told = FAME.identity()["config"]
    assert told["objective"]["moco"]["temperature"] == 0.1
    assert told["objective"]["merge"]["background"] == "inter"
    assert set(told) == set(Pretrain.model_fields) - {"accumulate", "stop"}  # came later, and stand at what was done before
    assert Stage(contrasted(FAME.config, ranks=2)).identity()["config"]["objective"]["ranks"] == 2


def test_an_untrained_network_has_no_training_in_its_id() -> None:
    small, large = Setting(SCALES["smoke"]), Setting(replace(SCALES["smoke"], moco=MoCo(queue=64), pretrain=Optim(lr=1.0)))
    assert small.pretraining(random_init()) == large.pretraining(random_init())
    assert set(Stage(Pretrain(objective=Random())).identity()["config"]) == {"stage", "version", "backbone", "objective"}
    with pytest.raises(ValidationError, match="not trained: optim would change nothing"):
        Pretrain(objective=Random(), optim=Optim(lr=1.0))


def test_an_unknown_kind_is_refused_and_not_trained_with_labels() -> None:
    with pytest.raises(FameError, match="unknown kind of pretraining 'rotation'"):
        Setting(SCALES["smoke"]).pretraining(Method(kind="rotation"))
    with pytest.raises(ValidationError, match="unknown objective 'rotation'; known: moco, supervised, random, file"):
        Pretrain.model_validate({"objective": {"kind": "rotation"}})


@pytest.mark.parametrize(
    "change",
    [
        {"merge": Merge(beta=0.3)},
        {"merge": Merge(views="both")},
        {"optim": Optim(lr=0.02)},
        {"clip": Clip(stride=1)},
        {"version": 4},
        {"data": VIDEOS.model_copy(update={"manifest": "ba9876543210"})},
    ],
    ids=str,
)
def test_another_choice_is_another_id(change: dict) -> None:
    assert Stage(contrast(**{"data": VIDEOS, "merge": Merge(), **change})).id != FAME.id


def test_a_chain_survives_json() -> None:
    stage = Stage(Probe(data=VIDEOS), FAME)
    assert stage.id != Stage(Probe(data=VIDEOS), BASELINE).id
    assert [link.kind for link in stage.chain()] == ["pretrain", "probe"]
    back = Stage.from_json(json.loads(json.dumps(stage.to_json())))
    assert back == stage and back.id == stage.id
    changed = stage.to_json()
    changed["config"]["solver"] = "adam"
    with pytest.raises(ValidationError):
        Stage.from_json(changed)


@pytest.mark.parametrize("name", SCALES)
def test_shared_cells_are_one(name: str) -> None:
    setting = Setting(SCALES[name], {} if SCALES[name].world else {"A": VIDEOS})
    stages = all_stages(setting, STUDIES)
    baseline = setting.pretraining(moco())
    assert baseline
    assert [own for own, (stage, _) in stages.items() if stage.config == baseline.config] == [baseline.id]
    assert {"area_ratio", "retrieval", "temporal_kernels"} <= set(stages[baseline.id][1])


def test_stages_come_upstream_first_and_once() -> None:
    stages = all_stages(Setting(SCALES["smoke"]), STUDIES)
    seen: set[str] = set()
    for stage_id, (stage, serves) in stages.items():
        assert stage_id == stage.id and serves
        assert stage.upstream is None or stage.upstream.id in seen
        seen.add(stage_id)
    assert set(all_stages(Setting(SCALES["smoke"]), studies(["area_ratio"]))) < set(stages)


class Nested(Config):
    old: int = 1
    new: int = later(0)


class Outer(Config):
    inner: Nested = Nested()
    new: Nested | None = later(None)


def test_a_field_that_came_later_enters_the_id_only_where_it_says_something_new() -> None:
    assert identified(Outer()) == {"inner": {"old": 1}}
    assert identified(Outer(inner=Nested(old=2, new=3), new=Nested())) == {"inner": {"old": 2, "new": 3}, "new": {"old": 1}}
