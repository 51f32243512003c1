"""What runs, in which order, once, and mirrored. The stages are fakes (tests/fake_stages.py)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fame.config import Pretrain
from studies.harness.executors import Outcome, Task
from studies.harness.forecast import Forecast
from studies.harness.runner import run_stages
from studies.harness.scheduling import Summary
from studies.harness.store import DiskFull, Store
from studies.harness.worker import Runtime, execute, message_of
from studies.paper.registry import studies
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SCALES
from tests.fake_stages import FAKES

SETTING = Setting(SCALES["smoke"])
STAGES = all_stages(SETTING, studies(["background_source"]))
PRETRAININGS = [stage for stage, _ in STAGES.values() if stage.kind == "pretrain"]
RUNTIME = Runtime(stages=FAKES)


@pytest.fixture(name="store")
def empty_store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out").prepare()


def trouble(store: Store, **what: str) -> None:
    """`what` goes wrong with the stages of these ids."""
    (store.out / "plan.json").write_text(json.dumps({name.removeprefix("s"): value for name, value in what.items()}))


class Here:
    """An executor in this process: runs one task at each `wait`, and keeps the order in which it was given them."""

    def __init__(self, store: Store, slots: int = 2, runtime: Runtime = RUNTIME) -> None:
        self.store, self.slots, self.runtime = store, slots, runtime
        self.given: list[Task] = []
        self.queue: list[Task] = []
        self.answers: dict[tuple[str, int], list[str]] = {}  # instead of running: statuses to give first

    @property
    def free(self) -> int:
        return self.slots - len(self.queue)

    def submit(self, task: Task) -> None:
        assert self.free > 0
        self.given.append(task)
        self.queue.append(task)

    def wait(self, timeout: float) -> list[Outcome]:
        if not self.queue:
            time.sleep(0.01)
            return []
        task = self.queue.pop(0)
        if self.answers.get(task.key):
            return [Outcome(task, self.answers[task.key].pop(0), 0.0, "as the test wants it")]  # type: ignore[arg-type]
        try:
            execute(task.stage, task.replicate, self.store, self.runtime)
        except DiskFull as error:
            return [Outcome(task, "disk full", 0.0, str(error))]
        except Exception as error:
            return [Outcome(task, "failed", 0.0, message_of(error))]
        return [Outcome(task, "done", 0.1)]

    def stop(self) -> None:
        raise AssertionError("an executor that was given is its owner's to stop")


def run(store: Store, executor: Here | None = None, replicates: tuple[int, ...] = (0,), **more: Any) -> tuple[Summary, Here]:
    executor = executor or Here(store)
    return run_stages(store, STAGES, replicates, jobs=2, runtime=RUNTIME, executor=executor, **more), executor


# ---------------------------------------------------------------- what runs


def test_everything_runs_once_upstream_first_and_a_second_start_runs_nothing(store: Store) -> None:
    summary, executor = run(store, replicates=(0, 1))
    assert summary.ok
    assert len(summary.done) == len(set(summary.done)) == 2 * len(STAGES)
    before: set[tuple[str, int]] = set()
    for task in executor.given:
        upstream = task.upstream()
        assert upstream is None or upstream.key in before
        before.add(task.key)
    results = {key: (store.folder(*key) / "result.json").stat().st_mtime_ns for key in summary.done}
    again, executor = run(store, replicates=(0, 1))
    assert again.already == 2 * len(STAGES)
    assert not again.done
    assert not executor.given
    assert results == {key: (store.folder(*key) / "result.json").stat().st_mtime_ns for key in results}


def test_a_cell_that_several_studies_share_runs_once(store: Store) -> None:
    both = all_stages(SETTING, studies(["area_ratio", "background_source"]))
    executor = Here(store)
    summary = run_stages(store, both, (0,), jobs=2, runtime=RUNTIME, executor=executor)
    assert summary.ok
    pretrained = [task for task in executor.given if isinstance(task.stage.config, Pretrain)]
    baselines = [task for task in pretrained if getattr(task.stage.config.objective, "merge", 0) is None]
    assert len(baselines) == 1
    assert set(both[baselines[0].stage.id][1]) == {"area_ratio", "background_source"}


def test_a_result_tells_where_it_comes_from(store: Store) -> None:
    run(store)
    stage = next(stage for stage, _ in STAGES.values() if stage.kind == "probe")
    result = store.result(stage.id, 0)
    assert result is not None and stage.upstream is not None
    assert {"stage", "kind", "replicate", "upstream", "metrics", "artifacts", "notes", "seconds", "finished"} <= set(result)
    assert result["upstream"] == stage.upstream.id
    assert result["metrics"]["encoder"] == len("weights")
    assert result["hardware"]["cores"] >= 1
    assert result["versions"]["torch"]
    assert result["commit"]
    pretraining = store.result(stage.upstream.id, 0)
    assert pretraining is not None
    assert pretraining["data"] == {"A": "fade00000000"}


def test_seeds_come_from_the_replicate(store: Store) -> None:
    run(store, replicates=(1, 4))
    stage = next(stage for stage, _ in STAGES.values() if stage.kind == "probe")
    seen = [(store.result(stage.id, replicate) or {})["metrics"]["replicate"] for replicate in (1, 4)]
    assert seen == [1.0, 4.0]


def test_the_longest_chain_starts_first(store: Store) -> None:
    stages = all_stages(SETTING, studies(["diving48"]))
    executor = Here(store, slots=1)
    forecast = Forecast()
    run_stages(store, stages, (0,), jobs=1, runtime=RUNTIME, executor=executor)
    ready = [task.stage for task in executor.given if task.stage.upstream is None]
    first, last = forecast.cost(ready[0]), forecast.cost(ready[-1])
    assert first == max(forecast.cost(stage) for stage in ready)
    assert last == min(forecast.cost(stage) for stage in ready)
    assert ready[-1].config.objective.kind == "random"  # type: ignore[union-attr]


# ---------------------------------------------------------------- the mirror


class Copy:
    """A mirror that keeps what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, tuple[str, ...]]] = []

    def mirror_run(self, store: Store, stage_id: str, replicate: int, serves: tuple[str, ...]) -> bool:
        assert store.finished(stage_id, replicate)
        self.seen.append((stage_id, replicate, serves))
        return True


def test_every_finished_run_is_mirrored_those_of_earlier_starts_too(store: Store) -> None:
    first, again = Copy(), Copy()
    run(store, mirror=first)
    run(store, mirror=again)
    assert sorted(first.seen) == sorted(again.seen) == sorted((stage_id, 0, ("background_source",)) for stage_id in STAGES)
