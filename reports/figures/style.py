"""How all figures look, and how they are saved. Colours are Okabe and Ito's, which colour-blind readers tell apart."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt  # the backend comes first
from matplotlib.figure import Figure

INK, MUTED, GRID, BAND = "#1b1f24", "#6b7280", "#e5e7eb", "#dbe1e8"
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"
WINE, TEAL, OLIVE, INDIGO, BROWN = "#882255", "#2A7F73", "#7A7A00", "#332288", "#6B4C2A"
METHODS = (  # what a row's label or a method's text contains, and its colour in all figures
    ("empty", BROWN),
    ("still", TEAL),
    ("intra", WINE),
    ("gauss", SKY),
    ("seed", OLIVE),
    ("grid", INDIGO),
    ("true", INK),
    ("(fame |beta=)0.3", ORANGE),
    ("(fame |beta=)0.7", PURPLE),
    ("fame", VERMILION),
    ("baseline|contrastive|moco", BLUE),
    ("supervised", GREEN),
    ("random.init", MUTED),
)
OTHERS = (GREEN, SKY, WINE, TEAL, OLIVE, INDIGO, BROWN)
DASHES = ("-", "--", ":", "-.")
DPI = 300
RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
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
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,  # embedded TrueType, as venues ask
}


plt.rcParams.update(RC)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Drawn:
    """A figure on disk."""

    name: str
    title: str
    caption: str
    png: Path
    svg: Path
    pdf: Path
    csv: Path
    study: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        return self.png, self.svg, self.pdf, self.csv


def lines_of(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour and dashes of each method's line: its own colour everywhere; dashes tell apart what shares one."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        used = [style["color"] for style in found.values()]
        own = next((colour for pattern, colour in METHODS if re.search(pattern, name, re.IGNORECASE)), None)
        own = own or next((colour for colour in OTHERS if colour not in used), INK)
        found[name] = {"color": own, "linestyle": DASHES[used.count(own) % len(DASHES)]}
    return found


def counted(numbers: Iterable[int]) -> str:
    """n = 8, or n = 3 to 8 replicates."""
    found = sorted(set(numbers))
    return f"n = {found[0]}" + (f" to {found[-1]}" if len(found) > 1 else "")


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
    """name.png (300 dpi), name.svg, name.pdf, and name.csv with the numbers that were drawn, to 6 significant places."""
    png, svg, pdf, table = (folder / f"{name}.{suffix}" for suffix in ("png", "svg", "pdf", "csv"))
    figure.savefig(png, dpi=DPI, metadata={"Software": None})
    figure.set_layout_engine("none")  # laid out once; a second time would only cost
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    plt.close(figure)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(fields)
        writer.writerows([float(f"{one:.6g}") if isinstance(one, float) else one for one in line] for line in lines)
    return Drawn(name, title, caption, png, svg, pdf, table, **more)
