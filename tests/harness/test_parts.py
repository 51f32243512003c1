"""A study in parts: what is packed on one machine and put back on another gives the same tables, and goes on where it was."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from filelock import FileLock

from fame.errors import FameError
from reports.content import standing
from studies.harness.parts import pack, unpack
from studies.harness.status import recall
from studies.harness.store import Store
from studies.setting.asked import Asked, listed, part_of, resolve
from studies.setting.options import Options
from studies.setting.resolve import all_stages
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)
from tests.filled import fill, reported, seen

Study = tuple[Store, Asked]
NAMES = ("retrieval", "temporal_kernels", "mask_quality")


@pytest.fixture(name="study", scope="module")
def three_replicates(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Three of mini's replicates with made-up runs, and the encoders that real ones would have."""
    out = tmp_path_factory.mktemp("study") / "out"
    asked = resolve(Options(scale="mini", replicates=3, only=NAMES), out / "cache", 1)
    store, _ = fill(out, setting=asked.setting, studies=asked.studies, replicates=asked.replicates, performances=8)
    store.write_setting(asked.to_json())
    for stage, _ in all_stages(asked.setting, asked.studies).values():
        for number in asked.replicates if stage.kind == "pretrain" else ():
            (store.folder(stage.id, number) / "encoder.pt").write_bytes(b"weights" * 1000)
    return store, asked


@pytest.fixture(name="parts", scope="module")
def packed_parts(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    pack(*study, folder)
    return folder


def copied(parts: Path, folder: Path, number: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"replicate-{number:04d}.tar.gz"
    path.write_bytes((parts / path.name).read_bytes())
    return path


def test_packing_loses_nothing_that_lies_there(study: Study, parts: Path, tmp_path: Path) -> None:
    _, asked = study
    less, _ = fill(tmp_path / "less", setting=asked.setting, studies=asked.studies[:1], replicates=(2,), performances=8)
    less.write_setting(asked.to_json())
    there = copied(parts, tmp_path / "there", 2)
    before = there.read_bytes()
    with pytest.raises(FameError, match="is there already; take it away, or pack into another folder"):
        pack(less, asked, there.parent)
    assert there.read_bytes() == before
    ((_, runs),) = pack(less, asked, tmp_path / "other")
    assert 0 < runs < len(all_stages(asked.setting, asked.studies))
    with pytest.raises(FameError, match="no run of replicate 3 is finished"):
        pack(less, asked, tmp_path / "other", (3,))
    with pytest.raises(FameError, match=r"\(replicates: 1-3\); there is nothing to pack"):
        pack(Store(tmp_path / "empty"), asked, tmp_path / "other")


def test_unpacked_into_an_empty_folder_the_tables_are_the_same(study: Study, parts: Path, tmp_path: Path) -> None:
    store, asked = study
    with tarfile.open(parts / "replicate-0001.tar.gz") as file:
        names = {Path(entry.name).name for entry in file.getmembers()}
    assert {"setting.json", "result.json", "config.json", "retrieval.csv", "encoder.pt"} <= names
    assert not names & {"checkpoint.pt", "failure.json", ".lock"}
    there = Store(tmp_path / "out").prepare()
    done = unpack(parts, there)
    assert done.runs == 3 * len(all_stages(asked.setting, asked.studies)) and not done.already and not done.left_out
    assert recall(there) == recall(store) == asked
    (store.cache / "video.npy").unlink()  # videos are not packed, so examples of retrieval are drawn where OUT/cache is
    pages = [reported(s, asked.setting, asked.studies, asked.replicates, commit="0123abcdef") for s in (store, there)]
    for room in ("tables", "figures"):
        files = [{path.name: path.read_bytes() for path in (page.parent / room).iterdir()} for page in pages]
        assert files[0] == files[1] and files[0]
    reports = [json.loads((page.parent / "report.json").read_text(encoding="utf-8")) for page in pages]
    assert all(reports[0][key] == reports[1][key] for key in reports[0] if key != "made")
    assert reports[0]["standing"]["remarks"] and len(asked.replicates) < asked.setting.scale.replicates
    judged = {claim["reason"] for claim in reports[0]["claims"] if claim["verdict"] != "not run" and claim["kind"] != "real video"}
    assert judged == {asked.setting.scale.undecided}
    times = {path: path.stat().st_mtime_ns for path in there.runs.rglob("*") if path.is_file() and path.suffix}
    again = unpack(parts, there)
    assert (again.runs, again.already, again.left_out) == (0, done.runs, [])
    assert times == {path: path.stat().st_mtime_ns for path in times}


@pytest.mark.parametrize("how", ["cut", "text", "outside", "link", "another replicate", "no result"])
def test_a_damaged_or_foreign_archive_is_one_line_and_nothing_is_written(how: str, parts: Path, tmp_path: Path) -> None:
    path = copied(parts, tmp_path / "one")
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-2000])
    elif how == "text":
        path.write_text("<html>not found</html>")
    else:
        entry = tarfile.TarInfo(
            {"outside": "../evil", "another replicate": "runs/0123456789ab/2/result.json"}.get(how, "runs/0123456789ab/1/x")
        )
        entry.type = tarfile.SYMTYPE if how == "link" else tarfile.REGTYPE
        with tarfile.open(path, "w:gz") as file:
            file.addfile(entry)
    store = Store(tmp_path / "out").prepare()
    with pytest.raises(FameError, match="is damaged, or not what `pack` wrote"):
        unpack(path.parent, store)
    assert not list(store.runs.iterdir()) and not list(store.out.glob(".unpacking*")) and not (tmp_path / "evil").exists()


def test_another_setting_is_told_and_the_folders_own_is_kept(parts: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "out").prepare()
    unpack(copied(parts, tmp_path / "one").parent, store)
    own = (store.setting() or {}) | {"replicates": [1]}
    store.write_setting(own)
    (line,) = unpack(tmp_path / "one", store).left_out
    assert "other replicates" in line and store.setting() == own


def test_a_finished_run_is_not_overwritten_and_an_unfinished_one_is_replaced(study: Study, parts: Path, tmp_path: Path) -> None:
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
    assert (store.result(mine.id, 1) or {})["metrics"] == own["metrics"] and done.already == 1
    assert store.finished(begun.id, 1) and not (store.folder(begun.id, 1) / "checkpoint.pt").exists()
    assert len(done.left_out) == 1 and "a process is at this run" in done.left_out[0] and not store.finished(held.id, 1)
    assert unpack(tmp_path / "one", store).runs == 1


def test_the_scale_fixes_the_replicates_and_part_chooses_among_them(tmp_path: Path) -> None:
    mini = resolve(Options(scale="mini"), tmp_path, 1)
    assert mini.replicates[0] == 1 and len(mini.replicates) == mini.setting.scale.replicates
    assert resolve(Options(scale="mini", replicates=2), tmp_path, 1).replicates == (1, 2)
    assert resolve(Options(scale="mini", part="2-3,5"), tmp_path, 1) == mini
    assert part_of("4, 1-2,2", range(1, 7)) == (1, 2, 4) and listed((1, 2, 4, 6, 7)) == "1-2, 4, 6-7"


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "0", "7", "2-9", "1;2", "²", "1-2-3"])
def test_a_part_outside_the_study_is_one_line(text: str) -> None:
    with pytest.raises(FameError, match=r"^--part .*the study's replicates are 1-6"):
        part_of(text, range(1, 7))


def test_interim_is_said_and_uneven_runs_are_named(study: Study, parts: Path, tmp_path: Path) -> None:
    _, asked = study
    store = Store(tmp_path / "out").prepare()
    for number in (2, 3):
        copied(parts, tmp_path / "two", number)
    unpack(tmp_path / "two", store)
    gone = next(stage for stage, _ in all_stages(asked.setting, asked.studies).values() if stage.kind == "masks")
    (store.folder(gone.id, 3) / "result.json").unlink()
    store.fail(gone, 3, "out of memory")
    found = standing(seen(store, asked.setting, asked.replicates, asked.studies))
    assert found["interim"] == "interim: 1 of 3 replicates" and found["begun"] == [2, 3] and found["done"] == [2]
    _, lost = found["remarks"]
    assert lost == "Replicate 3 lacks 1 runs that other replicates have."
    page = reported(store, asked.setting, asked.studies, asked.replicates)
    html, report = page.read_text(encoding="utf-8"), json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    assert "<b>Interim: 1 of 3 replicates.</b>" in html and lost in html
    assert {claim["verdict"] for claim in report["claims"]} <= {"inconclusive", "not run"}
    for name, number in (("retrieval", 2), ("mask_quality", 1)):
        assert f"n = {number} of 3 replicates" in (page.parent / "tables" / f"{name}.md").read_text(encoding="utf-8")


def test_in_parts_over_two_machines(typed: Typed, capfd: Captured) -> None:
    words = ["run", "temporal_kernels", "--scale", "mini", "--replicates", "3"]
    assert typed(*words, "--part", "2,3", "--out", "first") == 0
    out = capfd.readouterr().out
    assert "0 of 3 replicates done. In this part: 2-3." in out and "2 of 3 replicates done (2-3). The tables:" in out
    assert json.loads(Path("first/setting.json").read_text())["replicates"] == [1, 2, 3]
    assert {path.name for path in Path("first/runs").glob("*/*")} == {"2", "3"}
    assert typed("pack", "parts", "--out", "first", "--part", "3") == 0
    assert "parts/replicate-0003.tar.gz: 8 runs\n" in capfd.readouterr().out
    assert typed("pack", "parts", "--out", "first", "--part", "4") == 2
    assert "there is no replicate 4; the study's replicates are 1-3" in capfd.readouterr().err
    assert typed("pack", "parts", "--out", "first", "--part", "2") == 0
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
