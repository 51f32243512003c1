"""FAME minus Seed on real video, a row a sequence, still and moving cameras apart: what claim C11 is about, at a glance."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from benchmarks.real_sequences import differences
from reports.figures.style import BLUE, DPI, GRID, INK, MUTED, VERMILION, plt
from reports.statistics import estimate
from studies.paper.links import Camera

PANELS = (
    ("recall_still", "true masks: recall on\npixels that do not move"),
    ("recall_lift", "true masks:\nrecall lift"),
    ("box_recall_lift", "actor boxes:\nrecall lift of the box"),
)
COLOURS = {"still": BLUE, "moving": VERMILION, "all": INK}
FIELDS = ("measure", "camera", "sequence", "difference", "low", "high", "n")
Row = tuple[str, str, str, float, float | None, float | None, int]


def rows(sequences: pd.DataFrame, measure: str) -> list[Row]:
    """Each camera class with its sequences, ordered, then its mean; the mean over all cameras last. No interval under three."""
    found: list[Row] = []
    cameras: tuple[Camera, ...] = ("still", "moving", "all")
    for camera in cameras:
        values = differences(sequences, measure, camera)
        if not values:
            continue
        if camera != "all":
            found += [(measure, camera, name, value, None, None, 1) for name, value in sorted(values.items(), key=lambda v: v[1])]
        mean = estimate(list(values.values()))
        low, high = mean.interval or (None, None)
        found.append((measure, camera, "mean", float(mean.mean or 0.0), low, high, mean.n))
    return found


def draw(sequences: pd.DataFrame, folder: Path) -> None:
    """differences.png, and differences.csv with the numbers drawn."""
    panels = [(title, rows(sequences, measure)) for measure, title in PANELS]
    panels = [(title, some) for title, some in panels if some]
    tallest = max(len(some) for _, some in panels)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.6 * len(panels), 0.2 * tallest + 1.3), squeeze=False, layout="constrained"
    )
    for axis, (title, some) in zip(axes[0], panels, strict=True):
        axis.axvline(0, color=INK, linewidth=0.9)
        axis.grid(axis="x", color=GRID, linewidth=0.7)
        for height, (_, camera, name, value, low, high, _) in enumerate(some):
            if low is not None:
                axis.plot([low, high], [height, height], color=COLOURS[camera], linewidth=2, solid_capstyle="round")
            mean = name == "mean"
            axis.plot(
                value, height, "D" if mean else "o", color=COLOURS[camera], markersize=6 if mean else 4, alpha=1 if mean else 0.6
            )
            if mean and camera != "all":
                axis.axhline(height + 0.5, color=MUTED, linewidth=0.5)
        axis.set_yticks(range(len(some)), [_said(row) for row in some], fontsize=7)
        axis.set_ylim(len(some) - 0.3, -0.7)
        axis.set_title(title, loc="left")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    figure.supxlabel(
        "FAME − Seed, beta 0.5, 112 px; diamonds: means over sequences with 95 % t interval (from three on)", fontsize=8.5
    )
    figure.savefig(folder / "differences.png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    with (folder / "differences.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        digits = [[round(cell, 5) if isinstance(cell, float) else cell for cell in row] for _, some in panels for row in some]
        writer.writerows(digits)


def _said(row: Row) -> str:
    _, camera, name, _, _, _, n = row
    cameras = "all cameras" if camera == "all" else f"{camera} cameras"
    return f"{cameras}, mean (n = {n})" if name == "mean" else name
