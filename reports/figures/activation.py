"""Figure 1: class-agnostic activation maps over the same videos, plain contrast beside FAME and random initialisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reports.evidence import Evidence
from reports.figures import pictures
from reports.figures.style import INK, Drawn, canvas, save
from studies.paper.tables import ACTIVATION_MAPS

MOST = 6


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """A row of frames, then a row a method; None where no maps are there."""
    maps = pictures.by_row(evidence, ACTIVATION_MAPS.name, "maps.npz")
    if not maps:
        return None
    first = next(iter(maps.values()))
    frames = pictures.middle(first["frames"], 4)[:MOST]
    truth = pictures.middle(first["truth"], 3)[:MOST] if "truth" in first else None
    figure, axes = canvas(1 + len(maps), len(frames), 1.25 * len(frames) + 1.1, 1.25 * (1 + len(maps)) + 0.1)
    lines: list[tuple] = []
    for place, frame in enumerate(frames):
        pictures.show(axes[0, place], frame)
        for level, (name, arrays) in enumerate(maps.items(), start=1):
            heat = pictures.scaled(pictures.middle(arrays["maps"], 3)[place].astype(np.float32))
            pictures.show(axes[level, place], _grey(frame))
            axes[level, place].imshow(heat, cmap="inferno", alpha=0.5, vmin=0, vmax=1, extent=_extent(frame), interpolation="none")
            pictures.outline(axes[level, place], truth[place] if truth is not None else None)
            lines += [(name, place, y, x, value) for y, x, value in pictures.pixels(heat)]
    for level, name in enumerate(["frame", *maps]):
        axes[level, 0].set_ylabel(name.replace("vanilla ", "vanilla\n"), rotation=0, ha="right", va="center", color=INK)
    told = "The white line is the true figure. " if truth is not None else ""
    caption = (
        f"Where the features are active on the middle frame of test clips, dark to bright, each map scaled by itself. "
        f"{told}"
        "The examples are evenly spaced over the test videos, not chosen."
    )
    title = "Class-agnostic activation maps"
    return save(
        figure,
        folder,
        "activation_maps_figure1",
        title,
        caption,
        ("row", "example", "y", "x", "activation"),
        lines,
        study=ACTIVATION_MAPS.name,
    )


def _grey(frame: np.ndarray) -> np.ndarray:
    """The frame without colour, so that the map's colours can be read."""
    grey = frame.astype(np.float32).mean(axis=-1, keepdims=True)
    return np.repeat(grey, 3, axis=-1).astype(np.uint8)


def _extent(frame: np.ndarray) -> tuple[float, float, float, float]:
    return (-0.5, frame.shape[1] - 0.5, frame.shape[0] - 0.5, -0.5)
