"""Options that say how a training computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fame.config import Finetune, Pretrain
from studies.harness.status import recall
from studies.harness.store import Store
from studies.setting.asked import Asked, resolve
from studies.setting.cell import Stage
from studies.setting.options import Options
from studies.setting.resolve import all_stages
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)


def asked(tmp_path: Path, **options: Any) -> Asked:
    return resolve(Options(scale="smoke", **options), tmp_path, 1)


def configs(found: Asked) -> list[Any]:
    return [stage.config for stage, _ in all_stages(found.setting, found.studies).values()]


def pretrainings(found: Asked) -> list[Pretrain]:
    return [config for config in configs(found) if isinstance(config, Pretrain)]


def test_options_change_the_stages_they_are_about(tmp_path: Path) -> None:
    found = asked(tmp_path, ranks=2, accumulate=4, precision="bf16", compile=True)
    told = {(one.objective.kind, one.accumulate, one.precision) for one in pretrainings(found)}
    assert told == {("moco", 4, "bf16"), ("supervised", 4, "bf16"), ("random", 1, "auto")}
    contrasts = [one.contrast for one in pretrainings(found) if one.objective.kind == "moco"]
    assert {(one.ranks, one.compiled) for one in contrasts} == {(2, True)}
    assert {one.precision for one in configs(found) if isinstance(one, Finetune)} == {"bf16"}


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"accumulate": 2}, {"moco", "supervised"}),
        ({"compile": True}, {"moco"}),
        ({"precision": "bf16"}, {"moco", "supervised"}),
        ({"accumulate": 1, "precision": "fp32"}, set()),
    ],
)
def test_each_enters_the_ids_of_what_it_changes(tmp_path: Path, options: dict[str, Any], kinds: set[str]) -> None:
    plain = {Stage(config).id for config in pretrainings(asked(tmp_path))}
    assert {config.objective.kind for config in pretrainings(asked(tmp_path, **options)) if Stage(config).id not in plain} == kinds


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({"ranks": 2, "precision": "bf16", "compile": True}, "--replicates 1 --ranks 2 --precision bf16 --compile"),
        ({"only": ("area_ratio/1.0 (baseline)",)}, "--replicates 1 --only 'area_ratio/1.0 (baseline)'"),
        ({"protocol": "official", "replicates": 2}, "--protocol official --replicates 2"),
    ],
)
def test_they_come_back_from_setting_json_and_stand_in_the_command(tmp_path: Path, options: dict[str, Any], command: str) -> None:
    store = Store(tmp_path).prepare()
    found = asked(store.cache, **options)
    store.write_setting(found.to_json())
    assert recall(store) == found and recall(store).setting == found.setting
    assert found.command() == f"reproduce-paper --scale smoke --dataset staged {command}"


def test_float16_on_a_cpu_stops_a_run_before_it_starts(typed: Typed, capfd: Captured) -> None:
    words = ["--scale", "smoke", "--precision", "fp16", "--device", "cpu"]
    assert typed("run", *words) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: precision fp16 is served by GPUs alone")
    assert not list(Path("out/runs").rglob("config.json"))
    assert typed("plan", *words) == 0
