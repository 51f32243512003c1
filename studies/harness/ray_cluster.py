"""Connect to a Ray cluster, and refuse one that would not give the same numbers or cannot hold the runs, before anything runs."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fame.errors import FameError
from fame.processes import termination_kept
from studies.harness.hardware import commit, cores, versions
from studies.harness.plan import Task
from studies.harness.pool import KEEP_MEMORY, ONE_THREAD
from studies.harness.worker import message_of

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError:
    raise FameError("--executor ray: Ray is not installed here; pip install 'fame-reproduction[ray]'") from None

ANSWER = 5.0  # seconds that an address has to answer
CHECK = 120.0  # seconds that a node has to start a process and to look


class Cluster:
    """Hold a connection. `device`: what runs compute on; `gpus`: of each rank; both good for this cluster. FameError where not."""

    def __init__(self, address: str | None, device: str = "auto", gpus: float | None = None, jobs: int | None = None) -> None:
        connect(address or os.environ.get("RAY_ADDRESS"), jobs)
        there = ray.cluster_resources().get("GPU", 0.0)
        self.device = ("cuda" if there else "cpu") if device == "auto" else device.partition(":")[0]
        self.gpus = (gpus or 1.0) if self.device == "cuda" else 0.0
        if self.gpus > there or (gpus or 0.0) > there:
            raise FameError(f"{gpus or self.gpus:g} GPUs a run are asked for (--gpus-per-run), and the Ray cluster has {there:g}")
        self._look(())

    @property
    def here(self) -> str:
        """Return the id of this process's own node."""
        return str(ray.get_runtime_context().get_node_id())

    @property
    def nodes(self) -> list[dict[str, Any]]:
        return [node for node in ray.nodes() if node["Alive"]]

    @property
    def slots(self) -> int:
        """Return how many runs of one rank the cluster holds now; at least one, which waits for a node."""
        resources = ray.cluster_resources()
        several = resources.get("CPU", 0.0)
        return max(1, int(min(several, resources.get("GPU", 0.0) / self.gpus) if self.gpus else several))

    def needs(self, task: Task, memory: int | None = None) -> dict[str, float]:
        """Return what Ray reserves for a run, of memory no more than a node has. Several ranks take a whole GPU each, for NCCL."""
        gpus = self.gpus if task.ranks == 1 or not self.gpus else task.ranks
        largest = [node["Resources"].get("memory", 0) for node in self.nodes] if memory else []
        return {"num_cpus": task.cores, "num_gpus": gpus, "memory": min(memory or 0, max(largest, default=0))}

    def check(self, tasks: Iterable[Task], roots: Sequence[Path]) -> None:
        """FameError where no node is large enough for a run, or a node lacks one of the folders `roots`."""
        for task in tasks:
            need = {name.removeprefix("num_").upper()[:3]: number for name, number in self.needs(task).items()}
            largest = [node["Resources"] for node in self.nodes]
            if not any(all(have.get(name, 0) >= number for name, number in need.items()) for have in largest):
                asked = ", ".join(f"{number:g} {name}" for name, number in need.items() if number)
                raise FameError(f"{task.name}: needs {asked} on one node, and no node of the Ray cluster has so many")
        self._look(roots)

    def _look(self, roots: Sequence[Path]) -> None:
        """FameError names a node of other versions than these here, or without one of `roots`."""
        asked = {
            look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
                identity(), roots
            ): node
            for node in self.nodes
        }
        for answer, node in asked.items():
            try:
                said = ray.get(answer, timeout=CHECK)
            except ray.exceptions.RayError as error:
                said = f"cannot run this project ({message_of(error)[:300]}); install it there as it is here"
            if said:
                raise FameError(f"node {node['NodeManagerAddress']}: {said}")


def connect(address: str | None, jobs: int | None) -> None:
    """Connect to the cluster at `address`, or start one on this machine; FameError, at once, where none answers."""
    host, _, port = (address or "").rpartition(":")
    if "://" in host:
        raise FameError(f"--address {address}: give HOST:PORT of the cluster, and start this on one of its nodes")
    if port.isdigit():
        try:
            socket.create_connection((host, int(port)), ANSWER).close()
        except OSError as error:
            raise FameError(f"--address {address}: nobody answers there ({error.strerror or error})") from None
    try:
        with termination_kept():
            ray.init(
                address=address or "local",
                num_cpus=None if address else jobs or cores(),
                include_dashboard=None if address else False,
                runtime_env={"env_vars": ONE_THREAD | KEEP_MEMORY},
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except Exception as error:  # of many kinds, plain ones among them
        hint = "; one with a token, as `ray start` makes it, wants RAY_AUTH_MODE=token" if address else ""
        raise FameError(f"--executor ray: {address or 'no cluster could be started here'}: {message_of(error)}{hint}") from None


def identity() -> dict[str, str]:
    """Return what must be equal on all nodes: the versions of Ray, Python and this project (its commit, where it is a checkout)."""
    project = commit()
    project = version("fame-reproduction") if project == "unknown" else project
    return {"ray": ray.__version__, "python": versions()["python"], "project": project}


def unfit(ours: dict[str, str], roots: Sequence[Path]) -> str:
    """Say why this node cannot share runs with one of the identity `ours`, or lacks a folder of `roots`; "" where it can."""
    for what, theirs in identity().items():
        if theirs != ours[what]:
            return f"has {what} {theirs}, and the study runs on {ours[what]}; their numbers must not be mixed"
    missing = next((root for root in roots if not root.is_dir()), None)
    return f"{missing}: there is no such folder; every node needs the videos at the same path" if missing else ""


look = ray.remote(num_cpus=0)(unfit)
