"""Figure 3: violins of the temporal (1-D) kernels' weights, layer by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reports.evidence import Evidence
from reports.figures import pictures
from reports.figures.style import GRID, MUTED, Drawn, canvas, lines_of, save
from studies.paper.tables import LAYERS, TEMPORAL_KERNELS

TAIL = 0.005  # of the weights, left out of the picture at either end
BINS = 60


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """A panel a layer, a violin a method; None where no weights are there."""
    weights = pictures.by_row(evidence, TEMPORAL_KERNELS.name, "weights.npz")
    layers = [layer for layer in LAYERS if any(layer in arrays for arrays in weights.values())]
    if not layers:
        return None
    figure, axes = canvas(1, len(layers), 2.3 * len(layers) + 0.4, 3.1, sharey=True)
    lines: list[tuple] = []
    styles = lines_of(weights)
    for axis, layer in zip(axes[0], layers, strict=True):
        for place, (name, arrays) in enumerate(weights.items()):
            if layer not in arrays:
                continue
            values = arrays[layer].astype(np.float64)
            centres, density, quartiles = outline(values)
            colour = styles[name]["color"]
            half = 0.42 * density / max(density.max(), 1e-12)
            axis.fill_betweenx(centres, place - half, place + half, color=colour, alpha=0.55, linewidth=0)
            axis.plot([place, place], [quartiles[0], quartiles[2]], color=colour, linewidth=3.2, solid_capstyle="butt")
            axis.plot(place, quartiles[1], "o", color="white", markersize=3, markeredgecolor=colour)
            axis.text(place, 1.0, f"{values.std():.3f}", transform=axis.get_xaxis_transform(), ha="center", va="top", fontsize=7.5)
            lines += [
                (layer, name, round(float(c), 6), round(float(d), 6), round(float(values.std()), 6))
                for c, d in zip(centres, density, strict=True)
            ]
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
    fields = ("layer", "method", "weight", "density", "standard_deviation")
    return save(
        figure,
        folder,
        "temporal_kernels_figure3",
        "Weights of the temporal kernels",
        caption,
        fields,
        lines,
        study=TEMPORAL_KERNELS.name,
    )


def outline(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin centres, a smoothed density there, and the quartiles of the values."""
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    if low == high:
        low, high = low - 1e-6, high + 1e-6
    density, edges = np.histogram(values, bins=BINS, range=(low, high), density=True)
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.6) ** 2)
    smooth = np.convolve(np.pad(density, 4, mode="edge"), kernel / kernel.sum(), mode="valid")
    return (edges[1:] + edges[:-1]) / 2, smooth, np.quantile(values, [0.25, 0.5, 0.75])
