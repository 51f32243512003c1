"""How all figures look, and how they are saved. Colours are Okabe and Ito's, which colour-blind readers tell apart."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # the backend comes first
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1b1f24", "#6b7280", "#e5e7eb"
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"
METHODS = {
    "supervised": GREEN,
    "contrastive": BLUE,
    "vanilla contrastive": BLUE,
    "FAME": VERMILION,
    "random init": MUTED,
}
DPI = 150
RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "fame",  # the same file from the same numbers
    "svg.fonttype": "path",
}


plt.rcParams.update(RC)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Drawn:
    """A figure on disk. `vector`: shown from the svg on the page; pictures are shown from the png."""

    name: str
    title: str
    caption: str
    png: Path
    svg: Path
    csv: Path
    vector: bool = True
    study: str = ""


def canvas(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, Any]:
    """A figure of width x height inches and its axes as an array (rows, columns)."""
    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options)


def save(
    figure: Figure,
    folder: Path,
    name: str,
    title: str,
    caption: str,
    fields: Sequence[str],
    lines: Iterable[Sequence[Any]],
    **more: Any,
) -> Drawn:
    """name.png (150 dpi), name.svg, and name.csv with the numbers that were drawn."""
    png, svg, table = (folder / f"{name}.{suffix}" for suffix in ("png", "svg", "csv"))
    figure.savefig(png, dpi=DPI, metadata={"Software": None})
    figure.set_layout_engine("none")  # laid out once; a second time would only cost
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(fields)
        writer.writerows(lines)
    return Drawn(name, title, caption, png, svg, table, **more)
