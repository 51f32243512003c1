"""What a plan and a forecast say: how many runs, how long, and what is left while they run."""

from __future__ import annotations

import math
from unittest.mock import Mock

import pytest

from fame.config import Probe, VideoData
from fame.errors import FameError
from studies.harness.plan import A_RUN, Forecast, Task, duration, make_plan, work
from studies.harness.pool import Outcome
from studies.harness.progress import described
from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.scales import staged_sizes
from tests.harness.test_runner import PRETRAININGS, SETTING, STAGES, empty_store, run  # noqa: F401 (a fixture)


def test_a_plan_counts_what_is_done_and_what_is_not(store: Store) -> None:
    plan = make_plan(store, STAGES, (0, 1), jobs=2)
    assert len(plan.tasks) == len(plan.todo) == 2 * len(STAGES)
    assert math.isnan(plan.seconds) and plan.bytes > 0
    run(store, replicates=(0,))
    plan = make_plan(store, STAGES, (0, 1), jobs=2)
    assert plan.seconds > 0, "timed by the runs that are done"
    assert len(plan.todo) == len(STAGES)
    part = make_plan(store, STAGES, (1,), jobs=2)
    assert len(part.todo) == len(STAGES) and part.seconds > 0, "by another part's runs"
    run(store, replicates=(1,))
    done = make_plan(store, STAGES, (0, 1), jobs=2)
    assert (done.todo, done.seconds, done.bytes) == ((), 0.0, 0)


def test_a_set_without_a_test_video_is_refused_before_anything_is_run(store: Store) -> None:
    with pytest.raises(FameError, match="there is no test video, so nothing can be evaluated"):
        make_plan(store, STAGES, (0,), 1, sizes=lambda data: {"train": 8, "val": 2})


def test_a_forecast_learns_what_this_machine_takes() -> None:
    moco = next(stage for stage in PRETRAININGS if stage.config.objective.kind == "moco")  # type: ignore[union-attr]
    probe = next(stage for stage, _ in STAGES.values() if stage.kind == "probe")
    pixels = {stage.id: work(stage, staged_sizes) for stage in (moco, probe)}
    forecast = Forecast()
    assert math.isnan(forecast.seconds(moco)) and forecast.cost(moco) > forecast.cost(probe)
    forecast.learn(moco, 3 * pixels[moco.id])
    assert forecast.seconds(moco) == pytest.approx(3 * pixels[moco.id] + A_RUN)
    assert forecast.seconds(probe) == pytest.approx(3 * pixels[probe.id] + A_RUN), "of a kind not seen yet, the mean of the others"
    forecast.learn(probe, pixels[probe.id])
    assert forecast.seconds(probe) == pytest.approx(pixels[probe.id] + A_RUN)
    assert forecast.seconds(moco) == pytest.approx(3 * pixels[moco.id] + A_RUN)


def test_the_remaining_time_follows_what_runs_really_take() -> None:
    stage = next(stage for stage in PRETRAININGS if work(stage, staged_sizes))
    forecast = Forecast()
    waiting = [Task(stage, replicate) for replicate in range(8)]
    assert math.isnan(forecast.remaining(waiting, {}, 2))
    assert forecast.remaining([], {}, 1) == 0
    running = {Task(stage, 9): (45.0, 0.45, 0.1)}  # a resumed run: 45 s for 45 % of it
    assert forecast.remaining([], running, 1) == pytest.approx(10)
    assert forecast.remaining(waiting[:1], running, 2) == pytest.approx(100, rel=0.01), "what waits takes what the like of it takes"
    forecast.learn(stage, 50.0)
    expected = forecast.seconds(stage)
    assert forecast.remaining(waiting, {}, 2) == pytest.approx(8 * expected / 2)
    assert forecast.remaining(waiting, {}, 100) == pytest.approx(expected), "no packing beats the longest run"
    assert forecast.remaining([], {Task(stage, 0): (10.0, 0.0, 1.0)}, 1) == pytest.approx(expected - 10)
    chain = next(stage for stage, _ in STAGES.values() if stage.upstream)
    alone = [Task(link, 0) for link in chain.chain()]
    assert forecast.remaining(alone, {}, 8) == pytest.approx(sum(forecast.seconds(link) for link in chain.chain()))


def test_watchers_hear_of_every_outcome(store: Store) -> None:
    watcher = Mock()
    run(store, watcher=watcher)
    counted = [call.args[1:3] for call in watcher.ended.call_args_list]
    assert counted == [(number, len(STAGES)) for number in range(1, len(STAGES) + 1)]
    assert watcher.ended.call_args.args[3] == 0
    task = Task(PRETRAININGS[0], 0)
    assert "done in 4.2 s" in described(Outcome(task, "done", 4.2))
    assert "failed: no luck" in described(Outcome(task, "failed", 4.2, "no luck"))
    values = (0.25, 42, 600, 11100, math.nan)
    assert [duration(value) for value in values] == ["0.2 s", "42 s", "10 min", "3 h 05 min", "unknown"]


def test_videos_in_folds_are_work_as_tests_are():
    stage = Stage(Probe(data=VideoData(kind="target", manifest="0" * 12), solver="lbfgs"))
    in_folds, tested = (work(stage, lambda data, counts=counts: counts) for counts in ({"fold/0": 3, "fold/1": 2}, {"test": 5}))
    assert in_folds == tested > 0
