"""What runs, in which order, once, and mirrored; and what becomes of failures. The stages are fakes (tests/fake_stages.py)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock, call

import pytest
from filelock import FileLock
from rich.console import Console

from fame.config import VideoData
from fame.errors import FameError
from fame.seeds import Seeds
from studies.harness.plan import Forecast, Plan, Task, make_plan
from studies.harness.pool import LocalWorkers, Naming, Outcome
from studies.harness.progress import Lines
from studies.harness.runner import Summary, run_missing
from studies.harness.store import LOCK, DiskFull, Store
from studies.harness.worker import Busy, Runtime, execute, message_of, open_once
from studies.paper.registry import studies
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SCALES
from tests.fake_stages import FAKES

SETTING = Setting(SCALES["smoke"])
STAGES = all_stages(SETTING, studies(["background_source"]))
PRETRAININGS = [stage for stage, _ in STAGES.values() if stage.kind == "pretrain"]
PROBE = next(stage for stage, _ in STAGES.values() if stage.kind == "probe")
RUNTIME = Runtime(stages=FAKES)
QUIET = Lines(Console(quiet=True))


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

    def prepare(self, plan: Plan, naming: Naming) -> None:
        LocalWorkers(self.store.out, 1, self.runtime).prepare(plan, naming)

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
        """It has no process to end."""


def run(store: Store, executor: Here | None = None, replicates: tuple[int, ...] = (0,), **more: Any) -> tuple[Summary, Here]:
    executor = executor or Here(store)
    return run_missing(store, make_plan(store, STAGES, replicates, 2), executor, **({"watcher": QUIET} | more)), executor


def test_everything_runs_once_upstream_first_and_a_second_start_runs_nothing(store: Store) -> None:
    summary, executor = run(store, replicates=(0, 1))
    assert summary.ok and len(summary.done) == len(set(summary.done)) == 2 * len(STAGES)
    before: set[tuple[str, int]] = set()
    for task in executor.given:
        upstream = task.upstream()
        assert upstream is None or upstream.key in before
        before.add(task.key)
    again, executor = run(store, replicates=(0, 1))
    assert again.already == 2 * len(STAGES)
    assert not again.done and not executor.given


def test_a_result_tells_where_it_comes_from_and_its_seeds_are_the_replicates(store: Store) -> None:
    run(store, replicates=(1, 4))
    one, four = ((store.result(PROBE.id, replicate) or {}) for replicate in (1, 4))
    assert PROBE.upstream is not None and one["upstream"] == PROBE.upstream.id
    assert {"stage", "kind", "replicate", "upstream", "metrics", "artifacts", "notes", "seconds", "finished"} <= set(one)
    assert one["metrics"]["encoder"] == len("weights")
    assert one["hardware"]["cores"] >= 1 and one["versions"]["torch"] and one["commit"]
    assert (store.result(PROBE.upstream.id, 1) or {})["data"] == {"A": "fade00000000"}
    assert (one["metrics"]["replicate"], four["metrics"]["replicate"]) == (1.0, 4.0)


def test_real_videos_are_opened_once_for_all_replicates_and_staged_ones_for_each(tmp_path: Path) -> None:
    staged = SETTING.data("A")
    for data, times in ((VideoData(kind="folder", manifest="0" * 12), 1), (staged, 2)):
        assert len({id(open_once(data, Seeds(replicate), tmp_path, RUNTIME)) for replicate in (0, 1)}) == times


def test_the_longest_chain_starts_first(store: Store) -> None:
    executor = Here(store, slots=1)
    run_missing(store, make_plan(store, all_stages(SETTING, studies(["diving48"])), (0,), 1), executor, QUIET)
    costs = [Forecast().cost(task.stage) for task in executor.given if task.stage.upstream is None]
    assert costs[0] == max(costs) and costs[-1] == min(costs) < costs[0]


def test_every_finished_run_is_mirrored_those_of_earlier_starts_too(store: Store) -> None:
    keys = sorted((stage_id, 0) for stage_id in STAGES)
    mirror = Mock()
    run(store, mirror=mirror)
    assert sorted(one.args[1:3] for one in mirror.mirror_run.call_args_list) == keys
    again = Mock()
    run(store, mirror=again)
    (there,) = again.mirror_runs.call_args_list
    assert sorted(there.args[1]) == keys and there.args[2][PROBE.id] == ("background_source",)
    assert not again.mirror_run.called


def test_runs_are_mirrored_while_they_go_on_and_how_they_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.harness.mirroring.EVERY", 0)
    lost, broken, *_ = PRETRAININGS
    trouble(store, **{f"s{broken.id}": "fail"})
    executor, mirror = Here(store), Mock()
    executor.answers[lost.id, 0] = ["busy", "killed"]
    run(store, executor, mirror=mirror)
    followed = {task for one in mirror.follow.call_args_list for task in one.args[1]}
    assert followed <= {*executor.given} and followed
    ends = {one.args[1:] for one in mirror.end_run.call_args_list}
    assert ends == {((lost.id, 0), None), ((lost.id, 0), "KILLED"), ((broken.id, 0), "FAILED")}
    assert mirror.mock_calls[-1] == call.end_all(store)


def test_what_goes_on_when_the_command_is_stopped_is_told(store: Store) -> None:
    mirror = Mock()
    with pytest.raises(KeyboardInterrupt):
        run(store, Mock(free=1, submit=Mock(side_effect=KeyboardInterrupt)), mirror=mirror)
    assert mirror.mock_calls[-1] == call.end_all(store)


@pytest.mark.parametrize(
    ("what", "told"), [("fail", "RuntimeError: it did not work"), ("user", "the videos are gone; bring them back")]
)
def test_a_failure_takes_down_what_depends_on_it_and_nothing_else(store: Store, what: str, told: str) -> None:
    broken = PRETRAININGS[1]
    trouble(store, **{f"s{broken.id}": what})
    summary, _ = run(store)
    dependants = {stage.id for stage, _ in STAGES.values() if stage.upstream == broken}
    assert not summary.ok and set(summary.failed) == {(broken.id, 0)}
    assert set(summary.skipped) == {(stage_id, 0) for stage_id in dependants}
    assert {key[0] for key in summary.done} == set(STAGES) - dependants - {broken.id}
    assert any("skipped: its pretraining" in line for line in summary.skipped.values())
    failure = store.failure(broken.id, 0) or {}
    assert failure["message"] == told and "fake_stages.py" in failure["traceback"]
    trouble(store)
    mended, _ = run(store)
    assert mended.ok and len(mended.done) == 1 + len(dependants)
    assert store.failure(broken.id, 0) is None


def test_a_full_disk_stops_at_once_with_one_line_and_keeps_what_is_done(store: Store) -> None:
    run_missing(store, make_plan(store, {PRETRAININGS[0].id: (PRETRAININGS[0], ())}, (0,), 1), Here(store), QUIET)
    trouble(store, **{f"s{stage.id}": "full" for stage in PRETRAININGS})
    executor = Here(store)
    with pytest.raises(FameError, match="disk is full") as caught:
        run(store, executor)
    assert "\n" not in str(caught.value)
    assert store.finished(PRETRAININGS[0].id, 0)
    assert len([task for task in executor.given if task.stage.kind == "pretrain"]) <= 2
    trouble(store)
    assert run(store)[0].ok


def test_a_killed_run_is_started_once_more_and_only_once(store: Store) -> None:
    once, twice = PRETRAININGS[:2]
    executor = Here(store)
    executor.answers = {(once.id, 0): ["killed"], (twice.id, 0): ["killed", "killed"]}
    summary, _ = run(store, executor)
    assert (once.id, 0) in summary.done and set(summary.failed) == {(twice.id, 0)}
    assert (store.failure(twice.id, 0) or {})["message"] == "as the test wants it"


@pytest.mark.parametrize("finished", [False, True])
def test_a_run_that_another_process_holds_is_waited_for_and_not_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    monkeypatch.setattr("studies.harness.runner.PATIENCE", 0.05)
    first = PRETRAININGS[0]

    class Other(Here):
        def wait(self, timeout: float) -> list[Outcome]:
            if finished and self.queue and self.queue[0].stage == first:
                execute(first, 0, self.store, RUNTIME)
            return super().wait(timeout)

    executor = Other(store)
    executor.answers = {(first.id, 0): ["busy"] if finished else ["busy", "busy"]}
    assert run(store, executor)[0].ok
    assert [task.stage for task in executor.given].count(first) == (2 if finished else 3)


def test_two_processes_never_execute_one_run(store: Store) -> None:
    first = PRETRAININGS[0]
    with FileLock(store.begin(first, 0) / LOCK), pytest.raises(Busy):
        execute(first, 0, store, RUNTIME)
    assert not store.finished(first.id, 0)
    assert execute(first, 0, store, RUNTIME)["stage"] == first.id


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_damaged_encoder_is_named_and_made_anew_where_it_is_read_and_nothing_else(
    store: Store, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(store)
    assert PROBE.upstream is not None
    encoder = store.folder(PROBE.upstream.id, 0) / "encoder.pt"
    sound = encoder.read_bytes()
    encoder.unlink() if how == "gone" else encoder.write_bytes(b"W" + sound[1:])
    assert not run(Store(store.out))[0].done, "nothing reads it"
    (store.folder(PROBE.id, 0) / "result.json").unlink()
    with pytest.raises(FameError, match="the encoder is damaged or gone; start again, which trains it anew"):
        execute(PROBE, 0, Store(store.out), RUNTIME)
    caplog.clear()
    summary, _ = run(Store(store.out))
    assert summary.ok and summary.done == [(PROBE.upstream.id, 0), (PROBE.id, 0)]
    assert any(str(encoder) in message for message in caplog.messages) and encoder.read_bytes() == sound


def test_a_run_that_failed_by_its_numbers_begins_again_and_others_go_on(store: Store) -> None:
    numbers, other = PRETRAININGS[:2]
    for stage in (numbers, other):
        (store.begin(stage, 0) / "checkpoint.pt").write_text("3")
    trouble(store, **{f"s{numbers.id}": "not finite", f"s{other.id}": "user"})
    assert set(run(store)[0].failed) == {(numbers.id, 0), (other.id, 0)}
    trouble(store)
    assert run(store)[0].ok
    started = [(store.result(stage.id, 0) or {})["metrics"]["started_at"] for stage in (numbers, other)]
    assert started == [0.0, 3.0]
