"""Figure 4: frames under the Gauss, Seed, Grid and FAME masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fame.config import MASKS
from reports.evidence import Evidence
from reports.figures import pictures
from reports.figures.style import YELLOW, Drawn, canvas, save
from studies.paper.tables import MASK_QUALITY

MOST = 4
DIMMED = 0.18  # brightness of what the mask drops


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """A row an example: the frame, then what each mask keeps of it; None where no masks are there."""
    arrays = next(iter(pictures.by_row(evidence, MASK_QUALITY.name, "masks.npz").values()), None)
    if arrays is None:
        return None
    frames = pictures.middle(arrays["frames"], 4)
    frames = frames[:MOST]
    truth = pictures.middle(arrays["truth"], 3)[:MOST] if "truth" in arrays else None
    variants = {key: name for key, name in MASKS.items() if key in arrays}
    figure, axes = canvas(len(frames), 1 + len(variants), 1.5 * (1 + len(variants)), 1.5 * len(frames) + 0.25)
    lines: list[tuple] = []
    for place, frame in enumerate(frames):
        pictures.show(axes[place, 0], frame)
        for column, (key, name) in enumerate(variants.items(), start=1):
            mask = pictures.middle(arrays[key], 3)[place].astype(np.float32)
            kept = frame * (DIMMED + (1 - DIMMED) * mask[..., None])
            pictures.show(axes[place, column], np.clip(kept, 0, 255).astype(np.uint8))
            pictures.outline(axes[place, column], truth[place] if truth is not None else None, YELLOW)
            lines += [(place, name, y, x, value) for y, x, value in pictures.pixels(mask)]
    for column, name in enumerate(["frame", *variants.values()]):
        axes[0, column].set_title(name)
    told = " The yellow line is the true figure in that frame." if truth is not None else ""
    caption = f"What each mask keeps at beta 0.5, the rest darkened; one mask a clip, here over its middle frame.{told}"
    return save(
        figure,
        folder,
        "mask_quality_figure4",
        "Foreground masks",
        caption,
        ("example", "mask", "y", "x", "kept"),
        lines,
        study=MASK_QUALITY.name,
    )
