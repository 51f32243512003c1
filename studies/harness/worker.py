"""Execute one run in one process. Stages are only named here, so that a process imports what it runs and no more."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from fame.config import Pretrain
from fame.errors import FameError, NotFinite
from studies.harness.hardware import commit, hardware, resolve_device, versions
from studies.harness.memory import forget_peak, peak
from studies.harness.plan import Task
from studies.harness.store import CHECKPOINT, ENCODER, LOCK, Store
from studies.setting.cell import Stage

if TYPE_CHECKING:
    from fame.config import StagedData, VideoData
    from fame.data.clips import VideoSet
    from fame.seeds import Seeds

STAGES: dict[str, str] = {
    "videos": "fame.data:open_videos",
    "pretrain": "fame.training.pretrain:pretrain",
    "finetune": "fame.evaluation.finetune:finetune",
    "probe": "fame.evaluation.probe:probe",
    "retrieval": "fame.evaluation.retrieval:retrieval",
    "kernels": "fame.evaluation.analysis.temporal_kernels:kernels",
    "activation": "fame.evaluation.analysis.activation_maps:activation",
    "masks": "fame.evaluation.analysis.mask_quality:masks",
}


class Busy(Exception):
    """Another process is at this very run."""


@dataclass(frozen=True)
class Runtime:
    """Hold what a run is given and what is in no identity: where it computes, where files are. Workers get it by pickle."""

    device: str = "cpu"
    roots: dict[str, Path] = field(default_factory=dict)  # folders of real sets, by their kind
    pretrained: Path | None = None  # the file behind pretraining kind `file`
    most_broken: float = 0.0  # share of broken videos that may be left out
    nodes: int = 1  # machines that share each pretraining of several ranks
    endpoint: str = ""  # HOST:PORT, where they meet
    stages: dict[str, str] = field(default_factory=lambda: dict(STAGES))

    def root_of(self, data: StagedData | VideoData) -> Path | None:
        root = self.roots.get(data.kind)
        return root / name if root and (name := getattr(data, "name", "")) else root

    def joins(self, stage: Stage) -> bool:
        """Return whether this machine has ranks of a run that another one holds."""
        return self.nodes > 1 and isinstance(stage.config, Pretrain) and stage.config.ranks > 1

    def entry(self, kind: str) -> Callable[..., Any]:
        """Return the function behind a name of `stages`, imported now."""
        module, _, name = self.stages[kind].partition(":")
        return getattr(importlib.import_module(module), name)


_opened: dict[tuple[str, int, str], Any] = {}


def open_once(
    data: StagedData | VideoData,
    seeds: Seeds,
    cache: Path,
    runtime: Runtime,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> VideoSet:
    """Call `fame.data.open_videos`, once a process for each set: real videos, mapped as they are read, serve every replicate."""
    key = (data.model_dump_json(), seeds.replicate if data.kind == "staged" else 0, str(cache))
    if key not in _opened:
        root = runtime.root_of(data)
        _opened[key] = runtime.entry("videos")(data, seeds, cache, root, jobs, progress, runtime.most_broken)
    return _opened[key]


def execute(stage: Stage, replicate: int, store: Store, runtime: Runtime) -> dict[str, Any]:
    """Run one stage of one replicate, whose upstream is finished, and return its result; that of a finished run as it is.

    Raises Busy while another process holds the run, and whatever the stage raises, after writing failure.json.
    """
    folder = store.folder(stage.id, replicate)
    with store.named_errors():
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):  # the system frees it when this process ends, however it ends
            if store.whole(stage.id, replicate) and (found := store.result(stage.id, replicate)):
                return found
            try:
                store.begin(stage, replicate)
                result = _run(stage, replicate, store, runtime)
                store.finish(stage, replicate, result)
            except Exception as error:
                told = store.full_disk(error) or error
                store.fail(stage, replicate, message_of(told), error)
                if isinstance(error, NotFinite):  # from its last checkpoint it would fail again
                    (folder / CHECKPOINT).unlink(missing_ok=True)
                raise told from (None if told is error else error)
            return result
    except Timeout:
        if not runtime.joins(stage):
            raise Busy(f"{stage.kind} {stage.id}/{replicate}") from None
    _run(stage, replicate, store, runtime)
    with FileLock(folder / LOCK):  # until the machine that holds the run has recorded it
        recorded = store.result(stage.id, replicate)
    if recorded is None:
        raise FameError(f"{folder}: the machine that began it did not end it")
    return recorded


def message_of(error: BaseException) -> str:
    """Return one line: the text of a FameError alone, other exceptions with their type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, FameError) else f"{type(error).__name__}: {text}" if text else type(error).__name__


def _run(stage: Stage, replicate: int, store: Store, runtime: Runtime) -> dict[str, Any]:
    import torch

    from fame.run import Run
    from fame.seeds import Seeds

    device = resolve_device(runtime.device)
    folder = store.folder(stage.id, replicate)
    torch.set_num_threads(getattr(stage.config, "threads", 1))
    seeds = Seeds(replicate)
    used: dict[str, str] = {}  # the digest of each set: a replicate's own world is recorded in its run

    def videos(data: StagedData | VideoData) -> VideoSet:
        opened = open_once(data, seeds, store.cache, runtime)
        used[getattr(data, "part", data.kind)] = opened.manifest.digest()
        return opened

    at = (runtime.nodes, runtime.endpoint)
    run = Run(folder, seeds, torch.device(device), videos, store.cache, False, runtime.pretrained, *at)
    resumed = (folder / CHECKPOINT).exists()
    compute = runtime.entry(stage.kind)  # its imports are no part of the run's time
    forget_peak(run.device)
    start = time.monotonic()
    given_to = () if stage.kind == "pretrain" else (_encoder(stage, replicate, store),)
    found = compute(stage.config, *given_to, run)
    return {
        "stage": stage.id,
        "kind": stage.kind,
        "replicate": replicate,
        "upstream": stage.upstream.id if stage.upstream else None,
        "metrics": found["metrics"],
        "artifacts": found["artifacts"],
        "notes": found.get("notes", {}),
        "data": used,
        "seconds": round(time.monotonic() - start, 3),
        "memory": peak(run.device, Task(stage, replicate).ranks),
        "resumed": resumed,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": commit(),
        "hardware": hardware(device),
        "versions": versions(),
    }


def _encoder(stage: Stage, replicate: int, store: Store) -> Path | None:
    """Return the file that the upstream run left; None for an evaluation that needs no encoder. FameError where it is damaged."""
    if stage.upstream is None:
        return None
    path = store.folder(stage.upstream.id, replicate) / ENCODER
    if not store.whole(stage.upstream.id, replicate) or not path.exists():
        raise FameError(f"{path}: the encoder is damaged or gone; start again, which trains it anew")
    return path
