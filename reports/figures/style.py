"""How all figures look, and how they are saved. Colours are Okabe and Ito's, which colour-blind readers tell apart."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rcParams
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from reports.sheets import write_csv

INK, MUTED, GRID, BAND = "#1b1f24", "#6b7280", "#e5e7eb", "#dbe1e8"
BLUE, SKY, GREEN, PURPLE, VERMILION, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#F0E442"
WINE, TEAL, OLIVE, INDIGO, BROWN = "#882255", "#2A7F73", "#7A7A00", "#332288", "#6B4C2A"
BETAS = LinearSegmentedColormap.from_list(
    "beta", [(0, "#A89C00"), (0.3, "#C98A00"), (0.5, VERMILION), (0.7, "#8C2D04"), (1, "#4A1500")]
)
METHODS = (  # what a method's text contains, and its colour in all figures; FAME by its beta
    ("'empty'", BROWN),
    ("'still'", TEAL),
    ("'inpainted'", SKY),
    ("'intra'", WINE),
    ("'gauss'", PURPLE),
    ("'seed'", OLIVE),
    ("'grid'", INDIGO),
    ("'true'", INK),
    ("^moco", BLUE),
    ("^supervised", GREEN),
    ("^random_init", MUTED),
)
OTHERS = (GREEN, PURPLE, WINE, TEAL, OLIVE, INDIGO, BROWN)
DASHES = ("-", "--", ":", "-.")
DPI = 300
RC: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.parse_math": False,  # a class or a row may be called $x$
    "svg.hashsalt": "fame",  # the same file from the same numbers
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,  # embedded TrueType, as venues ask
}

rcParams.update(RC)  # type: ignore[arg-type]
warnings.filterwarnings("ignore", "Glyph .* missing")  # the svg keeps the text, and a browser has a font for it


@dataclass(frozen=True)
class Drawn:
    """Hold a figure on disk."""

    name: str
    title: str
    caption: str
    files: tuple[Path, ...]  # png, svg, pdf, and csv where numbers were drawn
    study: str = ""


def colour_of(method: str) -> str | None:
    """Return the colour of a method (`Method.text`) in all figures; None where it has none of its own."""
    own = next((colour for pattern, colour in METHODS if re.search(pattern, method)), None)
    if own or not method.startswith("fame"):
        return own
    beta = re.search(r"beta=([\d.]+)", method)
    return to_hex(BETAS(float(beta[1]) if beta else 0.5))


def lines_of(methods: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return colour and dashes of each line, given the texts of their methods by label; dashes tell apart what shares a colour."""
    found: dict[str, dict[str, str]] = {}
    for label, method in methods.items():
        used = [style["color"] for style in found.values()]
        own = colour_of(method) or next((colour for colour in OTHERS if colour not in used), INK)
        found[label] = {"color": own, "linestyle": DASHES[used.count(own) % len(DASHES)]}
    return found


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters; the page and the csv have it whole."""
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def canvas(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of width x height inches and its axes as an array (rows, columns)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(
    figure: Figure,
    folder: Path,
    name: str,
    title: str,
    caption: str,
    table: pd.DataFrame | None = None,
    study: str = "",
) -> Drawn:
    """Write name.png (300 dpi), name.svg, name.pdf, and name.csv with the numbers that were drawn, to 6 significant places."""
    png, svg, pdf, csv = (folder / f"{name}.{suffix}" for suffix in ("png", "svg", "pdf", "csv"))
    figure.savefig(png, dpi=DPI, metadata={"Software": None})
    figure.set_layout_engine("none")  # laid out once; a second time would only cost
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    if table is None:
        return Drawn(name, title, caption, (png, svg, pdf), study)
    write_csv(table, csv)
    return Drawn(name, title, caption, (png, svg, pdf, csv), study)
