"""The ablations as differences to their baseline: ours with its interval, the paper's as a hollow mark on another dataset."""

from pathlib import Path
from typing import Any

from reports.evidence import Evidence
from reports.figures.style import BAND, GRID, INK, MUTED, Drawn, canvas, colour_of, cut, save
from reports.gate import Gate, gate, hollow
from reports.tables import frame, on_papers_sets
from reports.texts import counted
from studies.findings.contrasts import Finding
from studies.paper.links import POINTS
from studies.paper.registry import declared

ACROSS = 4  # panels a line


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw a panel a measure, a line a row of the table; None for a study that has a curve, or where nothing can be compared."""
    study = declared(name)
    if isinstance(study, Finding) and study.curve:
        return None
    told = [entry for entry in found if entry["difference"] and entry["cell"] and entry["unit"]]
    shown = [entry for entry in told if entry["difference"]["mean"] is not None]
    if not shown:
        return None
    labels = list(dict.fromkeys(entry["label"] for entry in shown))
    rows = list(dict.fromkeys(_row(entry) for entry in told))
    colours = {(cell.row, cell.column): colour_of(cell.method) or INK for cell in evidence.records.table(name)}
    doubtful = _shut(evidence, name)
    high = -(-len(labels) // ACROSS)
    across = -(-len(labels) // high)
    figure, axes = canvas(high, across, 2.35 * across + 1.6, (0.3 * len(rows) + 0.75) * high + 0.5, sharex=True, sharey=True)
    for axis in axes.flat[len(labels) :]:
        axis.set_visible(False)
    for axis, label in zip(axes.flat, labels, strict=False):
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
            place = entry["row"], entry["column"]
            if gap["interval"]:
                axis.plot(gap["interval"], [height, height], color=colours[place], linewidth=1.8, solid_capstyle="round")
            face = "white" if place in doubtful else colours[place]
            axis.plot(gap["mean"], height, "o", color=colours[place], markerfacecolor=face, markersize=5)
            if gap["published"] is not None:
                axis.plot(gap["published"], height + 0.3, "D", color=MUTED, markersize=4.5, markerfacecolor="white")
        axis.set_title(cut(label, 32).replace(" scenes, ", " scenes,\n"), loc="left")
        drawn = [entry for entry in shown if entry["label"] == label]
        many = counted(entry["difference"]["n"] for entry in drawn)
        axis.set_xlabel(f"{drawn[0]['kind']}, {many}", fontsize=8, color=MUTED)
        axis.tick_params(labelbottom=True)  # also where panels stand below it
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    bases = list(dict.fromkeys(base for *_, base in rows))
    names = [", ".join(filter(None, (row, column))) + (f" (vs {base})" if base != bases[0] else "") for row, column, base in rows]
    axes[0, 0].set_yticks(range(len(rows)), [cut(name, 48) for name in names])
    axes[0, 0].set_ylim(len(rows) - 0.5, -0.5)
    between = "\n" if across == 1 else " "  # one panel is narrower than the words
    figure.supxlabel(f"difference to the baseline, points{between}(grey: the margin of ±{POINTS:g})", fontsize=9)
    over = {"replicates": "replicates (t)"}.get(shown[0]["difference"]["over"], "test videos of these runs, paired")
    caption = f"Difference to {', '.join(bases)}, ours with its 95 % interval over {over}; "
    caption += f"grey: the margin of ±{POINTS:g} points."
    if any(entry["difference"]["published"] is not None for entry in shown) and not on_papers_sets(evidence):
        caption += " Hollow diamonds: the paper's difference to its own baseline, on another dataset."
    caption += hollow(doubtful.values())
    title = next(one["title"] for one in evidence.about["studies"] if one["name"] == name)
    return save(figure, folder, f"{name}_effects", f"{title}: effects", caption, frame(name, shown), name)


def _row(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["row"], entry["column"], entry["difference"]["to"]


def _shut(evidence: Evidence, name: str) -> dict[tuple[str, str], Gate]:
    """Return the gates that are not passed, by the rows of a finding that stand in their world; none of the paper's studies."""
    study = declared(name)
    rows = study.rows if isinstance(study, Finding) else ()
    asked = {(row.label, row.column): gate(evidence, row.method.changes, evidence.shared) for row in rows if row.method}
    return {place: found for place, found in asked.items() if found.reason}
