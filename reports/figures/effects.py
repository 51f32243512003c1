"""The ablations as differences to their baseline: ours with its interval, the paper's as a hollow mark on another dataset."""

from pathlib import Path
from typing import Any

from reports.evidence import Evidence
from reports.figures.style import BAND, GRID, INK, MUTED, Drawn, canvas, save
from reports.gate import Gate, gate, hollow
from reports.tables import frame, on_papers_sets
from reports.texts import counted
from studies.findings.contrasts import Finding
from studies.paper.links import POINTS
from studies.paper.registry import declared

PANELS = 5


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw a panel a measure, a line a row of the table; None for a study that has a curve, or where nothing can be compared."""
    study = declared(name)
    if isinstance(study, Finding) and study.curve:
        return None
    told = [entry for entry in found if entry["difference"] and entry["cell"]]
    labels = _panels([entry for entry in told if entry["difference"]["mean"] is not None])
    told = [entry for entry in told if entry["label"] in labels]
    shown = [entry for entry in told if entry["difference"]["mean"] is not None]
    if not shown:
        return None
    rows = list(dict.fromkeys(_row(entry) for entry in told))
    doubtful = _shut(evidence, name)
    figure, axes = canvas(1, len(labels), 2.35 * len(labels) + 1.6, 0.34 * len(rows) + 1.15, sharex=True, sharey=True)
    for axis, label in zip(axes[0], labels, strict=True):
        axis.axvspan(-POINTS, POINTS, color=BAND, linewidth=0)
        axis.axvline(0, color=INK, linewidth=0.9)
        axis.grid(axis="x", color=GRID, linewidth=0.7)
        for entry in (entry for entry in told if entry["label"] == label):
            gap, height = entry["difference"], rows.index(_row(entry))
            if gap["mean"] is None:
                why = "no baseline" if entry["status"] == "done" else entry["status"]
                axis.text(
                    0.02,
                    height,
                    why,
                    transform=axis.get_yaxis_transform(),
                    va="center",
                    color=MUTED,
                    fontsize=7.5,
                )
                continue
            if gap["interval"]:
                axis.plot(gap["interval"], [height, height], color=INK, linewidth=1.8, solid_capstyle="round")
            face = "white" if (entry["row"], entry["column"]) in doubtful else INK
            axis.plot(gap["mean"], height, "o", color=INK, markerfacecolor=face, markersize=5)
            if gap["published"] is not None:
                axis.plot(gap["published"], height, "D", color=MUTED, markersize=5, markerfacecolor="white")
        axis.set_title(label.replace(" scenes, ", " scenes,\n"), loc="left")
        axis.set_xlabel(next(entry["kind"] for entry in shown if entry["label"] == label), fontsize=8, color=MUTED)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    bases = list(dict.fromkeys(base for *_, base in rows))
    names = [", ".join(filter(None, (row, column))) + (f" (vs {base})" if base != bases[0] else "") for row, column, base in rows]
    axes[0, 0].set_yticks(range(len(rows)), names)
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    many = counted(entry["difference"]["n"] for entry in shown)
    between = "\n" if len(labels) == 1 else " "  # one panel is narrower than the words
    figure.supxlabel(f"difference to the baseline, points{between}({many}; grey: the margin of ±{POINTS:g})", fontsize=9)
    over = {"replicates": "replicates (t)"}.get(shown[0]["difference"]["over"], "test videos of these runs, paired")
    caption = f"Difference to {', '.join(bases)}, ours with its 95 % interval over {over}, {many}; "
    caption += f"grey: the margin of ±{POINTS:g} points."
    if any(entry["difference"]["published"] is not None for entry in shown) and not on_papers_sets(evidence):
        caption += " Hollow diamonds: the paper's difference to its own baseline, on another dataset."
    caption += hollow(doubtful.values())
    left = dict.fromkeys(entry["label"] for entry in found if entry["difference"] and entry["label"] not in labels)
    caption += f" In the table only: {', '.join(left)}." if left else ""
    title = next(one["title"] for one in evidence.about["studies"] if one["name"] == name)
    return save(figure, folder, f"{name}_effects", f"{title}: effects", caption, frame(name, shown), name)


def _row(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["row"], entry["column"], entry["difference"]["to"]


def _shut(evidence: Evidence, name: str) -> dict[tuple[str, str], Gate]:
    """Return the gates that are not passed, by the rows of a finding that stand in their setting; none of the paper's studies."""
    study = declared(name)
    rows = study.rows if isinstance(study, Finding) else ()
    asked = {(row.label, row.column): gate(evidence, row.method.changes, len(evidence.replicates)) for row in rows if row.method}
    return {place: found for place, found in asked.items() if found.reason}


def _panels(shown: list[dict[str, Any]]) -> list[str]:
    """Return the measures that are drawn: accuracies and recalls, without the gap (it is two others' difference), the first few."""
    labels = dict.fromkeys(entry["label"] for entry in shown if entry["unit"] == "%")
    if len(labels) <= PANELS:
        return list(labels)
    return [label for label in labels if "R@" not in label or "R@1" in label.split()][:PANELS]
