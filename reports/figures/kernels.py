"""Figure 3: violins of the temporal (1-D) kernels' weights, layer by layer."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d

from reports.evidence import Evidence
from reports.figures.pictures import by_row
from reports.figures.style import GRID, MUTED, Drawn, canvas, lines_of, save
from studies.paper.tables import LAYERS, TEMPORAL_KERNELS

TAIL = 0.005  # of the weights, left out of the picture at either end
BINS = 60


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """Draw a panel a layer, a violin a method; None where no weights are there."""
    weights = by_row(evidence, TEMPORAL_KERNELS.name, "weights.npz")
    layers = [layer for layer in LAYERS if all(layer in arrays for arrays in weights.values())]
    if not weights or not layers:
        return None
    figure, axes = canvas(1, len(layers), 2.3 * len(layers) + 0.4, 3.1, sharey=True)
    lines: list[tuple] = []
    styles = lines_of(weights)
    for axis, layer in zip(axes[0], layers, strict=True):
        for place, (name, arrays) in enumerate(weights.items()):
            values = arrays[layer].astype(np.float64)
            centres, density = outline(values)
            colour, spread = styles[name]["color"], float(values.std())
            half = 0.42 * density / density.max()
            axis.fill_betweenx(centres, place - half, place + half, color=colour, alpha=0.55, linewidth=0)
            low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
            axis.plot([place, place], [low, high], color=colour, linewidth=3.2, solid_capstyle="butt")
            axis.plot(place, median, "o", color="white", markersize=3, markeredgecolor=colour)
            axis.text(
                place,
                1.0,
                f"{spread:.3f}",
                transform=axis.get_xaxis_transform(),
                ha="center",
                va="top",
                fontsize=7.5,
            )
            lines += [(layer, name, *point, spread) for point in zip(centres, density, strict=True)]
        axis.set_title(layer, loc="left", pad=10)
        axis.set_xticks(range(len(weights)), list(weights), rotation=35, ha="right")
        axis.axhline(0, color=MUTED, linewidth=0.6)
        axis.grid(axis="y", color=GRID, linewidth=0.7)
    axes[0, 0].set_ylabel("weight")
    caption = (
        "Weights of the temporal kernels per layer, first replicate; the bar spans the quartiles, the dot is the median, the outer "
        "0.5 % are cut; above each its spread, the standard deviation. "
        "Batch norm makes the scale of raw weights free, so what is judged is the share of energy that varies in time."
    )
    table = pd.DataFrame(lines, columns=["layer", "method", "weight", "density", "standard_deviation"])
    title = "Weights of the temporal kernels"
    return save(figure, folder, "temporal_kernels_figure3", title, caption, table, TEMPORAL_KERNELS.name)


def outline(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bin centres, and a smoothed density there."""
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    density, edges = np.histogram(values, bins=BINS, range=(low, high) if low < high else (low - 1e-6, high + 1e-6), density=True)
    return (edges[1:] + edges[:-1]) / 2, gaussian_filter1d(density, 1.6, mode="nearest")
