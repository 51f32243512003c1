"""Worker processes: they compute, fail, are replaced when killed, and none outlives its harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studies.harness.plan import Task
from studies.harness.pool import LocalWorkers, Outcome
from studies.harness.store import Store
from tests.harness.test_runner import PRETRAININGS, RUNTIME, empty_store, run, trouble  # noqa: F401 (a fixture)
from tests.programs import until


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
    good, bad, fatal, last = PRETRAININGS[:4]
    trouble(store, **{f"s{good.id}": "print", f"s{bad.id}": "fail", f"s{fatal.id}": "kill once"})
    assert workers.free == 1
    workers.submit(Task(good, 0))
    assert workers.free == 0
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
    until((store.folder(last.id, 0) / "checkpoint.pt").exists)
    pid = workers.workers[0].process.pid
    assert pid is not None
    workers.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not store.finished(last.id, 0)
    assert (store.folder(last.id, 0) / "checkpoint.pt").exists()


@pytest.mark.long
def test_a_harness_that_is_killed_leaves_no_worker_behind(store: Store) -> None:
    trouble(store, **{f"s{stage.id}": "slow" for stage in PRETRAININGS})
    code = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "from pathlib import Path\nfrom tests.harness.test_runner import *\n"
        "if __name__ == '__main__':\n"
        f"    out = Path({str(store.out)!r})\n"
        "    run_missing(Store(out), make_plan(Store(out), STAGES, (0,), 2), LocalWorkers(out, 2, RUNTIME), QUIET)\n"
    )
    script = store.out / "harness.py"
    script.write_text(code)
    harness = subprocess.Popen([sys.executable, str(script)], cwd=Path(__file__).parents[2], start_new_session=True)
    until(lambda: any(store.progress(stage.id, 0) for stage in PRETRAININGS))
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    until(lambda: not living(harness.pid), 20)  # no worker outlives its harness
    begun = {stage.id: step for stage in PRETRAININGS if (step := (store.progress(stage.id, 0) or (0,))[0])}
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
