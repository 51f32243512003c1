"""Turn a study's cells into entries of report.json and into tables: csv (a line a number), md (texts.py), tex (latex.py)."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from fame.config import MASKS
from reports import latex, texts
from reports.evidence import Evidence, is_ratio
from reports.sheets import write_csv
from reports.statistics import ENOUGH
from reports.texts import Entry, Line, Wide, counted
from studies.records import Cell

ANOTHER_DATASET = (
    "The paper's columns are another dataset, network and schedule: "
    "compare orderings and effects (differences to the baseline), not levels."
)


def entries(evidence: Evidence, study: str) -> list[Entry]:
    """Return the study's numbers, row by row, as report.json has them; `status` is done, failed, not run or not in this dataset."""
    return [_entry(evidence, cell) for cell in evidence.records.table(study)]


def _entry(evidence: Evidence, cell: Cell) -> Entry:
    runs = evidence.records.runs(cell.method, cell.evaluation, cell.target)
    ours = evidence.estimate(runs, cell.metric)
    if runs is None:
        status = "not in this dataset"
    elif ours.n:
        status = "done"
    elif any(evidence.store.failure(stage, replicate) for stage in runs.needed() for replicate in evidence.replicates):
        status = "failed"
    else:
        planned = evidence.records.listed[runs.id].replicates
        status = "not measured" if all(evidence.result(runs.id, replicate) for replicate in planned) else "not run"
    return {
        "row": cell.row,
        "column": cell.column,
        "metric": cell.metric,
        **asdict(ours),
        "stages": list(runs.ids) if runs else [],
        "values": evidence.values(runs, cell.metric),
        "published": _number(cell.published),
        "source": cell.source or None,
        "target": cell.target,
        "label": cell.label,
        "kind": cell.kind,
        "unit": cell.unit,
        "status": status,
        "difference": _difference(evidence, cell),
    }


def _difference(evidence: Evidence, cell: Cell) -> dict[str, Any] | None:
    """Return that to the baseline of the table, ours and the paper's; None for the baseline itself and for masks."""
    if not cell.baseline:
        return None
    merged, base = (evidence.records.runs(one, cell.evaluation, cell.target) for one in (cell.method, cell.baseline_method))
    sides = (merged, cell.metric), (base, cell.metric)
    ours = evidence.difference(*sides)
    return {
        "to": cell.baseline,
        **asdict(ours),
        "published": _number(cell.published_difference),
        "stages": [stage for side in (merged, base) if side for stage in side.ids],
        "values": evidence.differences(*sides),
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


MEASURE_WORDS = {
    "recall_lift": "recall lift",
    "iou": "IoU",
    "auroc": "AUROC",
    "recall_still": "recall on still pixels",
}


def wide(found: list[Entry]) -> Wide:
    """Turn entries into lines; masks alone, which are metrics of one row (VARIANT/BETA/FLAVOUR/MEASURE), into a line a mask."""
    masks = all(entry["metric"].count("/") == 3 for entry in found)
    lines: dict[tuple[str, str], Line] = {}
    for entry in found:
        row, label = entry["row"], entry["label"]
        if masks:
            variant, *_, measure = entry["metric"].split("/")
            row, label = MASKS.get(variant, variant), MEASURE_WORDS.get(measure, measure)
        lines.setdefault((row, entry["column"]), Line(row, entry["column"])).cells[label] = entry
    return Wide(list(lines.values()))


def caption(evidence: Evidence, study: dict[str, Any], table: Wide) -> str:
    """Return what stands under a table: scale, replicates, what the intervals speak of, that the paper's are another dataset."""
    n, about = len(study["replicates"]), evidence.about
    over = "t intervals over replicates" if n >= ENOUGH else "intervals over test videos: they speak of these runs only"
    said = f", {about['protocol']['said']}" if about["protocol"]["said"] else ""
    entries = [entry for line in table.lines for entry in line.cells.values()]
    there = counted([entry["n"] for entry in entries if entry["cell"]] or [0])
    words = [
        f"Scale {about['scale']}, dataset {about['dataset']}{said}, {there} of {n} replicate{'s' if n > 1 else ''}; 95 % {over}."
    ]
    words += [f"Means over folds 1 to {about['folds']}."] if about["folds"] > 1 else []
    if any(is_ratio(entry["metric"]) for entry in entries):
        words.append("Means of ratios are geometric, their differences those of natural logarithms.")
    if table.printed:
        words.append("The paper's columns are the poster's." if compares_levels(evidence) else ANOTHER_DATASET)
    return " ".join(filter(None, [*words, study["note"]]))


def compares_levels(evidence: Evidence) -> bool:
    """Return whether our levels may be read beside the paper's: its protocol on its sets only, each in its own part."""
    return evidence.about["scale"] == "paper" and on_papers_sets(evidence)


def on_papers_sets(evidence: Evidence) -> bool:
    """Return whether target A is UCF101 itself, alone or with the paper's other sets in the other parts (`--dataset paper`)."""
    return evidence.about["dataset"] in ("ucf101", "paper")


ASIDE = ("interval", "difference", "stages", "values")  # of report.json, in the csv otherwise or not at all


def frame(study: str, found: Iterable[Entry]) -> pd.DataFrame:
    """Return the entries as the csv has them: one number a line."""
    lines = []
    for entry in found:
        low, high = entry["interval"] or (None, None)
        gap = entry["difference"] or {}
        gap_low, gap_high = gap.get("interval") or (None, None)
        line = {"study": study} | {name: item for name, item in entry.items() if name not in ASIDE}
        line |= {"low": low, "high": high, "baseline": gap.get("to"), "difference": gap.get("mean")}
        line |= {"difference_low": gap_low, "difference_high": gap_high, "difference_over": gap.get("over")}
        lines.append(line | {"published_difference": gap.get("published")})
    return pd.DataFrame(lines)


def write(evidence: Evidence, study: dict[str, Any], found: list[Entry], folder: Path) -> list[Path]:
    """Write STUDY.csv (6 significant places), .md, .tex and STUDY_wide.tex in `folder`; `study` as study.json has it."""
    table = wide(found)
    note = caption(evidence, study, table)
    paths = [folder / f"{study['name']}{suffix}" for suffix in (".csv", ".md", ".tex", "_wide.tex")]
    lines, protocol = frame(study["name"], found), evidence.about["protocol"]
    if protocol["said"]:
        lines = lines.assign(protocol=f"{protocol['name']} {protocol['version']}")
    write_csv(lines, paths[0])
    paths[1].write_text(texts.markdown(study, table, note), encoding="utf-8")
    paths[2].write_text(latex.latex(study, table, note), encoding="utf-8")
    paths[3].write_text(latex.latex(study, table, note, wide=True), encoding="utf-8")
    return paths
