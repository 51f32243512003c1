"""Figure 3: violins of the temporal (1-D) kernels' weights, layer by layer, with what claim C7 judges: their spread and energy."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from reports.evidence import Evidence
from reports.figures.pictures import arrays, files
from reports.figures.style import GRID, INK, MUTED, Drawn, canvas, colour_of, save
from reports.texts import counted
from studies.paper.tables import LAYERS, TEMPORAL_KERNELS

TAIL = 0.005  # of the weights, left out of the picture at either end
BINS = 60
METHODS = {row.method.text for row in TEMPORAL_KERNELS.rows if row.method}


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw the weights of all replicates as violins, a panel a layer, over the shares of energy; None without weights.

    Of another study than figure 3's only rows of figure 3's methods.
    """
    own = name == TEMPORAL_KERNELS.name
    cells = {
        cell.row: cell for cell in evidence.records.table(name) if cell.evaluation == "kernels" and (own or cell.method in METHODS)
    }
    measured = {row: evidence.records.runs(cell.method, cell.evaluation, cell.target) for row, cell in cells.items()}
    kept = {row: paths for row, paths in files(evidence, name, "weights.npz").items() if row in cells}
    weights = {row: [arrays(path) for path in paths.values()] for row, paths in kept.items()}
    layers = [layer for layer in LAYERS if all(layer in run for runs in weights.values() for run in runs)]
    if not weights or not layers:
        return None
    size = (2.4 * len(layers) + 0.4, 5.2)
    figure, axes = canvas(2, len(layers), *size, sharex=True, sharey="row", height_ratios=[1.6, 1])
    lines: list[tuple] = []
    for above, below, layer in zip(*axes, layers, strict=True):
        for place, (row, runs) in enumerate(weights.items()):
            colour = colour_of(cells[row].method) or INK
            centres, density = outline(np.concatenate([run[layer] for run in runs]).astype(np.float64))
            half = 0.42 * density / density.max()
            above.fill_betweenx(centres, place - half, place + half, color=colour, alpha=0.55, linewidth=0)
            lines += [(layer, row, "density", *point, np.nan, np.nan) for point in zip(centres, density, strict=True)]
            for axis, quantity in ((above, "spread"), (below, "energy")):
                shown = evidence.estimate(measured[row], f"{quantity}/{layer}")
                mean = float(shown.mean or 0.0)
                low, high = shown.interval or (mean, mean)
                lines.append((layer, row, quantity, np.nan, mean, *(shown.interval or (np.nan, np.nan))))
                for sign in (1, -1) if axis is above else (1,):
                    axis.hlines(sign * mean, place - 0.3, place + 0.3, color=INK if axis is above else colour, linewidth=1.4)
                    axis.fill_between([place - 0.3, place + 0.3], sign * low, sign * high, color=colour, alpha=0.45, linewidth=0)
                half_width = f"\n±{(high - low) / 2:.3f}" if shown.interval else ""
                centred = {"transform": axis.get_xaxis_transform(), "ha": "center", "va": "top", "fontsize": 7.5}
                axis.text(place, 1.0, f"{mean:.3f}{half_width}", **centred)
        above.set_title(layer, loc="left", pad=8)
        above.axhline(0, color=MUTED, linewidth=0.6)
        below.set_xticks(range(len(weights)), list(weights), rotation=35, ha="right")
        for axis in (above, below):
            axis.grid(axis="y", color=GRID, linewidth=0.7)
            axis.set_ymargin(0.25)
    axes[0, 0].set_ylabel("weight")
    axes[1, 0].set_ylabel("share of energy\nvarying in time")
    many = counted(len(runs) for runs in weights.values())
    caption = (
        f"Above: weights of the temporal kernels per layer, of all replicates ({many}), the outer 0.5 % cut; the lines mark their "
        "spread, ± the standard deviation, printed with half its 95 % interval over replicates. Below: the share of energy that "
        "varies in time, which is judged as the mechanism, since batch norm makes the scale of raw weights free."
    )
    table = pd.DataFrame(lines, columns=["layer", "method", "quantity", "weight", "value", "low", "high"])
    title = "Weights of the temporal kernels"
    return save(figure, folder, f"{name}_figure3", title, caption, table, name)


def outline(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bin centres, and a smoothed density there."""
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    density, edges = np.histogram(values, bins=BINS, range=(low, high) if low < high else (low - 1e-6, high + 1e-6), density=True)
    return (edges[1:] + edges[:-1]) / 2, gaussian_filter1d(density, 1.6, mode="nearest")
