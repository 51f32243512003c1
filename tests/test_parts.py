"""A study in parts: what is packed on one machine and put back on another gives the same tables, and goes on where it stood."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filled import fill
from test_cli import Captured, Typed, typed  # noqa: F401 (a fixture)
from test_runner import RUNTIME, Here

from fame.errors import FameError
from reports.evidence import Evidence
from reports.page import build
from reports.standing import standing
from studies.archive import decode, encode, files_of
from studies.asked import Asked, recall
from studies.choices import Choices, resolve
from studies.parts import pack, unpack
from studies.plan import make_plan
from studies.replicates import listed, part_of
from studies.resolve import all_stages
from studies.runner import run_stages
from studies.store import Store

NAMES = ("retrieval", "temporal_kernels", "mask_quality")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Asked]:
    """Three of mini's replicates with made-up runs, and the encoders that real ones would have."""
    out = tmp_path_factory.mktemp("study") / "out"
    asked = resolve(Choices("mini", replicates=3, studies=NAMES), out / "cache", 1)
    store, _ = fill(out, setting=asked.setting, studies=asked.studies, replicates=asked.replicates, performances=8)
    store.write_setting(asked.to_json())
    for stage, _ in all_stages(asked.setting, asked.studies).values():
        for number in asked.replicates if stage.kind == "pretrain" else ():
            (store.folder(stage.id, number) / "encoder.pt").write_bytes(b"weights" * 1000)
    return store, asked


@pytest.fixture(scope="module")
def parts(study: tuple[Store, Asked], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    pack(*study, folder)
    return folder


def rewritten(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """The archive with other content under the same kind of container."""
    with tarfile.open(path, "r:xz") as file:
        members = {entry.name: file.extractfile(entry).read() for entry in file}  # type: ignore[union-attr]
    change(members)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    path.write_bytes(lzma.compress(tar.getvalue()))


def copied(parts: Path, folder: Path, number: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"replicate-{number:04d}.tar.xz"
    path.write_bytes((parts / path.name).read_bytes())
    return path


# ---------------------------------------------------------------- which replicates


def test_the_scale_fixes_the_replicates_and_part_chooses_among_them(tmp_path: Path) -> None:
    mini = resolve(Choices("mini"), tmp_path, 1)
    assert mini.replicates[0] == 1 and len(mini.replicates) == mini.setting.scale.replicates and mini.now == mini.replicates
    assert resolve(Choices("mini", replicates=2), tmp_path, 1).replicates == (1, 2)
    assert resolve(Choices("quick"), tmp_path, 1).replicates == (0,)
    part = resolve(Choices("mini", part="2-3,5"), tmp_path, 1)
    assert part.now == (2, 3, 5) and part.replicates == mini.replicates and part.to_json() == mini.to_json()
    assert part.to_json()["replicates"] == list(mini.replicates)
    assert part_of("4, 1-2,2", range(1, 7)) == (1, 2, 4) and listed((1, 2, 4, 6, 7)) == "1-2, 4, 6-7"


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "0", "7", "2-9", "1;2", "²", "1-2-3"])
def test_a_part_outside_the_study_is_one_line(text: str) -> None:
    with pytest.raises(FameError, match=r"^--part .*the study's replicates are 1-6"):
        part_of(text, range(1, 7))


def test_setting_json_of_earlier_versions_counts_from_0(tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    value = resolve(Choices("smoke"), tmp_path, 1).to_json()
    store.write_setting(value | {"replicates": 2})
    assert recall(store).replicates == (0, 1)
    store.write_setting(value | {"replicates": [1, "2"]})
    with pytest.raises(FameError, match="another version of the program"):
        recall(store)


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


# ---------------------------------------------------------------- what does not belong


@pytest.mark.parametrize(
    "name",
    ["../outside.csv", "/tmp/outside.csv", "runs/0123456789ab/1/../../x.csv", "runs/0123456789ab/1/encoder.pt",
     "runs/0123456789ab/2/x.csv", "runs/0123456789ab/1/.lock.csv", "mlflow.db"],
)  # fmt: skip
def test_a_name_that_no_part_holds_is_refused_and_nothing_is_written(name: str, parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    rewritten(path, lambda members: members.update({name: b"x"}))
    store = Store(tmp_path / "out").prepare()
    with pytest.raises(FameError, match=r"damaged, or no part that `pack` wrote .* nothing of it is used") as caught:
        unpack(path.parent, store)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    assert not list(store.runs.iterdir()) and not (tmp_path / "outside.csv").exists()


def test_a_link_is_refused(parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        entry = tarfile.TarInfo("runs/0123456789ab/1/predictions.csv")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/hostname"
        file.addfile(entry)
    path.write_bytes(lzma.compress(tar.getvalue()))
    with pytest.raises(FameError, match="which no part holds"):
        unpack(path.parent, Store(tmp_path / "out").prepare())


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "text", "no setting", "lost table", "lost result"])
def test_a_damaged_part_is_one_line_and_nothing_is_written(how: str, parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    data = path.read_bytes()

    def without(name: str) -> None:
        rewritten(path, lambda members: members.pop(next(member for member in members if member.endswith(name))))

    match how:
        case "flipped":
            path.write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not found")
        case "no setting":
            without("setting.json")
        case "lost table":
            without("retrieval.csv")
        case "lost result":
            without("result.json")
    store = Store(tmp_path / "out").prepare()
    with pytest.raises(FameError, match="is damaged, or no part that `pack` wrote"):
        unpack(path.parent, store)
    assert not list(store.runs.iterdir())


def test_a_run_of_another_version_is_left_out_with_one_line(parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    runs, setting = decode(path)
    keys = sorted(runs)
    unknown, hashed = (json.loads(runs[key]["config.json"]) for key in keys[:2])
    unknown["config"]["flux"] = 7  # a field that this version does not know
    hashed["id"] = "0" * 12
    for key, config in zip(keys, (unknown, hashed), strict=False):
        runs[key]["config.json"] = json.dumps(config).encode()
    there = Store(tmp_path / "out").prepare()
    path.write_bytes(encode(runs, setting))
    done = unpack(path.parent, there)
    (line,) = done.left_out
    assert f"runs/{keys[0][0]}/1 and 1 more: was made by another version of the program" in line
    assert done.runs == len(keys) - 2 and not there.finished(*keys[0]) and there.finished(*keys[2])


def test_a_result_under_another_name_is_foreign(parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "parts")
    runs, setting = decode(path)
    first, second = sorted(runs)[:2]
    runs[first], runs[second] = runs[second], runs[first]
    path.write_bytes(encode(runs, setting))
    assert "and 1 more" in unpack(path.parent, Store(tmp_path / "out").prepare()).left_out[0]


def test_another_setting_is_told_and_the_folders_own_is_kept(parts: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "out").prepare()
    own = resolve(Choices("mini", replicates=2, studies=NAMES), store.cache, 1).to_json()
    store.write_setting(own)
    done = unpack(parts, store)
    assert store.setting() == own and done.runs
    assert len(done.left_out) == 3 and "other replicates; " in done.left_out[0]


def test_files_of_a_run_skip_what_is_not_a_result(tmp_path: Path) -> None:
    for name in (
        "result.json",
        "config.json",
        "metrics.jsonl",
        "predictions.csv",
        "maps.npz",
        "encoder.pt",
        "log.txt",
        ".lock",
        ".x.csv",
    ):
        (tmp_path / name).write_text('{"artifacts": ["predictions.csv", "maps.npz"]}')
    (tmp_path / "folder.csv").mkdir()
    assert set(files_of(tmp_path, pictures=False)) == {"result.json", "config.json", "metrics.jsonl", "predictions.csv"}
    assert "maps.npz" in files_of(tmp_path, pictures=True)


# ---------------------------------------------------------------- while replicates are missing


def test_interim_is_said_and_uneven_runs_are_named(study: tuple[Store, Asked], parts: Path, tmp_path: Path) -> None:
    _, asked = study
    store = Store(tmp_path / "out").prepare()
    for number in (2, 3):
        copied(parts, tmp_path / "two", number)
    unpack(tmp_path / "two", store)
    gone = next(stage for stage, _ in all_stages(asked.setting, asked.studies).values() if stage.kind == "masks")
    (store.folder(gone.id, 3) / "result.json").unlink()
    store.fail(gone, 3, "out of memory")
    found = standing(Evidence(store, asked.setting, asked.replicates), asked.studies)
    assert found["interim"] == "interim: 1 of 3 replicates" and found["begun"] == [2, 3] and found["done"] == [2]
    few, lost = found["remarks"]
    fixed = asked.setting.scale.replicates
    assert few == f"This study has 3 replicates (1-3), fewer than the {fixed} that were fixed for the mini scale beforehand."
    assert lost == "Replicate 3 lacks 1 runs that other replicates have, 1 of them failed: masks A."
    page = build(store, asked.setting, asked.studies, asked.replicates, store.out)
    html, report = page.read_text(encoding="utf-8"), json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    assert "<b>Interim: 1 of 3 replicates.</b>" in html and lost in html and "1 of 3 replicates done" in html
    assert {claim["verdict"] for claim in report["claims"]} <= {"inconclusive", "not run"}
    table = (page.parent / "tables" / "retrieval.md").read_text(encoding="utf-8")
    assert "Interim: every cell has 2 of the 3 replicates." in table
    masks = (page.parent / "tables" / "mask_quality.md").read_text(encoding="utf-8")
    assert "Interim: every cell has 1 of the 3 replicates." in masks


# ---------------------------------------------------------------- the command line


def test_in_parts_over_two_machines(typed: Typed, capfd: Captured) -> None:  # noqa: F811
    words = ["run", "temporal_kernels", "--scale", "mini", "--replicates", "3"]
    assert typed(*words, "--part", "2,3", "--out", "first") == 0
    out = capfd.readouterr().out
    assert "0 of 3 replicates done. In this part: 2-3." in out and "2 of 3 replicates done (2-3). The tables:" in out
    assert json.loads(Path("first/setting.json").read_text())["replicates"] == [1, 2, 3]
    assert {path.name for path in Path("first/runs").glob("*/*")} == {"2", "3"}
    assert typed("pack", "parts", "--out", "first", "--part", "3") == 0
    assert "parts/replicate-0003.tar.xz: 8 of 8 runs, " in capfd.readouterr().out
    assert typed("pack", "parts", "--out", "first", "--part", "4") == 2
    assert "there is no replicate 4; the study's replicates are 1-3" in capfd.readouterr().err
    assert typed("pack", "parts", "--out", "first") == 0
    capfd.readouterr()
    assert typed("unpack", "parts", "--out", "second") == 0
    assert capfd.readouterr().out == "16 runs unpacked, 0 were there. 2 of 3 replicates done (2-3).\n"
    assert typed("status", "--out", "second") == 0
    assert capfd.readouterr().out == "second: 16 finished, 8 not begun. 2 of 3 replicates done (2-3).\n"
    assert typed("plan", "temporal_kernels", "--scale", "mini", "--replicates", "3", "--out", "second") == 0
    assert "24 runs, 8 to do" in capfd.readouterr().out
    assert typed(*words, "--out", "second") == 0
    out = capfd.readouterr().out
    assert "8 runs done, 16 were there. The tables:" in out and "replicates done" not in out.splitlines()[-1]
    assert typed("unpack", "parts", "--out", "second") == 0
    assert capfd.readouterr().out == "0 runs unpacked, 16 were there.\n"
