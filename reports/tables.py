"""A study's cells as entries of report.json and as tables: csv (tidy, one line a number), md (texts.py), tex (latex.py).

Ours and the paper's stand in separate columns and are never mixed. A run that is missing is a line that says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from fame.config import MASKS
from reports import latex, texts
from reports.evidence import Evidence
from reports.texts import Line, Wide
from studies.records import Cell

ANOTHER_DATASET = (
    "The paper's columns are another dataset, network and schedule: "
    "compare orderings and effects (differences to the baseline), not levels."
)
SHORT = 6  # cells that a caption names
FIELDS = (
    *(
        "study",
        "row",
        "column",
        "target",
        "label",
        "metric",
        "unit",
        "kind",
        "status",
        "mean",
        "low",
        "high",
        "over",
        "n",
        "videos",
    ),
    *("baseline", "difference", "difference_low", "difference_high", "difference_over"),
    *("published", "published_difference", "source", "cell"),
)


def entries(evidence: Evidence, study: str) -> list[dict[str, Any]]:
    """The study's numbers, row by row, as report.json has them; `status` is done, failed, not run or not in this dataset."""
    return [_entry(evidence, cell) for cell in evidence.records.table(study)]


def _entry(evidence: Evidence, cell: Cell) -> dict[str, Any]:
    runs = evidence.records.runs(cell.method, cell.evaluation, cell.target)
    ours = evidence.estimate(runs, cell.metric)
    if runs is None:
        status = "not in this dataset"
    elif ours.n:
        status = "done"
    elif any(evidence.store.failure(stage, replicate) for stage in runs.needed() for replicate in evidence.replicates):
        status = "failed"
    else:
        status = "not measured" if all(evidence.result(runs.id, replicate) for replicate in evidence.replicates) else "not run"
    return {
        "row": cell.row,
        "column": cell.column,
        "metric": cell.metric,
        "mean": ours.mean,
        "interval": ours.interval,
        "n": ours.n,
        "cell": runs.id if runs else None,
        "published": _number(cell.published),
        "source": cell.source or None,
        "target": cell.target,
        "label": cell.label,
        "kind": cell.kind,
        "unit": cell.unit,
        "status": status,
        "over": ours.over,
        "videos": ours.videos,
        "difference": _difference(evidence, cell),
    }


def _difference(evidence: Evidence, cell: Cell) -> dict[str, Any] | None:
    """To the baseline of the table, ours and the paper's; None for the baseline itself and for masks."""
    if not cell.baseline:
        return None
    sides = ((evidence.records.runs(one, cell.evaluation, cell.target), cell.metric) for one in (cell.method, cell.baseline_method))
    ours = evidence.difference(*sides)
    return {
        "to": cell.baseline,
        "mean": ours.mean,
        "interval": ours.interval,
        "over": ours.over,
        "n": ours.n,
        "published": _number(cell.published_difference),
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


# ---------------------------------------------------------------- one line a row

MEASURE_WORDS = {"recall_lift": "recall lift", "iou": "IoU", "auroc": "AUROC", "recall_still": "recall on still pixels"}


def wide(found: list[dict[str, Any]]) -> Wide:
    """Entries to lines. A study of masks alone has one row and a metric a mask (VARIANT/BETA/FLAVOUR/MEASURE): a mask is a line."""
    masks = all(entry["metric"].count("/") == 3 for entry in found)
    result = Wide()
    lines: dict[tuple[str, str], Line] = {}
    for entry in found:
        row, label = entry["row"], entry["label"]
        if masks:
            variant, *_, measure = entry["metric"].split("/")
            row, label = MASKS.get(variant, variant), MEASURE_WORDS.get(measure, measure)
        line = lines.setdefault((row, entry["column"]), Line(row, entry["column"]))
        line.cells[label] = entry
        if label not in result.measures:
            result.measures.append(label)
        if entry["published"] is not None and label not in result.printed:
            result.printed.append(label)
        if entry["difference"] and label not in result.compared:
            result.compared.append(label)
    result.lines = list(lines.values())
    return result


def caption(evidence: Evidence, study: dict[str, Any], table: Wide) -> str:
    """What stands under a table: scale, replicates, what the intervals speak of, that the paper's columns are another dataset."""
    n, about = len(evidence.replicates), evidence.about
    over = "t intervals over replicates" if n >= 3 else "intervals over test videos: they speak of these runs only"
    said = f", {about['protocol']['said']}" if about["protocol"]["said"] else ""
    words = [f"Scale {about['scale']}, dataset {about['dataset']}{said}, {n} replicate{'s' if n > 1 else ''}; 95 % {over}."]
    words += [_short(table, n)] if n > 1 else []
    words += [f"Means over folds 1 to {about['folds']}."] if about["folds"] > 1 else []
    if table.printed:
        words.append("The paper's columns are the poster's." if compares_levels(evidence) else ANOTHER_DATASET)
    return " ".join(filter(None, [*words, study["note"]]))


def _short(table: Wide, n: int) -> str:
    """Which cells lack replicates; "" where none does."""
    run = [(line, cell) for line in table.lines for cell in line.cells.values() if cell["status"] in ("done", "failed", "not run")]
    cells = [(line, entry) for line, entry in run if entry["n"] < n]
    if not cells:
        return ""
    if len(cells) == len(run) and len({entry["n"] for _, entry in cells}) == 1:
        return f"Interim: every cell has {cells[0][1]['n']} of the {n} replicates."
    named = [f"{' '.join(filter(None, (line.row, line.column)))}, {entry['label']}: {entry['n']}" for line, entry in cells[:SHORT]]
    more = f"; and {len(cells) - SHORT} other cells" if len(cells) > SHORT else ""
    return f"Cells with fewer than {n} replicates: {'; '.join(named)}{more}."


def compares_levels(evidence: Evidence) -> bool:
    """Whether our levels may be read beside the paper's: the paper's protocol on the paper's sets only, each in its own part."""
    return evidence.about["scale"] == "paper" and on_papers_sets(evidence)


def on_papers_sets(evidence: Evidence) -> bool:
    """Whether target A is UCF101 itself, alone or with the paper's other sets in the other parts (`--dataset paper`)."""
    return evidence.about["dataset"] in ("ucf101", "paper")


# ---------------------------------------------------------------- files


def frame(study: str, found: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The entries as the csv has them: one number a line, under FIELDS."""
    lines = []
    for entry in found:
        low, high = entry["interval"] or (None, None)
        gap = entry["difference"] or {}
        gap_low, gap_high = gap.get("interval") or (None, None)
        line = {name: entry.get(name) for name in FIELDS} | {"study": study, "low": low, "high": high}
        line |= {"baseline": gap.get("to"), "difference": gap.get("mean"), "difference_low": gap_low, "difference_high": gap_high}
        lines.append(line | {"difference_over": gap.get("over"), "published_difference": gap.get("published")})
    return pd.DataFrame(lines, columns=list(FIELDS))


def write(evidence: Evidence, study: dict[str, Any], found: list[dict[str, Any]], folder: Path) -> list[Path]:
    """STUDY.csv (6 significant places), .md, .tex and STUDY_wide.tex in `folder`; `study` as study.json has it."""
    table = wide(found)
    note = caption(evidence, study, table)
    paths = [folder / f"{study['name']}{suffix}" for suffix in (".csv", ".md", ".tex", "_wide.tex")]
    lines, protocol = frame(study["name"], found), evidence.about["protocol"]
    if protocol["said"]:
        lines = lines.assign(protocol=f"{protocol['name']} {protocol['version']}")
    lines.to_csv(paths[0], index=False, float_format="%.6g")
    paths[1].write_text(texts.markdown(study, table, note), encoding="utf-8")
    paths[2].write_text(latex.latex(study, table, note), encoding="utf-8")
    paths[3].write_text(latex.latex(study, table, note, wide=True), encoding="utf-8")
    return paths
