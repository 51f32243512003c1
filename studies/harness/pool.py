"""Execute runs side by side on this machine, in persistent worker processes of one thread each that import torch once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, Protocol

from fame.plugins import Plugin, load, loaded
from fame.processes import end_with, without_main
from fame.seeds import Seeds
from studies.harness.plan import Plan, Task
from studies.harness.store import DiskFull, Store
from studies.harness.worker import Busy, Runtime, execute, message_of, open_once
from studies.setting.cell import Stage

# Set before a worker imports torch: a run is defined to use one thread, and as many runs as there are cores go side by side.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")}
# glibc gives large blocks back at once and faults them in again at the next step: a third of the time of an augmented view
KEEP_MEMORY = {name: "1000000000" for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")}
PATIENCE = 5.0  # seconds a worker has to end itself before it is killed
TERMINATED = 143  # exit code of a worker that was told to end in the middle of a run
Naming = Callable[[str], Callable[[str, int, int], None]]  # of a set: what its progress is told to
LOG = "log.txt"  # of a run: what the stage or a crashing library printed


@dataclass(frozen=True)
class Outcome:
    """Tell what became of a task: `busy`, another process is at it; `killed`, its worker died; `disk full`, all would fail.

    `lost`: its machine died, which is no fault of the task's.
    """

    task: Task
    status: Literal["done", "failed", "busy", "killed", "lost", "disk full"]
    seconds: float = 0.0
    message: str = ""


class Workers(Protocol):
    """Execute tasks somewhere."""

    @property
    def free(self) -> int:
        """Return how many further tasks can be given now."""

    def prepare(self, plan: Plan, naming: Naming) -> None:
        """Make ready what all runs to do need. FameError where that is not possible."""

    def submit(self, task: Task) -> None:
        """Take a task whose upstream is finished."""

    def wait(self, timeout: float) -> list[Outcome]:
        """What has happened; an empty list after `timeout` seconds without anything."""

    def stop(self) -> None:
        """End everything; a second time, nothing."""


@dataclass
class Worker:
    """Hold a process and this end of its own pipe: one that is killed in the middle of a message hurts no other."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None  # while it waits for work
    started: float = 0.0


@dataclass
class LocalWorkers:
    """Up to `jobs` workers, started when there is something for them to do."""

    out: Path
    jobs: int
    runtime: Runtime
    workers: list[Worker] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.jobs - sum(worker.task is not None for worker in self.workers)

    def prepare(self, plan: Plan, naming: Naming) -> None:
        """Render or scan and decode every set that the runs read, once, in `jobs` processes, before the workers need them."""
        store = Store(self.out)
        data_of = ((getattr(task.stage.config, "data", None), task.replicate) for task in plan.todo)
        sets = {(data.model_dump_json(), replicate): data for data, replicate in data_of if data}
        for (_, replicate), data in sets.items():
            with store.named_errors():
                tell = naming(f"{getattr(data, 'part', data.kind)} · {replicate}")
                open_once(data, Seeds(replicate), store.cache, self.runtime, self.jobs, tell)

    def submit(self, task: Task) -> None:
        """Hand a ready task to an idle worker, of which there is one."""
        idle = (worker for worker in self.workers if worker.task is None and worker.process.is_alive())
        worker = next(idle, None) or self._start()
        worker.task, worker.started = task, time.monotonic()
        with suppress(OSError):  # it has just died: its sentinel tells, and the outcome is `killed`
            worker.pipe.send((task.stage.to_json(), task.replicate))

    def wait(self, timeout: float) -> list[Outcome]:
        """What has happened; an empty list after `timeout` seconds without anything."""
        found = []
        for ready in wait([end for worker in self.workers for end in (worker.pipe, worker.process.sentinel)], timeout):
            worker = next((worker for worker in self.workers if ready in (worker.pipe, worker.process.sentinel)), None)
            if worker is None:
                continue  # its death was told through the other end
            try:
                answer = worker.pipe.recv() if worker.pipe.poll() else None
            except (EOFError, OSError):
                answer = None
            if answer is None:
                found += self._bury(worker)
            elif worker.task is not None:
                found.append(Outcome(worker.task, *answer))
                worker.task = None
        return found

    def stop(self) -> None:
        """End all workers: politely, then not. What they had running is continued from its last epoch by the next start."""
        for worker in self.workers:
            if worker.task is None:
                worker.pipe.close()  # an idle worker ends at the end of its pipe
            else:
                worker.process.terminate()
        deadline = time.monotonic() + PATIENCE
        for worker in self.workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    def _start(self) -> Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(there, self.out, self.runtime, loaded()), daemon=True)
        os.environ.update(ONE_THREAD | KEEP_MEMORY)
        resource_tracker.ensure_running()  # first, since its start lets SIGINT through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a worker inherits that: Ctrl-C is its parent's
        try:
            with without_main():
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        there.close()
        worker = Worker(process, here)
        self.workers.append(worker)
        return worker

    def _bury(self, worker: Worker) -> list[Outcome]:
        worker.process.join(PATIENCE)
        self.workers.remove(worker)
        worker.pipe.close()
        if worker.task is None:
            return []
        code = worker.process.exitcode
        cause = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        hint = " (out of memory? try fewer --jobs)" if code == -signal.SIGKILL else ""
        return [Outcome(worker.task, "killed", time.monotonic() - worker.started, f"its process ended {cause}{hint}")]


def serve(pipe: Connection, out: Path, runtime: Runtime, plugins: tuple[Plugin, ...]) -> None:
    """A worker's life: take a run, execute it, answer; until the pipe closes. Ends the process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # so that half-written neighbours of files are removed
    end_with(os.getppid())  # a harness that is killed with -9 leaves no worker behind
    code, store = 0, Store(out)
    with suppress(EOFError, OSError):  # the other end was closed
        try:
            while True:
                value, replicate = pipe.recv()
                start = time.monotonic()
                status, message = attempt(value, replicate, store, runtime, plugins)
                pipe.send((status, time.monotonic() - start, message))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    os._exit(code)  # all files are closed, and to take torch's modules down one by one would keep the parent waiting for seconds


def attempt(value: dict[str, Any], replicate: int, store: Store, runtime: Runtime, plugins: tuple[Plugin, ...]) -> tuple[str, str]:
    try:
        for plugin in plugins:
            load(*plugin)
        stage = Stage.from_json(value)
        with _printing_to(store.folder(stage.id, replicate) / LOG):
            execute(stage, replicate, store, runtime)
    except Busy:
        return "busy", "another process is at it"
    except DiskFull as error:
        return "disk full", message_of(error)
    except Exception as error:  # a stage may fail in any way; the others go on
        return "failed", message_of(error)
    return "done", ""


@contextmanager
def _printing_to(path: Path) -> Iterator[None]:
    """Standard output and error of this process, C libraries included, go to `path`, which is removed if nothing came."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        target = os.open(os.devnull, os.O_WRONLY)
    saved = os.dup(1), os.dup(2)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in zip((1, 2), saved, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(target)
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()
