"""A Ray cluster: the same results as processes of this machine, also when a node dies; what does not fit is refused first."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fame.errors import FameError
from fame.plugins import load
from fame.seeds import SELECTION_REPLICATES
from studies.harness.hardware import cores
from studies.harness.plan import Task, make_plan
from studies.harness.pool import LocalWorkers
from studies.harness.runner import run_missing
from studies.harness.store import Store
from studies.harness.worker import Runtime
from studies.search.objective import OBJECTIVES
from studies.search.search import Search
from studies.search.space import Space, parse
from studies.search.workers import Place, searched
from studies.setting.cell import Stage
from tests.fake_stages import FAKES
from tests.harness.test_runner import PRETRAININGS, QUIET, SETTING, STAGES, Here, empty_store  # noqa: F401 (a fixture)
from tests.programs import ran, started, until

ray = pytest.importorskip("ray")
ray_cluster = pytest.importorskip("studies.harness.ray_cluster")
ray_workers = pytest.importorskip("studies.harness.ray_workers")

RUNTIME = Runtime(stages={kind: f"tests.{fake}" for kind, fake in FAKES.items()})
PLUGIN = "import fame.plugins\n@fame.plugins.mask('of the test')\ndef scores(clips, beta):\n    return clips.mean((1, 2))\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    try:
        yield ray_cluster.Cluster("local", jobs=2)
    except FameError as error:
        if "timed out during startup" in str(error):
            pytest.skip("Ray gives its own processes 30 seconds to start: this machine is too busy")
        raise
    finally:
        ray.shutdown()


def test_what_does_not_fit_is_refused_in_a_line(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = PRETRAININGS[0]
    wide = stage.config.model_copy(update={"objective": stage.config.objective.model_copy(update={"ranks": 8})})
    with pytest.raises(FameError, match=r"needs 8 CPU on one node, and no node of the Ray cluster has so many"):
        cluster.check([Task(Stage(wide), 0)], [])
    with pytest.raises(FameError, match=r"node [\d.]+: nowhere: there is no such folder"):
        cluster.check([], [Path("nowhere")])
    monkeypatch.setattr(ray_cluster, "commit", lambda: "another commit")
    with pytest.raises(FameError, match=r"node [\d.]+: has project .*, and the study runs on another commit"):
        cluster.check([], [])
    began = time.monotonic()
    for address, why in {"127.0.0.1:9": "nobody answers there", "ray://127.0.0.1:10001": "give HOST:PORT"}.items():
        with pytest.raises(FameError, match=why):
            ray_cluster.connect(address, None)
    assert time.monotonic() - began < 10
    monkeypatch.setattr(ray_cluster, "connect", lambda *_: None)
    with pytest.raises(FameError, match=r"0.25 GPUs a run are asked for \(--gpus-per-run\), and the Ray cluster has 0"):
        ray_cluster.Cluster("local", gpus=0.25)


def test_one_node_runs_a_study_and_writes_what_local_workers_write(store: Store, cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    load(tmp_path / "plugin.py")
    workers = ray_workers.RayWorkers(store.out, None, RUNTIME, cluster)
    first = Task(PRETRAININGS[0], 0)
    (store.begin(first.stage, 0) / "checkpoint.pt").write_text("2")  # of an earlier attempt
    summary = run_missing(store, make_plan(store, STAGES, (0,), 2), workers, QUIET)
    assert summary.ok and len(summary.done) == len(set(summary.done)) == len(STAGES)
    result = store.result(*first.key)
    assert result is not None and result["resumed"] and result["metrics"]["started_at"] == 2.0
    assert not (store.folder(*first.key) / "checkpoint.pt").exists()
    other = Store(tmp_path / "other").prepare()
    run_missing(other, make_plan(other, STAGES, (0,), 1), Here(other), QUIET)
    for task in make_plan(store, STAGES, (0,), 1).tasks:
        ours, theirs = store.result(*task.key), other.result(*task.key)
        assert ours and theirs and (ours["files"], ours["data"]) == (theirs["files"], theirs["data"])
        assert task == first or ours["metrics"] == theirs["metrics"]


@pytest.mark.long
def test_a_thousand_runs_that_do_nothing_take_a_minute_at_most(cluster: Any, tmp_path: Path) -> None:
    replicates = range(-(-1000 // len(STAGES)))
    on_ray = partial(ray_workers.RayWorkers, cluster=cluster)
    for limit, made in ((60, on_ray), (20, LocalWorkers)):
        store = Store(tmp_path / str(limit)).prepare()
        began = time.monotonic()
        workers = made(store.out, 2, RUNTIME)
        summary = run_missing(store, make_plan(store, STAGES, replicates, 2), workers, QUIET)
        workers.stop()
        assert summary.ok and len(summary.done) >= 1000
        assert time.monotonic() - began < limit * max(1.0, os.getloadavg()[0] / cores())


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_search_makes_the_same_trials_as_on_this_machine(cluster: Any, tmp_path: Path) -> None:
    space, found = Space(SETTING, OBJECTIVES["balanced"], parse([])), {}
    for made in (LocalWorkers, partial(ray_workers.RayWorkers, cluster=cluster)):
        store = Store(tmp_path / str(len(found))).prepare()
        place = Place(store, partial(made, store.out, runtime=RUNTIME), "cpu", 2)
        search = Search(space, (SELECTION_REPLICATES,), 3, str(store.out / "search" / "journal.log"))
        trials = searched(search, place, QUIET, None, 2, 0)["trials"]
        found[store] = [(one["params"], one["value"]) for one in sorted(trials, key=lambda one: str(one["params"]))]
        gc.collect()
        assert not list(store.out.glob("search/.worker-*"))
    here, there = found.values()
    assert here == there and len(here) == 3


@pytest.mark.long
def test_a_node_dies_and_the_tables_are_those_of_one_machine(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster as Nodes

    asked = ["--scale", "smoke", "--only", "temporal_kernels", "--only", "background_source", "--device", "cpu"]
    ran(*asked, "--jobs", "2", "--out", "local", cwd=tmp_path)
    (tmp_path / "node").mkdir()
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
    dying = nodes.add_node(num_cpus=1, env_vars={"TMPDIR": str(tmp_path / "node")})
    store = Store(tmp_path / "ray")
    try:
        program = started(*asked, "--executor", "ray", "--address", nodes.address, "--out", "ray", cwd=tmp_path)
        until(lambda: program.poll() is not None or len(list(store.runs.glob("*/*/result.json"))) > 5, 600)
        until(lambda: program.poll() is not None or list(tmp_path.glob("node/fame-*/run-*/runs/*/*/metrics.jsonl")), 600)
        nodes.remove_node(dying, allow_graceful=False)
        finished = {path: path.stat().st_mtime_ns for path in store.runs.glob("*/*/result.json")}
        out, err = program.communicate(timeout=1200)
        assert program.returncode == 0, err
    finally:
        nodes.shutdown()
    assert "its node died; it goes on elsewhere" in out
    assert finished == {path: path.stat().st_mtime_ns for path in finished}
    here, there = (json.loads((tmp_path / name / "report" / "report.json").read_text())["tables"] for name in ("local", "ray"))
    assert json.dumps(here) == json.dumps(there)
