"""Several of the paper's sets in one folder: found by name, each run with its own videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fame.errors import FameError
from reports.content import video_facts
from reports.evidence import Evidence
from reports.ledger import ledger
from reports.tables import compares_levels, entries
from studies.harness.status import recall
from studies.harness.store import Store
from studies.paper.registry import STUDIES, studies
from studies.setting.asked import Asked, resolve
from studies.setting.options import Options
from studies.setting.paper_sets import find_sets
from studies.setting.recording import record
from studies.setting.resolve import all_stages
from tests import miniatures
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)
from tests.videos import write_video

KINDS = {"A": "ucf101", "B": "hmdb51", "C": "diving48", "source": "kinetics400"}
FOLDERS = {"A": "UCF-101", "B": "hmdb51", "C": "Diving48", "source": "k400"}
BUILDERS: dict[str, Any] = {
    "A": miniatures.ucf101,
    "B": miniatures.hmdb51,
    "C": miniatures.diving48,
    "source": miniatures.kinetics,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", 4).read_bytes()


def make(root: Path, clip: bytes, parts: str = "A B C source") -> Path:
    for part in parts.split():
        BUILDERS[part](root / FOLDERS[part], clip)
    return root


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, clip: bytes) -> tuple[Path, Path, Asked]:
    """(folder of sets, OUT, what was asked for) with all four, scanned once."""
    root, out = make(tmp_path_factory.mktemp("sets"), clip), tmp_path_factory.mktemp("out")
    return root, out, resolve(Options(scale="paper", data_root=root), Store(out).prepare().cache, 1)


# ---------------------------------------------------------------- folders


def test_spellings_and_what_is_no_set(tmp_path: Path) -> None:
    for name in ("UCF_101", "Hmdb51_org", "DIVING-48", "Kinetics-400", "notes", ".k400"):
        (tmp_path / name).mkdir()
    (tmp_path / "k400").write_text("a file")
    found = {one.part: path.name for one, path in find_sets(tmp_path).items()}
    assert found == {"A": "UCF_101", "B": "Hmdb51_org", "C": "DIVING-48", "source": "Kinetics-400"}


def test_archives_unpacked_side_by_side(tmp_path: Path) -> None:
    miniatures.ucf101(tmp_path)  # DIR/UCF-101 and DIR/ucfTrainTestlist
    miniatures.hmdb51(tmp_path / "hmdb51")
    assert {one.part: path for one, path in find_sets(tmp_path).items()} == {"A": tmp_path, "B": tmp_path / "hmdb51"}


def test_two_folders_for_one_set_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("ucf101", "k400", "kinetics400"):
        (tmp_path / name).mkdir()
    with pytest.raises(FameError, match=r"k400 and kinetics400 may both be Kinetics-400; rename"):
        find_sets(tmp_path)


def test_without_ucf101_one_line_says_what_to_do(typed: Typed, capfd: Captured) -> None:
    Path("sets/hmdb51").mkdir(parents=True)
    assert typed("plan", "--scale", "paper", "--data-root", "sets") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: --data-root sets: has no UCF101")
    assert "(found hmdb51)" in line and "name its folder ucf101 or UCF-101" in line


# ---------------------------------------------------------------- the setting


def test_all_four_fill_every_cell_that_real_video_can(four: tuple[Path, Path, Asked]) -> None:
    asked = four[2]
    assert asked.setting.dataset == "paper" and asked.absent == ""
    assert {part: data.kind for part, data in asked.setting.sets.items()} == KINDS
    for study in STUDIES:
        for row, measure, stage in asked.setting.cells(study):
            assert stage is not None, (study.name, row.label, measure)
            data = getattr(stage.config, "data", None)  # temporal kernels look at no video
            assert data is None or data.kind == KINDS[measure.target]
            if stage.upstream and row.method and row.method.kind != "random":
                assert stage.upstream.config.data.kind == KINDS[row.method.on]  # type: ignore[union-attr]


def test_ids_are_those_of_the_single_set(four: tuple[Path, Path, Asked]) -> None:
    root, out, several = four
    single = resolve(Options(scale="paper", dataset="ucf101", data_root=root / "UCF-101"), Store(out).cache, 1)
    assert list(single.setting.sets) == ["A"] and single.absent == ""
    mine, all_of_them = (set(all_stages(asked.setting, STUDIES)) for asked in (single, several))
    assert mine < all_of_them


def test_a_fold_is_for_the_sets_that_have_folds(tmp_path: Path, clip: bytes) -> None:
    root = make(tmp_path / "sets", clip, "A B C")
    for split in ("train", "test"):
        lists = root / "UCF-101" / "ucfTrainTestlist"
        (lists / f"{split}list02.txt").write_bytes((lists / f"{split}list01.txt").read_bytes())
    asked = resolve(Options(scale="paper", dataset="paper", data_root=root, fold="2"), tmp_path / "cache", 1)
    assert {part: data.fold for part, data in asked.setting.sets.items()} == {"A": 2, "B": 2, "C": 1}


# ---------------------------------------------------------------- a study, end to end with fake stages


def test_every_stage_gets_the_videos_of_its_own_part_and_once(
    four: tuple[Path, Path, Asked], typed: Typed, capfd: Captured
) -> None:
    root, out, _ = four
    words = ("--scale", "paper", "--data-root", str(root), "--out", str(out), "--device", "cpu")
    named = ("diving48", "action_recognition", "background_source")
    assert typed("run", *named, *words) == 0, capfd.readouterr().err
    store = Store(out)
    asked = recall(store)
    read = set()
    for stage, _ in all_stages(asked.setting, studies(list(named))).values():
        result = store.result(stage.id, 0)
        assert result is not None
        data = getattr(stage.config, "data", None)
        if data is None:
            assert result["data"] == {} and stage.config.objective.kind == "random"
            continue
        part = next(part for part, kind in KINDS.items() if kind == data.kind)
        assert result["data"] == {data.kind: str(root / FOLDERS[part])}
        read.add((stage.kind == "pretrain", part))
    assert read == {(True, "A"), (True, "source"), (False, "A"), (False, "B"), (False, "C")}
    capfd.readouterr()
    assert typed("run", *named, *words) == 0
    assert capfd.readouterr().out.startswith("0 runs done")

    asked = recall(store)
    evidence = Evidence(store, record(asked))
    found = entries(evidence, studies(["diving48"])[0].name)
    assert {entry["status"] for entry in found} == {"done"} and compares_levels(evidence)
    assert [entry["published"] for entry in found if entry["row"] == "FAME"] == [67.8, 72.9]
    facts = video_facts(evidence)
    assert facts is not None and {one["part"]: one["kind"] for one in facts["sets"]} == KINDS
    assert asked.command().startswith("reproduce-paper --scale paper --dataset paper --data-root DIR ")


# ---------------------------------------------------------------- what is absent


def test_with_ucf101_alone_the_others_are_absent_and_said_so(tmp_path: Path, clip: bytes, typed: Typed, capfd: Captured) -> None:
    root, out = make(tmp_path / "sets", clip, "A"), tmp_path / "out"
    words = ("--dataset", "paper", "--data-root", str(root), "--out", str(out), "--device", "cpu")
    assert typed("plan", "--scale", "paper", *words) == 0
    line = "Absent: HMDB51 (part B, folder hmdb51), Diving48 (part C, folder diving48), Kinetics-400 (part source, folder"
    assert line in capfd.readouterr().out
    asked = resolve(Options(scale="paper", dataset="paper", data_root=root), Store(out).cache, 1)
    assert list(asked.setting.sets) == ["A"]
    assert asked.setting.dataset == "paper" and asked.absent.startswith(line)
    store = Store(out)
    store.write_setting(asked.to_json())
    assert recall(store) == asked
    evidence = Evidence(store, record(asked))
    assert {entry["status"] for entry in entries(evidence, studies(["diving48"])[0].name)} == {"not in this dataset"}
    claims = {claim["id"]: claim for claim in ledger(evidence) if claim["id"] == "C6"}
    assert claims["C6"]["verdict"] == "not run" and claims["C6"]["reason"].startswith(line)
