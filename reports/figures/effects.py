"""The ablations as differences to their baseline: ours with its interval, the paper's as a hollow mark on another dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports.evidence import Evidence
from reports.figures.style import BAND, GRID, INK, MUTED, Drawn, canvas, counted, save
from reports.gate import gate, shut
from reports.tables import on_papers_sets
from studies.findings.contrasts import Finding
from studies.paper.links import POINTS
from studies.paper.registry import declared
from studies.study import Study

PANELS = 5
ELSEWHERE = "not in this dataset"  # a cell's status
FIELDS = ("row", "column", "measure", "kind", "baseline", "difference", "low", "high", "over", "n", "published_difference")


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """A panel a measure, a line a row of the table; None for a study that has a curve, or where nothing can be compared yet."""
    study = declared(name)
    if isinstance(study, Finding) and study.curve:
        return None
    shown = [entry for entry in found if entry["difference"] and entry["difference"]["mean"] is not None]
    labels = _panels(shown)
    if not labels:
        return None
    told = [entry for entry in found if entry["difference"] and entry["label"] in labels and entry["status"] != ELSEWHERE]
    rows = list(dict.fromkeys((entry["row"], entry["column"], entry["difference"]["to"]) for entry in told))
    doubtful = _shut(evidence, study)
    figure, axes = canvas(1, len(labels), 2.35 * len(labels) + 1.6, 0.34 * len(rows) + 1.15, sharex=True, sharey=True)
    lines: list[tuple] = []
    for axis, label in zip(axes[0], labels, strict=True):
        axis.axvspan(-POINTS, POINTS, color=BAND, linewidth=0)
        axis.axvline(0, color=INK, linewidth=0.9)
        axis.grid(axis="x", color=GRID, linewidth=0.7)
        for entry in (entry for entry in shown if entry["label"] == label):
            gap = entry["difference"]
            height = rows.index((entry["row"], entry["column"], gap["to"]))
            low, high = gap["interval"] or (None, None)
            if low is not None:
                axis.plot([low, high], [height, height], color=INK, linewidth=1.8, solid_capstyle="round")
            face = "white" if (entry["row"], entry["column"]) in doubtful else INK
            axis.plot(gap["mean"], height, "o", color=INK, markerfacecolor=face, markersize=5)
            if gap["published"] is not None:
                axis.plot(
                    gap["published"], height, "D", markersize=5, markerfacecolor="white", markeredgecolor=MUTED, markeredgewidth=1.2
                )
            lines.append(
                (
                    entry["row"],
                    entry["column"],
                    label,
                    entry["kind"],
                    gap["to"],
                    gap["mean"],
                    low,
                    high,
                    gap["over"],
                    gap["n"],
                    gap["published"],
                )
            )
        for entry in (entry for entry in told if entry["label"] == label and entry["difference"]["mean"] is None):
            height = rows.index((entry["row"], entry["column"], entry["difference"]["to"]))
            why = "no baseline" if entry["status"] == "done" else entry["status"]
            axis.text(0.02, height, why, transform=axis.get_yaxis_transform(), va="center", color=MUTED, fontsize=7.5)
        kind = next(entry["kind"] for entry in shown if entry["label"] == label)
        axis.set_title(_broken(label), loc="left")
        axis.set_xlabel(kind, fontsize=8, color=MUTED)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    axes[0, 0].set_yticks(range(len(rows)), [_said(row, column, rows, base) for row, column, base in rows])
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    number = counted(entry["difference"]["n"] for entry in shown)
    between = "\n" if len(labels) == 1 else " "  # one panel is narrower than the words
    figure.supxlabel(f"difference to the baseline, points{between}({number}; grey: the margin of ±{POINTS:g})", fontsize=9)
    over = (
        "replicates (t)"
        if any(entry["difference"]["over"] == "replicates" for entry in shown)
        else "test videos of these runs, paired"
    )
    title = next(one["title"] for one in evidence.about["studies"] if one["name"] == name)
    bases = ", ".join(dict.fromkeys(entry["difference"]["to"] for entry in shown))
    hollow = any(line[-1] is not None for line in lines)
    caption = f"Difference to {bases}, ours with its 95 % interval over {over}, {number}; grey: the margin of ±{POINTS:g} points."
    caption += (
        " Hollow diamonds: the paper's difference to its own baseline, on another dataset."
        if hollow and not on_papers_sets(evidence)
        else ""
    )
    lacking = list(dict.fromkeys(why for place, why in doubtful.items() if place in {(row, column) for row, column, _ in rows}))
    caption += f" Hollow points: that the baseline there learnt anything is not shown ({'; '.join(lacking)})." if lacking else ""
    left = dict.fromkeys(entry["label"] for entry in shown if entry["label"] not in labels)
    caption += f" In the table only: {', '.join(left)}." if left else ""
    return save(figure, folder, f"{name}_effects", f"{title}: effects", caption, FIELDS, lines, study=name)


def _shut(evidence: Evidence, study: Study | None) -> dict[tuple[str, str], str]:
    """Rows of a finding whose setting's gate is not passed, with the reason in short; none of the paper's studies."""
    found = {}
    for row in study.rows if isinstance(study, Finding) else ():
        reasons = shut([gate(evidence, row.method.changes, len(evidence.replicates))]) if row.method else []
        if reasons:
            found[row.label, row.column] = reasons[0]
    return found


def _panels(shown: list[dict[str, Any]]) -> list[str]:
    """The measures that are drawn: accuracies and recalls, without the gap (it is two others' difference), the first few."""
    labels = dict.fromkeys(entry["label"] for entry in shown if entry["unit"] == "%")
    if len(labels) <= PANELS:
        return list(labels)
    kept = [label for label in labels if not any(f"R@{k}" in label for k in (5, 10, 20, 50))]
    return kept[:PANELS]


def _broken(label: str) -> str:
    return label.replace(" scenes, ", " scenes,\n")


def _said(row: str, column: str, rows: list[tuple[str, str, str]], base: str) -> str:
    """The row's label with its column where it has one, and the baseline where rows have different ones."""
    name = f"{row}, {column}" if column else row
    return (
        name
        if len({other for _, _, other in rows}) == 1 or not base.count("source")
        else f"{name} (vs {base.split(',')[0]} on source)"
    )
