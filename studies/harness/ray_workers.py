"""Execute runs on a Ray cluster whose nodes share no file system with this machine: files travel through Ray's object store.

A run is a Ray task. What it reads (its encoder, an earlier attempt's checkpoint, plugins) goes with it; its log and checkpoint come
back while it runs, all its files when it ends. This process alone writes OUT. Ray tells what has died, and such a run is given out
again with the checkpoint that came back last; a retry by Ray itself would begin with the files of the first attempt.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from filelock import FileLock, Timeout
from ray.exceptions import NodeDiedError, ObjectLostError, RayError, RayTaskError
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fame.errors import FameError
from fame.files import sha256_of, write_atomically
from fame.plugins import Plugin, loaded
from studies.harness.plan import Forecast, Plan, Task
from studies.harness.pool import PATIENCE, LocalWorkers, Naming, Outcome, attempt
from studies.harness.ray_cluster import Cluster, identity, unfit
from studies.harness.store import CHECKPOINT, LOCK, METRICS, RESULT, Store
from studies.harness.worker import Runtime, message_of

TELL = 1.0  # seconds between two looks at what a run has written
Files = dict[str, bytes]  # of a folder, by name


@dataclass(frozen=True)
class Given:
    """Hold what every run is given. `files`: plugins and weights by digest; `home`: the node whose runs use `cache`, OUT's own."""

    runtime: Runtime
    plugins: tuple[Plugin, ...]
    files: dict[str, tuple[str, bytes]]
    home: str
    cache: Path
    identity: dict[str, str]  # of project and packages

    def unpacked(self, place: Path) -> tuple[Runtime, tuple[Plugin, ...]]:
        """Write the files below `place`, where they are not there yet; return what names them on this node."""
        here = {digest: place / digest / name for digest, (name, _) in self.files.items()}
        for digest, path in here.items():
            if not path.exists():
                write(path.parent, dict([self.files[digest]]))
        plugins = tuple(Plugin(str(here.pop(plugin.sha256)), plugin.sha256) for plugin in self.plugins)
        return replace(self.runtime, pretrained=next(iter(here.values()), None)), plugins


@dataclass
class Attempt:
    """Hold a run that was given out. Its lock keeps other processes off it, and tells `status` that it goes on."""

    number: int  # by which its news are known
    task: Task
    lock: FileLock
    started: float = field(default_factory=time.monotonic)


class RayWorkers:
    """Up to `jobs` runs at a time, or as many as the cluster holds."""

    def __init__(self, out: Path, jobs: int | None, runtime: Runtime, cluster: Cluster) -> None:
        self.store, self.jobs, self.runtime, self.cluster = Store(out), jobs, runtime, cluster
        self.forecast = Forecast(cluster.device)
        own = NodeAffinitySchedulingStrategy(cluster.here, soft=False)  # news shall not die with the node that sent them
        self.news = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": own})
        files = {plugin.sha256: (Path(plugin.path).name, Path(plugin.path).read_bytes()) for plugin in loaded()}
        if weights := runtime.pretrained:
            files[sha256_of(weights)] = weights.name, weights.read_bytes()
        self.given = ray.put(Given(runtime, loaded(), files, cluster.here, self.store.cache.resolve(), identity()))
        self.attempts: dict[ray.ObjectRef, Attempt] = {}
        self.answered: list[Outcome] = []
        self.count, self.looked = 0, 0.0

    @property
    def free(self) -> int:
        return (self.jobs or self.cluster.slots) - len(self.attempts) - len(self.answered)

    def prepare(self, plan: Plan, naming: Naming) -> None:
        """Check that the cluster can hold the runs. Each node makes the videos that its runs read, a single one now."""
        self.forecast = plan.forecast
        self.cluster.check(plan.todo, list(self.runtime.roots.values()))
        if len(self.cluster.nodes) == 1:
            LocalWorkers(self.store.out, self.cluster.slots, self.runtime).prepare(plan, naming)

    def submit(self, task: Task) -> None:
        """Give a ready task to Ray, which finds a node for it."""
        folder = self.store.folder(*task.key)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.answered.append(Outcome(task, "busy", 0.0, "another process is at it"))
            return
        if self.store.whole(*task.key):
            lock.release()
            self.answered.append(Outcome(task, "done"))
            return
        self.store.begin(task.stage, task.replicate)
        self.count += 1
        needs = self.cluster.needs(task, self.forecast.memory(task.stage))
        work = execute_there.options(name=task.name, **needs)
        upstream = task.upstream()
        files = read(folder), read(self.store.folder(*upstream.key)) if upstream else {}
        answer = work.remote(self.given, task.stage.to_json(), task.replicate, *files, self.news, self.count)
        self.attempts[answer] = Attempt(self.count, task, lock)

    def wait(self, timeout: float) -> list[Outcome]:
        """What has happened; an empty list after `timeout` seconds without anything. FameError where OUT cannot be written."""
        found, self.answered = self.answered, []
        if not found and not self.attempts:
            time.sleep(timeout)
            return []
        answers = list(self.attempts)
        if answers:
            ray.wait(answers, timeout=0 if found else timeout)
        ready = ray.wait(answers, num_returns=len(answers), timeout=0)[0] if answers else []
        self._take_news()
        return found + [self._end(answer) for answer in ready]

    def stop(self) -> None:
        """Cancel what runs, whose last checkpoint is kept."""
        for answer in self.attempts:
            ray.cancel(answer)
        if self.attempts:
            ray.wait(list(self.attempts), num_returns=len(self.attempts), timeout=PATIENCE)
            self._take_news()
        for one in self.attempts.values():
            one.lock.release()
        self.attempts.clear()

    def _end(self, answer: ray.ObjectRef) -> Outcome:
        """Take what a run has left into OUT, and return what became of it."""
        ended = self.attempts.pop(answer)
        task, seconds = ended.task, time.monotonic() - ended.started
        try:
            status, seconds, message, files = ray.get(answer)
            with self.store.named_errors():
                take_over(self.store.folder(*task.key), files)
            if status == "done" and not self.store.whole(*task.key):
                status, message = "failed", "its files came back damaged"
            return Outcome(task, status, seconds, message)
        except RayTaskError as error:
            self.store.fail(task.stage, task.replicate, message_of(error.cause), error.cause)
            return Outcome(task, "failed", seconds, message_of(error.cause))
        except (NodeDiedError, ObjectLostError):
            return Outcome(task, "lost", seconds, "its node died")
        except RayError as error:  # its process was killed, by Ray where memory runs out
            return Outcome(task, "killed", seconds, f"its process ended ({type(error).__name__})")
        finally:
            ended.lock.release()

    def _take_news(self) -> None:
        """Write what running runs have told: their log, by which bars and `status` go, and their checkpoint."""
        if time.monotonic() - self.looked < TELL:
            return
        self.looked = time.monotonic()
        known = {one.number: one.task for one in self.attempts.values()}
        with self.store.named_errors():
            for number, files in self.news.get_nowait_batch(self.news.qsize()):
                if number in known:
                    write(self.store.folder(*known[number].key), files)


@ray.remote(max_retries=0)
def execute_there(
    given: Given,
    value: dict[str, Any],
    replicate: int,
    own: Files,
    upstream: Files,
    news: Queue,
    number: int,
) -> tuple[str, float, str, Files]:
    """Execute one run in a folder of this node's own; return status, seconds, message and the files that it left."""
    began, place = time.monotonic(), Path(tempfile.gettempdir()) / f"fame-{os.getuid()}"
    for left in place.glob("run-*"):  # of processes that were killed
        if not Path("/proc", left.name.removeprefix("run-")).exists() or left.name == f"run-{os.getpid()}":
            shutil.rmtree(left, ignore_errors=True)
    name = f"node {ray.util.get_node_ip_address()}"
    if said := unfit(given.identity, list(given.runtime.roots.values())):  # it may have joined after the study began
        raise FameError(f"{name}: {said}")
    store = Store(place / f"run-{os.getpid()}")
    at_home = ray.get_runtime_context().get_node_id() == given.home
    store.cache = given.cache if at_home else place / "cache"
    try:
        folder = store.prepare().folder(value["id"], replicate)
        write(folder, own)
        if value["upstream"]:
            write(store.folder(value["upstream"]["id"], replicate), upstream)
        with _telling(folder, news, number):
            status, message = attempt(value, replicate, store, *given.unpacked(place / "given"))
        if status != "done":
            status, message = "failed", f"{name}: {message}"  # a full disk is this node's alone
        return status, time.monotonic() - began, message, read(folder)
    finally:
        shutil.rmtree(store.out, ignore_errors=True)


@contextmanager
def _telling(folder: Path, news: Queue, number: int) -> Iterator[None]:
    """Send log and checkpoint of a run to the driver whenever they have changed, and at the end."""
    ended, sent = threading.Event(), dict[str, int]()

    def tell() -> None:
        changed: Files = {}
        for name in (CHECKPOINT, METRICS):  # in this order: a checkpoint counts on the lines before it
            with suppress(OSError):
                state = (folder / name).stat().st_mtime_ns
                if sent.get(name) != state:
                    changed[name], sent[name] = (folder / name).read_bytes(), state
        if changed:
            news.put((number, changed))

    def watch() -> None:
        while not ended.wait(TELL):
            tell()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except BaseException:  # cancelled
        tell()
        raise
    finally:
        ended.set()
        thread.join()


def read(folder: Path) -> Files:
    """Return the content of a run's files; none of what is half-written."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}


def write(folder: Path, files: Files) -> None:
    """Write a run's files, the result last, so that it is finished only when it is whole, and a checkpoint after its log."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: (name == RESULT, name == CHECKPOINT)):
        if name in (RESULT, CHECKPOINT):
            write_atomically(folder / name, lambda beside, name=name: beside.write_bytes(files[name]))  # type: ignore[misc]
        else:
            (folder / name).write_bytes(files[name])


def take_over(folder: Path, files: Files) -> None:
    """Write a run's files and remove others: an outdated checkpoint, an earlier failure."""
    for path in folder.iterdir():
        if path.name not in files and not path.name.startswith("."):
            path.unlink()
    write(folder, files)
