"""What a plan and a forecast say: how many runs, how long, and what is left while they run."""

from __future__ import annotations

import pytest

from fame.config import Backbone, Pretrain
from studies.harness.executors import Outcome, Task
from studies.harness.forecast import A_RUN, Forecast, modelled, staged_sizes
from studies.harness.plan import make_plan
from studies.harness.progress import Silence, described, duration, size
from studies.harness.store import Store
from studies.paper.registry import studies
from studies.setting.cell import Stage
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import scale
from tests.harness.test_runner import PRETRAININGS, STAGES, empty_store, run  # noqa: F401 (a fixture)

# ---------------------------------------------------------------- the plan


def test_a_plan_counts_what_is_done_and_what_is_not(store: Store) -> None:
    plan = make_plan(store, STAGES, (0, 1), jobs=2)
    assert len(plan.tasks) == len(plan.todo) == 2 * len(STAGES)
    assert plan.seconds > 0
    assert plan.bytes > 0
    assert plan.data_seconds > 0
    run(store, replicates=(0,))
    plan = make_plan(store, STAGES, (0, 1), jobs=2)
    assert len(plan.todo) == len(STAGES)
    assert plan.studies() == [("background_source", 2 * len(STAGES), len(STAGES))]
    assert sum(runs for _, runs, _, _ in plan.kinds()) == 2 * len(STAGES)
    run(store, replicates=(1,))
    done = make_plan(store, STAGES, (0, 1), jobs=2)
    assert (done.todo, done.seconds, done.data_seconds, done.bytes) == ((), 0.0, 0.0, 0)


def test_a_gpu_takes_a_small_part_of_a_cores_time() -> None:
    """The published network thousands of times less; the narrow one, which waits for the host there, some ten times."""
    narrow = PRETRAININGS[0]
    assert isinstance(narrow.config, Pretrain)
    published = Stage(narrow.config.model_copy(update={"backbone": Backbone(name="r2plus1d_18")}))
    core, gpu = ([modelled(stage, staged_sizes, device) - A_RUN for stage in (narrow, published)] for device in ("cpu", "cuda:1"))
    assert 1 < core[0] / gpu[0] < 20 and core[1] / gpu[1] > 1000 and gpu[1] > 0


def test_a_forecast_learns_what_this_machine_takes() -> None:
    moco, merged = PRETRAININGS[0], PRETRAININGS[1]
    probe = next(stage for stage, _ in STAGES.values() if stage.kind == "probe")
    forecast = Forecast()
    model = {stage.id: modelled(stage, staged_sizes) for stage in (moco, merged, probe)}
    assert forecast.seconds(moco) == pytest.approx(model[moco.id])
    forecast.learn(moco, 3 * model[moco.id])
    assert forecast.seconds(merged) == pytest.approx(3 * model[merged.id])
    assert forecast.seconds(probe) == pytest.approx(3 * model[probe.id]), "of a kind not seen yet, the mean of the others"
    forecast.learn(probe, model[probe.id])
    assert forecast.seconds(probe) == pytest.approx(model[probe.id])
    assert forecast.seconds(merged) == pytest.approx(3 * model[merged.id])


def test_more_work_takes_longer() -> None:
    def seconds(name: str, study: str, kind: str) -> float:
        stages = all_stages(Setting(scale(name)), studies([study]))
        return sum(modelled(stage, staged_sizes) for stage, _ in stages.values() if stage.kind == kind)

    for kind in ("pretrain", "finetune", "probe"):
        assert seconds("smoke", "area_ratio", kind) < seconds("quick", "area_ratio", kind) < seconds("mini", "area_ratio", kind)


def test_the_remaining_time_follows_what_runs_really_take() -> None:
    stage = PRETRAININGS[0]
    forecast = Forecast()
    expected = forecast.seconds(stage)
    waiting = [Task(stage, replicate) for replicate in range(8)]
    assert forecast.remaining(waiting, {}, 2) == pytest.approx(8 * expected / 2 * 1.15)
    assert forecast.remaining(waiting, {}, 100) == pytest.approx(expected), "no packing beats the longest run"
    assert forecast.remaining([], {Task(stage, 0): (90.0, 0.9)}, 1) == pytest.approx(0.9 * 10 + 0.1 * 9, rel=0.01)
    assert forecast.remaining([], {}, 1) == 0
    chain = next(stage for stage, _ in STAGES.values() if stage.upstream)
    alone = [Task(link, 0) for link in chain.chain()]
    assert forecast.remaining(alone, {}, 8) == pytest.approx(sum(forecast.seconds(link) for link in chain.chain()))


def test_watchers_show_remaining_time_and_outcomes(store: Store) -> None:
    class Watching(Silence):
        def __init__(self) -> None:
            self.left: list[float] = []
            self.counted: list[tuple[int, int]] = []

        def ended(self, outcome: Outcome, done: int, total: int, remaining: float) -> None:
            self.left.append(remaining)
            self.counted.append((done, total))

    watching = Watching()
    run(store, watcher=watching)
    assert watching.counted == [(number, len(STAGES)) for number in range(1, len(STAGES) + 1)]
    assert watching.left[-1] == 0
    task = Task(PRETRAININGS[0], 0)
    assert "done in 4.2 s" in described(Outcome(task, "done", 4.2))
    assert "failed: no luck" in described(Outcome(task, "failed", 4.2, "no luck"))


def test_durations_and_sizes_read_well() -> None:
    assert [duration(value) for value in (0.25, 42, 600, 11100)] == ["0.2 s", "42 s", "10 min", "3 h 05 min"]
    assert [size(value) for value in (1e3, 2.5e6, 33e6, 2.5e9)] == ["0.1 MB", "2.5 MB", "33 MB", "2.5 GB"]
