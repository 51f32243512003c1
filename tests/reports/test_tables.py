"""Tables: every cell stands there, ours and the paper's apart, and what is missing says so."""

import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from fame.config import VideoData
from reports import latex, tables, texts
from reports.evidence import Evidence
from reports.statistics import t_interval
from studies.harness.store import Store
from studies.paper.registry import FINDINGS, STUDIES
from studies.setting.recording import described
from studies.setting.resolve import Setting
from studies.setting.scales import PAPER, QUICK, SMOKE
from tests.filled import fill, put, seen

SCHEMA = {"row", "column", "metric", "mean", "interval", "n", "cell", "published", "source"}
AREA, DIVING, FORE, MASKS, ACTION, MAPS = (next(s for s in STUDIES if s.name == n) for n in (
    "area_ratio", "diving48", "foreground_mask", "mask_quality", "action_recognition", "activation_maps"))  # fmt: skip


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


def test_ratios_are_averaged_and_compared_on_logarithms(tmp_path: Path) -> None:
    """A t interval of the skewed ratios themselves would reach below 0."""
    ratios = {"contrastive": (2.0, 4.0, 40.0), "FAME": (1.0, 1.0, 20.0)}
    store, setting = Store(tmp_path).prepare(), Setting(QUICK)
    for row, _, stage in setting.cells(MAPS):
        for replicate, ratio in enumerate(ratios.get(row.label.removeprefix("vanilla "), ())):
            if not store.finished(stage.id, replicate):
                put(store, stage, replicate, {"exchange_ratio": ratio, "auroc": 0.5})
    found = {e["row"]: e for e in tables.entries(seen(store, setting, (0, 1, 2)), MAPS.name) if e["metric"] == "exchange_ratio"}
    level, gap = found["vanilla contrastive"], found["FAME"]["difference"]
    assert (
        level["mean"] == pytest.approx((2 * 4 * 40) ** (1 / 3)) and 0 < level["interval"][0] < level["mean"] < level["interval"][1]
    )
    assert gap["mean"] == pytest.approx(-math.log(2 * 4 * 2) / 3)
    assert gap["interval"] == pytest.approx(t_interval([-math.log(2), -math.log(4), -math.log(2)]))


def test_a_ratio_of_one_run_has_an_interval_above_0(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, scale=QUICK, studies=(MAPS,), performances=40)
    found = [e for e in tables.entries(seen(store, setting), MAPS.name) if e["metric"] == "exchange_ratio"]
    for entry in found:
        stored = store.result(entry["cell"], 0)
        assert stored and entry["mean"] == pytest.approx(stored["metrics"]["exchange_ratio"])
        assert 0 < entry["interval"][0] < entry["mean"] < entry["interval"][1] and entry["over"] == "videos"
    gap = next(e for e in found if e["row"] == "FAME")["difference"]
    assert gap["interval"][0] < gap["mean"] < gap["interval"][1] < 0


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
    assert (entry["status"], entry["n"], entry["cell"], entry["published"]) == ("not run", 0, gone.id, 67.8)
    assert entry["mean"] is entry["interval"] is None
    store.fail(gone, 0, "out of memory")
    again = tables.entries(seen(store, setting, [0]), DIVING.name)
    assert cell(again, "FAME", "A", "C finetuned")["status"] == "failed"
    text = texts.markdown(described(DIVING), tables.wide(again), "")
    assert "| failed |" in text and text.count("\n| ") == 2 + len(DIVING.rows)


def test_a_part_that_the_dataset_lacks_says_so(tmp_path: Path) -> None:
    setting = Setting(SMOKE, {"A": VideoData(kind="ucf101", manifest="0" * 12)}, "ucf101")
    found = tables.entries(seen(Store(tmp_path).prepare(), setting, [0]), DIVING.name)
    assert {entry["status"] for entry in found} == {"not in this dataset"} and {entry["cell"] for entry in found} == {None}


def test_files_hold_the_same_numbers(evidence: Evidence, tmp_path: Path) -> None:
    found = tables.entries(evidence, AREA.name)
    csv, md, narrow, wide = tables.write(evidence, described(AREA), found, tmp_path)
    frame = pd.read_csv(csv, dtype={"row": str})
    assert frame["mean"].tolist() == pytest.approx([entry["mean"] for entry in found], rel=1e-5)
    assert max(len(text) for text in pd.read_csv(csv, dtype=str)["low"]) <= len("-12.3456")
    text = md.read_text(encoding="utf-8")
    assert "another dataset" in text and "75.8" in text
    assert "| A finetuned, %: paper | A finetuned, %: paper to its baseline |" in text
    columns = {line.count(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert len(columns) == 1
    for path, measures in ((narrow, 2), (wide, 5)):
        body = path.read_text(encoding="utf-8")
        assert body.count(r"\cmidrule") == measures == body.count(r"\multicolumn") and r"\toprule" in body
        assert len(re.findall(r"^0\.5 &", body, re.M)) == 2 * body.count(r"\begin{tabular}")


def test_columns_of_dashes_are_left_out(evidence: Evidence) -> None:
    columns = tables.wide(tables.entries(evidence, FORE.name)).columns
    assert columns["A finetuned"] == ["ours", "to baseline", "paper", "paper to its baseline"]
    assert columns["A background gap"] == ["ours", "to baseline"]
    found = [entry | {"difference": None} for entry in tables.entries(evidence, FORE.name)]
    assert tables.wide(found).columns["A finetuned"] == ["ours", "paper"]


def test_bold_is_a_difference_whose_interval_leaves_out_0(evidence: Evidence) -> None:
    found = tables.entries(evidence, AREA.name)
    for entry in found:
        if entry["difference"]:
            entry["difference"] |= {"mean": 1.5, "interval": (-0.5, 3.5)}
    entry["difference"] |= {"interval": (0.5, 2.5)}
    text = latex.latex(described(AREA), tables.wide(found), "", wide=True)
    assert text.count(r"\bfseries") == 1 and r"\boldmath $+$1.5}" in text


def test_masks_are_lines_of_their_own(evidence: Evidence) -> None:
    table = tables.wide(tables.entries(evidence, MASKS.name))
    assert [line.row for line in table.lines] == ["Gauss", "Seed", "Grid", "FAME"]
    assert list(table.measures) == ["recall lift", "IoU", "AUROC", "recall on still pixels"] and not table.printed
    assert "another dataset" not in tables.caption(evidence, described(MASKS), table)


def test_levels_are_compared_on_the_papers_protocol_only(evidence: Evidence, tmp_path: Path) -> None:
    assert not tables.compares_levels(evidence)
    real = Setting(PAPER, {"A": VideoData(kind="ucf101", manifest="0" * 12)}, "ucf101")
    assert tables.compares_levels(seen(Store(tmp_path), real, [0]))


def test_tex_escapes() -> None:
    assert latex.tex("a_b & 5 % {x}\n\ud55c") == r"a\_b \& 5 \% \{x\} U$+$D55C"


TWO = r"\setlength{\textwidth}{6.875in}\setlength{\columnsep}{.3125in}\setlength{\columnwidth}{3.25in}"


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX: pdflatex and booktabs are wanted (texlive-latex-recommended)")
@pytest.mark.parametrize("runs", [0, 1])
def test_every_tex_table_fits(tmp_path: Path, runs: int) -> None:
    """In article and in two columns, of runs that are there or not yet, with rows of any name: no box is too large."""
    studies = (*STUDIES, *(study for study in FINDINGS if study.name in ("camera", "longer_control", "quirks")))
    store, setting = fill(tmp_path / "out", studies=studies, replicates=runs, performances=8)
    evidence = seen(store, setting, [0])
    names = ["\ud55c\uad6d\uc5b4\uc774\ub984 \U0001f600", "".join(map(chr, range(32, 256))) + "\n\u0444", "x" * 200]
    for study in studies:
        found = tables.entries(evidence, study.name)
        tables.write(evidence, described(study), found, tmp_path)
        rows = dict(zip(dict.fromkeys(entry["row"] for entry in found), names, strict=False))
        strange = [entry | {"row": rows.get(entry["row"], "-"), "label": entry["label"] + names[0]} for entry in found]
        tables.write(evidence, described(study) | {"name": f"strange_{study.name}"}, strange, tmp_path)
    log = tmp_path / "all.log"  # what is printed lacks missing characters
    for layout, size in (("", ""), ("twocolumn", TWO)):
        paths = [path for path in sorted(tmp_path.glob("*.tex")) if layout or not path.stem.endswith("_wide")]
        head = rf"\documentclass[{layout}]{{article}}\hfuzz=0pt\usepackage{{booktabs,graphicx}}{size}\begin{{document}}"
        lines = [head, *(rf"\typeout{{{path.name}}}\input{{{path.stem}}}\clearpage" for path in paths), r"\end{document}"]
        (tmp_path / "all").write_text("\n".join(lines), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all"]
        subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=240, env=os.environ | {"max_print_line": "999"})
        told = log.read_text(encoding="utf-8", errors="replace")
        assert "Output written" in told and all(path.name in told for path in paths) and len(paths) > len(studies), told[-2000:]
        assert not re.findall(r"Overfull.*|Float too large.*|.*undefined.*|Missing character.*|multiply defined", told)
