"""The findings as curves over what they vary: background gap, gains in deranged scenes, and the masks where they are measured."""

from itertools import pairwise
from math import isclose, nan
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.transforms import ScaledTranslation

from reports.evidence import Evidence
from reports.figures.style import BAND, GRID, INK, MUTED, Drawn, canvas, lines_of, save
from reports.gate import Gate, gate, hollow
from reports.texts import counted
from studies.findings.contrasts import Finding
from studies.paper.links import POINTS
from studies.paper.registry import declared
from studies.study import Changes

LEVELS, MASKS = "background gap, points", "masks of these videos, shares"
GAINS = {
    "top1/deranged": "gain in deranged scenes, points",
    "balanced/top1/deranged": "gain, balanced head, points",
}
PANELS = (LEVELS, *GAINS.values(), MASKS)
FIELDS = ["panel", "line", "at", "mean", "low", "high", "over", "n", "gate"]


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw a study that names an axis, hollow points where a gate is not passed; None for others and where nothing has run."""
    study = declared(name)
    if not isinstance(study, Finding) or not study.curve:
        return None
    asked = gates_of(evidence, study)
    table = points(study, found, asked)
    if table.empty:
        return None
    places = sorted({row.at for row in study.rows if row.at is not None})
    panels = [panel for panel in PANELS if panel in set(table["panel"])]
    across = 2 if len(panels) == 4 else len(panels)
    figure, axes = canvas(-(-len(panels) // across), across, 3.3 * across + 0.4, 3.4 * -(-len(panels) // across))
    methods = {row.label: row.method.text for row in study.rows if row.method}
    variants = {measure.label: f"fame(variant={measure.metric.split('/')[0]!r})" for measure in study.measures}
    drawn = list(dict.fromkeys(table["line"]))
    styles = {
        **lines_of({line: methods[line] for line in drawn if line in methods}),
        **lines_of({line: variants[line] for line in drawn if line not in methods}),
    }
    gains = [axis for axis, panel in zip(axes.flat, panels, strict=True) if panel in GAINS.values()]
    for axis in gains[1:]:
        axis.sharey(gains[0])
    for axis, panel in zip(axes.flat, panels, strict=True):
        shown = table[table["panel"] == panel]
        if axis in gains:
            axis.axhspan(-POINTS, POINTS, color=BAND, linewidth=0)
            axis.axhline(0, color=INK, linewidth=0.9)
        for number, (label, line) in enumerate(shown.groupby("line", sort=False)):
            style = styles[str(label)]
            # beside the other lines' points, so that intervals do not hide one another
            aside = axis.transData + ScaledTranslation(0.03 * number, 0, figure.dpi_scale_trans)
            axis.plot(line["at"], line["mean"], "o", **style, markersize=4.5, label=label, transform=aside)
            axis.vlines(
                line["at"],
                line["low"],
                line["high"],
                color=style["color"],
                linewidth=1.4,
                alpha=0.6,
                transform=aside,
            )
            shut = line[~line["gate"].isin(["", "passed", "not asked"])]
            white = {"color": style["color"], "markerfacecolor": "white", "markersize": 4.5}
            axis.plot(shut["at"], shut["mean"], "o", **white, transform=aside)
        if geometric(places):
            axis.set_xscale("log")
            axis.minorticks_off()
        axis.plot(shown["at"], shown[["mean", "low", "high"]], alpha=0)  # what is drawn aside has no part in the axes' limits
        axis.plot(places, [shown["mean"].iloc[0]] * len(places), alpha=0)  # nor what has not run
        for at in set(places) - set(shown["at"]):
            middle = {"transform": axis.get_xaxis_transform(), "ha": "center"}
            axis.text(at, 0.03, "not run", rotation=90, color=MUTED, fontsize=7.5, **middle)
        axis.set_xticks(places, [f"{at:.3g}".removeprefix("0") or "0" for at in places])
        title, unit = panel.rsplit(", ", 1)
        axis.set_title(title, loc="left")
        axis.set_ylabel(unit)
        axis.grid(color=GRID, linewidth=0.7)
        axis.set_xlabel(study.curve)
    for masks in (False, True):
        handles = [
            axis.get_legend_handles_labels() for axis, panel in zip(axes.flat, panels, strict=True) if (panel == MASKS) == masks
        ]
        told = {text: line for lines, texts in handles for line, text in zip(lines, texts, strict=True)}
        if len(told) > 1:  # one for all panels of methods: long names beside a panel would squeeze it
            wide = masks or any(len(text) > 24 for text in told)
            figure.legend(
                told.values(),
                told,
                loc="outside lower right" if masks else "outside upper left",
                ncols=2 if wide else 4,
                handlelength=2.6,
                columnspacing=1.2,
            )
    over = "replicates (t)" if "replicates" in set(table["over"]) else "test videos of these runs"
    caption = f"Over {study.curve}, with 95 % intervals over {over}, {counted(table['n'])}. "
    caption += f"Gains are paired with the baseline at the same setting; grey: the margin of ±{POINTS:g} points."
    caption += hollow(asked.values())
    return save(figure, folder, f"{name}_curve", study.title, caption, table, name)


def gates_of(evidence: Evidence, study: Finding) -> dict[Changes, Gate]:
    """Return the gate of the world of every setting of a study's rows."""
    settings = dict.fromkeys(row.method.changes for row in study.rows if row.method and not row.gate)
    return {changes: gate(evidence, changes, evidence.shared) for changes in settings}


def points(study: Finding, found: list[dict[str, Any]], asked: dict[Changes, Gate]) -> pd.DataFrame:
    """Return the gap of every method, in points; each one's gains in deranged scenes; the masks' measures, of any method."""
    rows = {(row.label, row.column): row for row in study.rows if not row.gate}
    masks = {measure.label for measure in study.measures if measure.protocol == "masks"}
    lines = []
    for entry in found:
        row = rows.get((entry["row"], entry["column"]))
        if row is None or row.at is None or row.method is None:
            continue
        told, line, gated = entry, row.label, str(asked[row.method.changes].status)
        if entry["label"] in masks:
            panel, line, gated = MASKS, entry["label"], ""
        elif entry["metric"] in GAINS:
            panel, told = GAINS[entry["metric"]], entry["difference"]
        elif entry["metric"] == "background_gap":
            panel = LEVELS
        else:
            continue
        if told and told["mean"] is not None:
            low, high = told["interval"] or (nan, nan)
            lines.append((panel, line, row.at, told["mean"], low, high, told["over"], told["n"], gated))
    table = pd.DataFrame(lines, columns=FIELDS).drop_duplicates(["panel", "line", "at"])
    return table.sort_values(["panel", "line", "at"], key=lambda column: column if column.name == "at" else pd.factorize(column)[0])


def geometric(places: list[float]) -> bool:
    """Return whether each place is the one before it times a common factor, so that equal steps need a logarithmic axis."""
    if len(places) < 3 or places[0] <= 0:
        return False
    ratios = [high / low for low, high in pairwise(places)]
    return all(isclose(ratio, ratios[0], rel_tol=0.01) for ratio in ratios)
