"""What runs, in which order, and what happens when something goes wrong. The stages are fakes (tests/fake_stages.py)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_stages import FAKES

from fame.config import Backbone, Pretrain
from fame.errors import FameError
from studies.cell import Stage
from studies.executors import Outcome, Task
from studies.executors.local import LocalWorkers
from studies.forecast import A_RUN, Forecast, modelled, staged_sizes
from studies.plan import make_plan
from studies.progress import Silence, described, duration, size
from studies.registry import studies
from studies.resolve import Setting, all_stages
from studies.runner import run_stages
from studies.scales import scale
from studies.scheduling import Summary
from studies.store import DiskFull, Store
from studies.worker import LOCK, Busy, Runtime, execute, message_of

SETTING = Setting(scale("smoke"))
STAGES = all_stages(SETTING, studies(["background_source"]))
PRETRAININGS = [stage for stage, _ in STAGES.values() if stage.kind == "pretrain"]
RUNTIME = Runtime(stages=FAKES)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out").prepare()


def trouble(store: Store, **what: str) -> None:
    """`what` goes wrong with the stages of these ids."""
    (store.out / "plan.json").write_text(json.dumps({name.removeprefix("s"): value for name, value in what.items()}))


class Here:
    """An executor in this process: runs one task at each `wait`, and keeps the order in which it was given them."""

    def __init__(self, store: Store, slots: int = 2) -> None:
        self.store, self.slots = store, slots
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
            execute(task.stage, task.replicate, self.store, RUNTIME)
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
    baselines = [task for task in executor.given if task.stage.kind == "pretrain" and task.stage.config.merge is None]  # type: ignore[union-attr]
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
    first, last = forecast.seconds(ready[0]), forecast.seconds(ready[-1])
    assert first == max(forecast.seconds(stage) for stage in ready)
    assert last == min(forecast.seconds(stage) for stage in ready)
    assert ready[-1].config.kind == "random"  # type: ignore[union-attr]


# ---------------------------------------------------------------- what goes wrong


def test_a_failure_takes_down_what_depends_on_it_and_nothing_else(store: Store) -> None:
    broken = PRETRAININGS[1]
    trouble(store, **{f"s{broken.id}": "fail"})
    summary, _ = run(store, replicates=(0,))
    dependants = {stage.id for stage, _ in STAGES.values() if stage.upstream == broken}
    assert not summary.ok
    assert set(summary.failed) == {(broken.id, 0)}
    assert set(summary.skipped) == {(stage_id, 0) for stage_id in dependants}
    assert {key[0] for key in summary.done} == set(STAGES) - dependants - {broken.id}
    assert any("skipped: its pretraining" in line for line in summary.complaints())
    failure = store.failure(broken.id, 0)
    assert failure is not None
    assert failure["message"] == "RuntimeError: it did not work"
    assert "fake_stages.py" in failure["traceback"]
    trouble(store)
    mended, _ = run(store)
    assert mended.ok
    assert len(mended.done) == 1 + len(dependants)
    assert store.failure(broken.id, 0) is None


def test_the_message_of_a_user_error_stands_alone(store: Store) -> None:
    trouble(store, **{f"s{PRETRAININGS[0].id}": "user"})
    run(store)
    failure = store.failure(PRETRAININGS[0].id, 0)
    assert failure is not None
    assert failure["message"] == "the videos are gone; bring them back"


@pytest.mark.parametrize("what", ["full", "quota"])
def test_a_full_disk_stops_at_once_with_one_line_and_keeps_what_is_done(store: Store, what: str) -> None:
    run_stages(store, {PRETRAININGS[0].id: (PRETRAININGS[0], ())}, (0,), jobs=1, runtime=RUNTIME, executor=Here(store))
    if what == "full" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    trouble(store, **{f"s{stage.id}": what for stage in PRETRAININGS})
    executor = Here(store)
    with pytest.raises(FameError, match="disk is full") as caught:
        run(store, executor)
    assert "\n" not in str(caught.value)
    assert store.finished(PRETRAININGS[0].id, 0)
    assert len([task for task in executor.given if task.stage.kind == "pretrain"]) <= 2
    trouble(store)
    assert run(store)[0].ok


def test_a_killed_run_is_started_once_more_and_only_once(store: Store) -> None:
    once, twice = PRETRAININGS[0], PRETRAININGS[1]
    executor = Here(store)
    executor.answers = {(once.id, 0): ["killed"], (twice.id, 0): ["killed", "killed"]}
    summary, _ = run(store, executor)
    assert (once.id, 0) in summary.done
    assert set(summary.failed) == {(twice.id, 0)}
    failure = store.failure(twice.id, 0)
    assert failure is not None
    assert failure["message"] == "as the test wants it"


def test_a_run_that_another_process_holds_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.scheduling.PATIENCE", 0.05)
    executor = Here(store)
    first = PRETRAININGS[0]
    executor.answers = {(first.id, 0): ["busy", "busy"]}
    summary, _ = run(store, executor)
    assert summary.ok
    assert [task.stage for task in executor.given].count(first) == 3


def test_a_run_that_another_process_has_finished_meanwhile_is_not_repeated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.scheduling.PATIENCE", 0.05)
    first = PRETRAININGS[0]

    class Other(Here):
        def wait(self, timeout: float) -> list[Outcome]:
            if self.queue and self.queue[0].stage == first:
                execute(first, 0, self.store, RUNTIME)
                return [Outcome(self.queue.pop(0), "busy")]
            return super().wait(timeout)

    executor = Other(store)
    summary, _ = run(store, executor)
    assert summary.ok
    assert [task.stage for task in executor.given].count(first) == 1


def test_two_processes_never_execute_one_run(store: Store) -> None:
    from filelock import FileLock

    folder = store.begin(PRETRAININGS[0], 0)
    holder = FileLock(folder / LOCK, thread_local=False)
    holder.acquire()
    told: list[type[BaseException]] = []

    def other() -> None:
        try:
            execute(PRETRAININGS[0], 0, store, RUNTIME)
        except Busy as error:
            told.append(type(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert told == [Busy]
    assert not store.finished(PRETRAININGS[0].id, 0)
    holder.release()
    assert execute(PRETRAININGS[0], 0, store, RUNTIME)["stage"] == PRETRAININGS[0].id


def test_an_evaluation_without_its_encoder_says_what_to_do(store: Store) -> None:
    run(store)
    stage = next(stage for stage, _ in STAGES.values() if stage.kind == "probe")
    assert stage.upstream is not None
    (store.folder(stage.id, 0) / "result.json").unlink()
    (store.folder(stage.upstream.id, 0) / "encoder.pt").unlink()
    with pytest.raises(FameError, match="has left no encoder; delete"):
        execute(stage, 0, store, RUNTIME)


# ---------------------------------------------------------------- the mirror


class Copy:
    """A mirror that keeps what it was told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, tuple[str, ...]]] = []

    def mirror_run(self, store: Store, stage: Stage, replicate: int, serves: tuple[str, ...]) -> bool:
        assert store.finished(stage.id, replicate)
        self.seen.append((stage.id, replicate, serves))
        return True


def test_every_finished_run_is_mirrored_those_of_earlier_starts_too(store: Store) -> None:
    first, again = Copy(), Copy()
    run(store, mirror=first)
    run(store, mirror=again)
    assert sorted(first.seen) == sorted(again.seen) == sorted((stage_id, 0, ("background_source",)) for stage_id in STAGES)


# ---------------------------------------------------------------- worker processes


@pytest.fixture
def workers(store: Store) -> Iterator[LocalWorkers]:
    workers = LocalWorkers(store.out, 1, RUNTIME)
    yield workers
    workers.stop()


def until_answered(workers: LocalWorkers) -> Outcome:
    for _ in range(240):
        if outcomes := workers.wait(0.5):
            return outcomes[0]
    raise AssertionError("a worker gave no answer")


def test_workers_compute_print_to_the_log_fail_and_are_replaced_when_killed(store: Store, workers: LocalWorkers) -> None:
    """One worker process (its start takes seconds) through everything that can happen to it."""
    good, bad, fatal, last = PRETRAININGS[:4]
    trouble(store, **{f"s{good.id}": "print", f"s{bad.id}": "fail", f"s{fatal.id}": "kill once"})
    assert workers.free == 1
    workers.submit(Task(good, 0))
    assert workers.free == 0
    with pytest.raises(ValueError, match="at work"):
        workers.submit(Task(bad, 0))
    assert until_answered(workers).status == "done"
    assert (store.folder(good.id, 0) / "log.txt").read_text() == "said by the stage\n"
    process = workers.workers[0].process

    workers.submit(Task(bad, 0))
    outcome = until_answered(workers)
    assert (outcome.status, outcome.message) == ("failed", "RuntimeError: it did not work")
    assert not (store.folder(bad.id, 0) / "log.txt").exists()
    assert [worker.process for worker in workers.workers] == [process]

    workers.submit(Task(fatal, 0))
    outcome = until_answered(workers)
    assert outcome.status == "killed"
    assert "signal 9" in outcome.message
    assert not process.is_alive()
    assert workers.free == 1

    workers.submit(Task(fatal, 0))  # continued from its second epoch, in a new process
    assert until_answered(workers).status == "done"
    result = store.result(fatal.id, 0)
    assert result is not None
    assert result["metrics"]["started_at"] == 2.0
    assert result["resumed"] is True

    trouble(store, **{f"s{last.id}": "slow"})
    workers.submit(Task(last, 0))
    deadline = time.monotonic() + 60
    while not (store.folder(last.id, 0) / "checkpoint.pt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = workers.workers[0].process.pid
    assert pid is not None
    workers.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not store.finished(last.id, 0)
    assert (store.folder(last.id, 0) / "checkpoint.pt").exists()


@pytest.mark.long
def test_a_harness_that_is_killed_leaves_no_worker_behind(store: Store) -> None:
    import subprocess
    import sys

    trouble(store, **{f"s{stage.id}": "slow" for stage in PRETRAININGS})
    code = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "from pathlib import Path\nfrom test_runner import *\n"
        "if __name__ == '__main__':\n"
        f"    run_stages(Store(Path({str(store.out)!r})), STAGES, (0,), jobs=2, runtime=RUNTIME)\n"
    )
    script = store.out / "harness.py"
    script.write_text(code)
    harness = subprocess.Popen([sys.executable, str(script)], cwd=Path(__file__).parents[1], start_new_session=True)
    deadline = time.monotonic() + 120
    while not any(store.progress(stage.id, 0) for stage in PRETRAININGS):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    deadline = time.monotonic() + 20
    while living(harness.pid):
        assert time.monotonic() < deadline, "a worker outlived its harness"
        time.sleep(0.2)
    begun = {stage.id: step for stage in PRETRAININGS if (step := (store.progress(stage.id, 0) or (0, 0))[0])}
    trouble(store)
    summary, _ = run(store)
    assert summary.ok
    for stage_id, step in begun.items():
        started_at = (store.result(stage_id, 0) or {})["metrics"]["started_at"]
        assert started_at >= step - 1, "more than the running epoch was lost"


def living(leader: int) -> list[str]:
    """Commands of the processes in a session that still live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(path.parent.name)
    return found


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
