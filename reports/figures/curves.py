"""The findings as curves over what they vary: background gap, gains in deranged scenes, and the masks where they are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isclose
from pathlib import Path
from typing import Any

from reports.evidence import Evidence
from reports.figures.style import BAND, GRID, INK, MUTED, Drawn, canvas, counted, lines_of, save
from reports.gate import Gate, Status, gate
from studies.findings.contrasts import Finding
from studies.paper.links import POINTS
from studies.paper.registry import declared
from studies.study import Study

FIELDS = ("panel", "line", "at", "mean", "low", "high", "over", "n", "gate")
GAP, SWAPPED, BALANCED = "background_gap", "top1/deranged", "balanced/top1/deranged"
Point = tuple[
    float, dict[str, Any], Gate | None
]  # place on the axis; mean, interval, over, n; the gate of its setting (masks: None)


@dataclass
class Panel:
    """One graph: its lines by name, each a number of points."""

    title: str
    zero: bool = False  # whether 0 means no difference
    lines: dict[str, list[Point]] = field(default_factory=dict)

    def add(self, line: str, at: float, found: dict[str, Any] | None, gate: Gate | None = None) -> None:
        points = self.lines.setdefault(line, [])
        if found and found["mean"] is not None and at not in [place for place, *_ in points]:
            points.append((at, found, gate))

    @property
    def drawn(self) -> dict[str, list[Point]]:
        return {name: sorted(points, key=lambda point: point[0]) for name, points in self.lines.items() if points}


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """A figure of a study that names an axis (`Finding.curve`) from its entries; None for others and where nothing is there yet.

    Points are hollow where their setting's gate is not passed: nothing is concluded from those.
    """
    study = declared(name)
    if not isinstance(study, Finding) or not study.curve:
        return None
    shown = [panel for panel in panels(evidence, study, found) if panel.drawn]
    if not shown:
        return None
    places = sorted({row.at for row in study.rows if row.at is not None})
    across = 2 if len(shown) == 4 else len(shown)
    down = -(-len(shown) // across)
    figure, axes = canvas(down, across, 3.3 * across + 0.4, 3.4 * down)
    lines: list[tuple] = []
    styles = lines_of(dict.fromkeys(name for panel in shown for name in panel.drawn))
    for axis, panel in zip(axes.flat, shown, strict=True):
        if panel.zero:
            axis.axhspan(-POINTS, POINTS, color=BAND, linewidth=0)
            axis.axhline(0, color=INK, linewidth=0.9)
        aside = beside(places, len(panel.drawn))
        for number, (label, points) in enumerate(panel.drawn.items()):
            colour = styles[label]["color"]
            means = [value["mean"] for _, value, _ in points]
            axis.plot([aside(at, number) for at, *_ in points], means, marker="o", **styles[label], markersize=4.5, label=label)
            for at, value, asked in points:
                low, high = value["interval"] or (None, None)
                if low is not None:
                    axis.plot([aside(at, number)] * 2, [low, high], color=colour, linewidth=1.4, alpha=0.6, solid_capstyle="round")
                if asked and asked.reason:
                    axis.plot(aside(at, number), value["mean"], "o", color=colour, markerfacecolor="white", markersize=4.5)
                status = asked.status if asked else ""
                lines.append((panel.title, label, at, value["mean"], low, high, value["over"], value["n"], status))
        if geometric(places):
            axis.set_xscale("log")
            axis.minorticks_off()
        axis.set_xlim(edges(places))
        narrowest = min(after - at for at, after in pairwise([*places, inf]))
        close = not geometric(places) and narrowest < 0.08 * (places[-1] - places[0])  # their labels would touch
        for at in set(places) - {at for points in panel.drawn.values() for at, *_ in points}:
            axis.text(
                at, 0.03, "not run", transform=axis.get_xaxis_transform(), rotation=90, ha="center", color=MUTED, fontsize=7.5
            )
        said = [f"{at:.3g}" for at in places]
        axis.set_xticks(places, [text.removeprefix("0") or "0" for text in said] if close else said)
        axis.set_title(panel.title, loc="left")
        axis.grid(color=GRID, linewidth=0.7)
    figure.supxlabel(study.curve, fontsize=9)
    told = {text: handle for axis in axes.flat for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    if len(told) > 1:  # one for all panels: long names beside a panel would squeeze it
        wide = max(len(text) for text in told) > 24
        figure.legend(told.values(), told, loc="outside upper left", ncols=2 if wide else 4, handlelength=1.6, columnspacing=1.2)
    over = "replicates (t)" if any(line[-3] == "replicates" for line in lines) else "test videos of these runs"
    caption = f"Over {study.curve}, with 95 % intervals over {over}, {counted(line[-2] for line in lines)}. "
    caption += f"Gains are paired with the baseline at the same setting; grey: the margin of ±{POINTS:g} points."
    shut = {
        (at, asked.status)
        for panel in shown
        for points in panel.drawn.values()
        for at, _, asked in points
        if asked and asked.reason
    }
    caption += hollow(shut)
    return save(figure, folder, f"{name}_curve", study.title, caption, FIELDS, lines, study=name)


def hollow(shut: set[tuple[float, Status]]) -> str:
    """A sentence on the places whose gate is not passed; "" where there is none."""
    if not shut:
        return ""
    said = ", ".join(f"{at:.3g} ({status})" for at, status in sorted(shut))
    return f" Hollow points: that the baseline learnt anything there is not shown (gate of 10 points over random init: {said})."


def panels(evidence: Evidence, study: Study, found: list[dict[str, Any]]) -> list[Panel]:
    """The gap of every method, in points; each one's gains in deranged scenes; the masks' measures, which no method changes."""
    rows = {(row.label, row.column): row for row in study.rows if not row.gate}
    planned = len(evidence.replicates)
    asked = {row.method.changes: gate(evidence, row.method.changes, planned) for row in rows.values() if row.method}
    gaps = Panel("background gap, points")
    gains = {
        SWAPPED: Panel("gain in deranged scenes, points", zero=True),
        BALANCED: Panel("gain, balanced head, points", zero=True),
    }
    masks = Panel("masks of these videos, shares")
    of_masks = {measure.label for measure in study.measures if measure.protocol == "masks"}
    for entry in found:
        row = rows.get((entry["row"], entry["column"]))
        if row is None or row.at is None or row.method is None:
            continue
        if entry["label"] in of_masks:
            masks.add(entry["label"], row.at, entry)
        elif entry["metric"] == GAP:
            gaps.add(row.label, row.at, entry, asked[row.method.changes])
        elif entry["metric"] in gains and entry["difference"]:
            gains[entry["metric"]].add(row.label, row.at, entry["difference"], asked[row.method.changes])
    return [gaps, *gains.values(), masks]


def beside(places: list[float], lines: int) -> Callable[[float, int], float]:
    """Where a line's point is drawn: a hundredth of the axis from the next line's, so that intervals do not hide one another."""
    logarithmic, span = geometric(places), places[-1] - places[0]

    def aside(at: float, line: int) -> float:
        step = 0.012 * (line - (lines - 1) / 2)
        return at * (places[-1] / places[0]) ** step if logarithmic else at + step * span

    return aside


def edges(places: list[float]) -> tuple[float, float]:
    """Of the axis, a little beyond the first and the last place, whether those have run or not."""
    low, high = places[0], places[-1]
    if geometric(places):
        return low * (low / high) ** 0.06, high * (high / low) ** 0.06
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def geometric(places: list[float]) -> bool:
    """Whether each place is the one before it times a common factor, so that equal steps need a logarithmic axis."""
    if len(places) < 3 or places[0] <= 0:
        return False
    ratios = [high / low for low, high in pairwise(places)]
    return all(isclose(ratio, ratios[0], rel_tol=0.01) for ratio in ratios)
