"""Options that say how a training computes: from the command line to the stages they change, to setting.json, and back again."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import run_study
from fame.config import Finetune, Pretrain
from fame.errors import FameError
from studies.harness.store import Store
from studies.setting.asked import Asked, recall
from studies.setting.cell import Stage
from studies.setting.choices import Choices, resolve
from studies.setting.command import command_of
from studies.setting.resolve import all_stages
from studies.setting.training import Training

EVERYTHING = ("--accumulate", "4", "--precision", "bf16", "--compile")
SEVERAL = ("--ranks", "2")


def asked(tmp_path: Path, ranks: int | None = None, **training: Any) -> Asked:
    return resolve(Choices("smoke", ranks=ranks, training=Training(**training)), tmp_path, 1)


def stages(found: Asked) -> list[Stage]:
    return [stage for stage, _ in all_stages(found.setting, found.studies).values()]


def pretrainings(found: Asked) -> list[Pretrain]:
    return [stage.config for stage in stages(found) if isinstance(stage.config, Pretrain)]


def test_options_change_the_stages_they_are_about(tmp_path: Path) -> None:
    found = asked(tmp_path, 2, accumulate=4, precision="bf16", compiled=True)
    told = {(one.objective.kind, one.accumulate, one.precision) for one in pretrainings(found)}
    assert told == {("moco", 4, "bf16"), ("supervised", 4, "bf16"), ("random", 1, "auto")}
    contrasts = [one.contrast for one in pretrainings(found) if one.objective.kind == "moco"]
    assert {(one.ranks, one.compiled) for one in contrasts} == {(2, True)}
    finetunings = [stage.config for stage in stages(found) if isinstance(stage.config, Finetune)]
    assert finetunings and {one.precision for one in finetunings} == {"bf16"}


@pytest.mark.parametrize(
    ("training", "kinds"),
    [
        ({"accumulate": 2}, {"moco", "supervised"}),
        ({"compiled": True}, {"moco"}),
        ({"precision": "bf16"}, {"moco", "supervised"}),
        ({"accumulate": 1, "precision": "fp32"}, set()),
    ],
)
def test_each_enters_the_ids_of_what_it_changes(tmp_path: Path, training: dict[str, Any], kinds: set[str]) -> None:
    plain = {Stage(config).id for config in pretrainings(asked(tmp_path))}
    assert {config.objective.kind for config in pretrainings(asked(tmp_path, **training)) if Stage(config).id not in plain} == kinds


def test_they_come_back_from_setting_json(tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    found = asked(store.cache, 2, accumulate=2, precision="fp16", compiled=True)
    store.write_setting(found.to_json())
    assert recall(store) == found
    assert found.setting.scale.accumulate == 2 and found.setting.scale.compiled is True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The choices that a command line comes to."""

    def call(*words: str) -> Choices:
        def caught(choices: Choices, *_: Any) -> None:
            found.append(choices)
            raise FameError("caught")

        found: list[Choices] = []
        monkeypatch.setattr("studies.cli.options.Session", caught)
        monkeypatch.setattr(sys, "argv", ["run_study.py", "plan", *words])
        assert run_study.start(run_study.app) == 2 and len(found) == 1
        return found[0]

    return call


@pytest.mark.parametrize("words", [EVERYTHING, (*SEVERAL, "--precision", "fp32"), (*SEVERAL, *EVERYTHING), ()])
def test_a_reports_command_asks_for_the_same_again(typed: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    store = Store(tmp_path).prepare()
    found = resolve(typed("--scale", "smoke", *words), store.cache, 1)
    command = command_of(found)
    again = resolve(typed(*shlex.split(command)[1:]), store.cache, 1)
    assert again == found
    assert [stage.id for stage in stages(again)] == [stage.id for stage in stages(found)]
    assert all(word in shlex.split(command) for word in words)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"accumulate": 3}, "--accumulate 3: the batch of 8 on one device is cut in so many equal pieces"),
        ({"accumulate": 0}, "--accumulate 0: "),
        ({"ranks": 4, "accumulate": 4}, "--accumulate 4: the batch of 2 on one device"),
        ({"precision": "int8"}, "--precision int8: it is one of auto, fp32, bf16, fp16"),
    ],
)
def test_an_impossible_value_is_named(tmp_path: Path, choices: dict[str, Any], told: str) -> None:
    with pytest.raises(FameError) as caught:
        asked(tmp_path, **choices)
    assert str(caught.value).startswith(told)


def test_float16_on_a_cpu_stops_a_run_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--scale", "smoke", "--precision", "fp16", "--device", "cpu", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["run_study.py", "run", *words])
    assert run_study.start(run_study.app) == 2
    err = capfd.readouterr().err
    assert (
        err.startswith("error: precision fp16 is served by GPUs alone, and the device is cpu: take --precision")
        and err.count("\n") == 1
    )
    assert not list((tmp_path / "out" / "runs").rglob("config.json"))
    monkeypatch.setattr(sys, "argv", ["run_study.py", "plan", *words])
    assert run_study.start(run_study.app) == 0
