"""A study in parts: what is packed on one machine and put back on another gives the same tables, and goes on where it stood."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from fame.errors import FameError
from reports.page import build
from studies.harness.parts import pack, unpack
from studies.harness.plan import make_plan
from studies.harness.runner import run_stages
from studies.harness.store import Store
from studies.setting.asked import Asked, recall
from studies.setting.choices import Choices, resolve
from studies.setting.resolve import all_stages
from tests.filled import fill
from tests.harness.test_runner import RUNTIME, Here

NAMES = ("retrieval", "temporal_kernels", "mask_quality")


@pytest.fixture(name="study", scope="module")
def three_replicates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Asked]:
    """Three of mini's replicates with made-up runs, and the encoders that real ones would have."""
    out = tmp_path_factory.mktemp("study") / "out"
    asked = resolve(Choices("mini", replicates=3, studies=NAMES), out / "cache", 1)
    store, _ = fill(out, setting=asked.setting, studies=asked.studies, replicates=asked.replicates, performances=8)
    store.write_setting(asked.to_json())
    for stage, _ in all_stages(asked.setting, asked.studies).values():
        for number in asked.replicates if stage.kind == "pretrain" else ():
            (store.folder(stage.id, number) / "encoder.pt").write_bytes(b"weights" * 1000)
    return store, asked


@pytest.fixture(name="parts", scope="module")
def packed_parts(study: tuple[Store, Asked], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    pack(*study, folder)
    return folder


def copied(parts: Path, folder: Path, number: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"replicate-{number:04d}.tar.xz"
    path.write_bytes((parts / path.name).read_bytes())
    return path


# ---------------------------------------------------------------- packing


def test_packing_twice_gives_the_same_bytes_without_weights(study: tuple[Store, Asked], parts: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in parts.iterdir()) == [f"replicate-{number:04d}.tar.xz" for number in (1, 2, 3)]
    for path in parts.iterdir():
        before = path.read_bytes()
        pack(*study, parts)
        assert path.read_bytes() == before
    with tarfile.open(parts / "replicate-0001.tar.xz", "r:xz") as file:
        entries = file.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, 0, "")}
    kinds = {Path(entry.name).name for entry in entries}
    assert kinds == {
        "setting.json",
        "result.json",
        "config.json",
        "metrics.jsonl",
        "retrieval.csv",
        "mask_quality.csv",
        "masks.npz",
        "weights.npz",
    }
    with tarfile.open(parts / "replicate-0002.tar.xz", "r:xz") as file:
        assert not [name for name in file.getnames() if name.endswith(".npz")], "pictures need one replicate's arrays"


def test_packing_loses_nothing_that_lies_there(study: tuple[Store, Asked], parts: Path, tmp_path: Path) -> None:
    _, asked = study
    less, _ = fill(tmp_path / "less", setting=asked.setting, studies=asked.studies[:1], replicates=(2,), performances=8)
    copied(parts, tmp_path / "there", 2)
    before = (tmp_path / "there" / "replicate-0002.tar.xz").read_bytes()
    with pytest.raises(FameError, match=r"runs that would be lost .* unpack .* first"):
        pack(less, asked, tmp_path / "there")
    assert (tmp_path / "there" / "replicate-0002.tar.xz").read_bytes() == before
    (packed,) = pack(less, asked, tmp_path / "other")
    assert 0 < packed.runs < packed.planned
    with pytest.raises(FameError, match="no run of replicate 3 is finished"):
        pack(less, asked, tmp_path / "other", (3,))
    with pytest.raises(FameError, match=r"no run of its study is finished \(replicates: 1-3\); there is nothing to pack"):
        pack(Store(tmp_path / "empty"), asked, tmp_path / "other")
    next((tmp_path / "less").rglob("*.csv")).unlink()
    with pytest.raises(FameError, match=r"has lost \w+\.csv; delete the folder"):
        pack(less, asked, tmp_path / "third")


# ---------------------------------------------------------------- unpacking


def test_unpacked_into_an_empty_folder_the_tables_are_the_same(study: tuple[Store, Asked], parts: Path, tmp_path: Path) -> None:
    store, asked = study
    there = Store(tmp_path / "out").prepare()
    done = unpack(parts, there)
    assert done.runs == 3 * len(all_stages(asked.setting, asked.studies)) and not done.already and not done.left_out
    assert recall(there) == recall(store) == asked
    assert not list(there.out.rglob("encoder.pt"))
    pages = [build(s, asked.setting, asked.studies, asked.replicates, s.out, commit="0123abcdef") for s in (store, there)]
    for room in ("tables", "figures"):
        files = [{path.name: path.read_bytes() for path in (page.parent / room).iterdir()} for page in pages]
        assert files[0] == files[1] and files[0]
    reports = [json.loads((page.parent / "report.json").read_text(encoding="utf-8")) for page in pages]
    assert all(reports[0][key] == reports[1][key] for key in reports[0] if key != "made")
    said = pages[0].read_text(encoding="utf-8").partition("<body>")[2].lower()
    assert said.count("interim") == said.count("interim: 3 of 8 replicates; all are needed") > 0  # eight are fixed for this scale
    times = {path: path.stat().st_mtime_ns for path in there.runs.rglob("*") if path.is_file() and path.suffix}
    again = unpack(parts, there)
    assert (again.runs, again.already, again.left_out) == (0, done.runs, [])
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_nothing_runs_where_all_is_there_and_a_missing_evaluation_trains_again(
    study: tuple[Store, Asked], parts: Path, tmp_path: Path
) -> None:
    _, asked = study
    store = Store(tmp_path / "out").prepare()
    unpack(parts, store)
    stages = all_stages(asked.setting, asked.studies)
    assert not make_plan(store, stages, asked.replicates, 1).todo
    gone = next(stage for stage, _ in stages.values() if stage.kind == "retrieval" and stage.upstream)
    assert gone.upstream is not None
    (store.folder(gone.id, 2) / "result.json").unlink()
    first = store.result(gone.upstream.id, 2)
    plan = make_plan(store, stages, asked.replicates, 1)
    assert [task.key for task in plan.todo] == [(gone.upstream.id, 2), (gone.id, 2)]
    executor = Here(store)
    summary = run_stages(store, stages, asked.replicates, jobs=1, runtime=RUNTIME, executor=executor)
    assert summary.ok and summary.done == [(gone.upstream.id, 2), (gone.id, 2)]
    result = store.result(gone.upstream.id, 2)
    assert first and result and result["before"]["metrics"] == first["metrics"] and store.finished(gone.id, 2)
    assert not make_plan(store, stages, asked.replicates, 1).todo


def test_a_retraining_that_is_broken_off_keeps_the_first_result(study: tuple[Store, Asked], parts: Path, tmp_path: Path) -> None:
    _, asked = study
    store = Store(tmp_path / "out").prepare()
    unpack(parts, store)
    stages = all_stages(asked.setting, asked.studies)
    gone = next(stage for stage, _ in stages.values() if stage.kind == "kernels" and stage.upstream)
    assert gone.upstream is not None
    (store.folder(gone.id, 1) / "result.json").unlink()
    (store.out / "plan.json").write_text(json.dumps({gone.upstream.id: "fail"}), encoding="utf-8")
    summary = run_stages(store, stages, (1,), jobs=1, runtime=RUNTIME, executor=Here(store))
    assert set(summary.failed) == {(gone.upstream.id, 1)} and set(summary.skipped) == {(gone.id, 1)}
    assert store.finished(gone.upstream.id, 1)
    (store.out / "plan.json").unlink()
    assert run_stages(store, stages, (1,), jobs=1, runtime=RUNTIME, executor=Here(store)).ok


def test_a_finished_run_is_not_overwritten_and_an_unfinished_one_is_replaced(
    study: tuple[Store, Asked], parts: Path, tmp_path: Path
) -> None:
    from filelock import FileLock

    _, asked = study
    store = Store(tmp_path / "out").prepare()
    pretrainings = [stage for stage, _ in all_stages(asked.setting, asked.studies).values() if stage.kind == "pretrain"]
    mine, begun, held = pretrainings[:3]
    own = {"stage": mine.id, "replicate": 1, "metrics": {"mine": 1.0}}
    store.begin(mine, 1)
    store.finish(mine, 1, own)
    (store.begin(begun, 1) / "checkpoint.pt").write_text("half")
    with FileLock(store.begin(held, 1) / ".lock"):
        done = unpack(copied(parts, tmp_path / "one").parent, store)
    assert store.result(mine.id, 1) == own and done.already == 1
    assert store.finished(begun.id, 1) and not (store.folder(begun.id, 1) / "checkpoint.pt").exists()
    assert len(done.left_out) == 1 and "a process is at this run" in done.left_out[0] and not store.finished(held.id, 1)
    assert unpack(tmp_path / "one", store).runs == 1
