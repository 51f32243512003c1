"""Tables: every cell stands there, ours and the paper's apart, and what is missing says so."""

from pathlib import Path

import pandas as pd
import pytest

from fame.config import VideoData
from reports import tables, texts
from reports.evidence import Evidence
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.setting.recording import described
from studies.setting.resolve import Setting
from studies.setting.scales import PAPER, QUICK, SMOKE
from studies.study import Study
from tests.filled import fill, seen

SCHEMA = {"row", "column", "metric", "mean", "interval", "n", "cell", "published", "source"}
AREA, DIVING, FORE, MASKS, ACTION = (next(s for s in STUDIES if s.name == n) for n in (
    "area_ratio", "diving48", "foreground_mask", "mask_quality", "action_recognition"))  # fmt: skip


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Tables 1 and 4, masks and table 5 at quick scale, one replicate."""
    store, setting = fill(tmp_path_factory.mktemp("out"), scale=QUICK, studies=(AREA, FORE, MASKS, ACTION), performances=60)
    return seen(store, setting, [0])


def cell(found: list[dict], row: str, column: str, label: str) -> dict:
    return next(e for e in found if (e["row"], e["column"], e["label"]) == (row, column, label))


def test_entries_have_the_schema_and_the_cells_result(evidence: Evidence) -> None:
    found = tables.entries(evidence, AREA.name)
    assert len(found) == len(AREA.rows) * len(AREA.measures)
    for entry in found:
        assert set(entry) >= SCHEMA and entry["status"] == "done" and entry["n"] == 1
        stored = evidence.store.result(entry["cell"], 0)
        assert stored is not None and entry["mean"] == pytest.approx(stored["metrics"][entry["metric"]])
        low, high = entry["interval"]
        assert low <= entry["mean"] <= high and entry["over"] == "videos" and entry["videos"] == 60


def test_the_papers_numbers_and_differences_stand_beside_ours(evidence: Evidence) -> None:
    found = tables.entries(evidence, AREA.name)
    entry = cell(found, "0.5", "both", "B finetuned")
    assert (entry["published"], entry["difference"]["published"]) == (51.4, 5.9)
    assert "poster" in entry["source"]
    base = cell(found, "1.0 (baseline)", "", "B finetuned")
    assert base["published"] == 45.5 and base["difference"] is None
    assert entry["difference"]["mean"] == pytest.approx(entry["mean"] - base["mean"])
    assert cell(found, "0.5", "both", "A background gap")["published"] is None


def test_rows_of_the_larger_source_are_compared_with_moco_on_it(evidence: Evidence) -> None:
    entry = cell(tables.entries(evidence, FORE.name), "FAME", "source", "A finetuned")
    moco = cell(tables.entries(evidence, ACTION.name), "MoCo", "", "A finetuned")
    assert entry["difference"]["mean"] == pytest.approx(entry["mean"] - moco["mean"])
    assert entry["published"] == 88.6 and entry["difference"]["published"] is None  # the paper has no baseline there
    random = cell(tables.entries(evidence, ACTION.name), "random init", "", "B linear")
    assert random["difference"]["to"] == "MoCo" and random["difference"]["mean"] is not None


def test_missing_runs_stay_as_lines(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, studies=(DIVING,), performances=8)
    gone = next(stage for row, _, stage in setting.cells(DIVING) if row.label == "FAME")
    assert gone is not None
    (store.folder(gone.id, 0) / "result.json").unlink()
    found = tables.entries(seen(store, setting, [0]), DIVING.name)
    entry = cell(found, "FAME", "A", "C finetuned")
    assert (entry["status"], entry["mean"], entry["interval"], entry["n"], entry["cell"]) == ("not run", None, None, 0, gone.id)
    assert entry["published"] == 67.8
    store.fail(gone, 0, "out of memory")
    again = tables.entries(seen(store, setting, [0]), DIVING.name)
    assert cell(again, "FAME", "A", "C finetuned")["status"] == "failed"
    text = texts.markdown(described(DIVING), tables.wide(again), "")
    assert "| failed |" in text and text.count("\n| ") == 2 + len(DIVING.rows)


def test_a_part_that_the_dataset_lacks_says_so(tmp_path: Path) -> None:
    setting = Setting(SMOKE, VideoData(kind="ucf101", manifest="0" * 12))
    found = tables.entries(seen(Store(tmp_path).prepare(), setting, [0]), DIVING.name)
    assert {entry["status"] for entry in found} == {"not in this dataset"} and {entry["cell"] for entry in found} == {None}


def test_three_replicates_give_t_intervals(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, studies=(MASKS, DIVING), replicates=3, performances=8)
    entry = tables.entries(seen(store, setting, range(3)), DIVING.name)[2]
    assert (entry["n"], entry["over"], entry["difference"]["over"]) == (3, "replicates", "replicates")


def test_files_hold_the_same_numbers(evidence: Evidence, tmp_path: Path) -> None:
    found = tables.entries(evidence, AREA.name)
    csv, md, tex = tables.write(evidence, described(AREA), found, tmp_path)
    frame = pd.read_csv(csv, dtype={"row": str})
    assert list(frame.columns) == list(tables.FIELDS) and len(frame) == len(found)
    assert frame["mean"].tolist() == pytest.approx([entry["mean"] for entry in found])
    text = md.read_text(encoding="utf-8")
    assert "another dataset" in text and "| paper: A finetuned |" in text and "75.8" in text
    columns = {line.count(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert len(columns) == 1
    latex = tex.read_text(encoding="utf-8")
    assert latex.count(r"\\") == 1 + len(AREA.rows) and r"\toprule" in latex
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len({line.count(" & ") for line in body}) == 1


def test_masks_are_lines_of_their_own(evidence: Evidence) -> None:
    table = tables.wide(tables.entries(evidence, MASKS.name))
    assert [line.row for line in table.lines] == ["Gauss", "Seed", "Grid", "FAME"]
    assert table.measures == ["recall lift", "IoU", "AUROC", "recall on still pixels"] and not table.printed
    assert "another dataset" not in tables.caption(evidence, described(MASKS), table)


def test_levels_are_compared_on_the_papers_protocol_only(evidence: Evidence, tmp_path: Path) -> None:
    assert not tables.compares_levels(evidence)
    real = Setting(PAPER, VideoData(kind="ucf101", manifest="0" * 12))
    assert tables.compares_levels(seen(Store(tmp_path), real, [0]))


@pytest.mark.parametrize(("value", "text"), [(-1.25, "\N{MINUS SIGN}1.2"), (0.0, "+0.0"), (3.14159, "+3.1"), (None, "")])
def test_numbers_as_text(value: float | None, text: str) -> None:
    assert texts.number(value, 1, signed=True) == text


def test_tex_escapes() -> None:
    assert texts.tex("a_b & 5 % {x}") == r"a\_b \& 5 \% \{x\}"


def test_a_study_of_figures_has_no_paper_columns(evidence: Evidence) -> None:
    study = Study("mask_quality", MASKS.title, MASKS.paper, (), MASKS.rows, MASKS.measures)
    head = texts.header(described(study), tables.wide(tables.entries(evidence, study.name)))
    assert not any("paper" in name or "difference" in name for name in head)
