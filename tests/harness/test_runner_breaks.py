"""What happens when something goes wrong: failures, full disks, killed runs, and other processes at the same run."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fame.errors import FameError
from studies.harness.executors import Outcome
from studies.harness.runner import run_stages
from studies.harness.store import Store
from studies.harness.worker import LOCK, Busy, execute
from tests.harness.test_runner import PRETRAININGS, RUNTIME, STAGES, Here, empty_store, run, trouble  # noqa: F401 (a fixture)

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
    monkeypatch.setattr("studies.harness.scheduling.PATIENCE", 0.05)
    executor = Here(store)
    first = PRETRAININGS[0]
    executor.answers = {(first.id, 0): ["busy", "busy"]}
    summary, _ = run(store, executor)
    assert summary.ok
    assert [task.stage for task in executor.given].count(first) == 3


def test_a_run_that_another_process_has_finished_meanwhile_is_not_repeated(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.harness.scheduling.PATIENCE", 0.05)
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


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_a_damaged_encoder_is_named_and_made_anew_where_it_is_read_and_nothing_else(
    store: Store, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(store)
    stage = next(stage for stage, _ in STAGES.values() if stage.kind == "probe")
    assert stage.upstream is not None
    encoder = store.folder(stage.upstream.id, 0) / "encoder.pt"
    sound = encoder.read_bytes()
    encoder.unlink() if how == "gone" else encoder.write_bytes(b"W" + sound[1:])
    assert not run(Store(store.out))[0].done, "nothing reads it"
    (store.folder(stage.id, 0) / "result.json").unlink()
    with pytest.raises(FameError, match="the encoder is damaged or gone; start again, which trains it anew"):
        execute(stage, 0, Store(store.out), RUNTIME)
    caplog.clear()
    summary, _ = run(Store(store.out))
    assert summary.ok and summary.done == [(stage.upstream.id, 0), (stage.id, 0)]
    assert [message for message in caplog.messages if str(encoder) in message] and encoder.read_bytes() == sound


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
