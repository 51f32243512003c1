"""Figures 1 and 4: frames of test clips under activation maps, and under the Gauss, Seed, Grid and FAME masks."""

from pathlib import Path
from typing import Any

import numpy as np

from fame.config import MASKS
from reports.evidence import Evidence
from reports.figures.style import INK, YELLOW, Drawn, canvas, save
from studies.paper.tables import ACTIVATION_MAPS, MASK_QUALITY

MOST = 4
DIMMED = 0.18  # brightness of what the mask drops

Arrays = dict[str, np.ndarray]


def draw_maps(evidence: Evidence, folder: Path) -> Drawn | None:
    """Draw a row of frames, then a row a method; None where no maps are there."""
    maps = by_row(evidence, ACTIVATION_MAPS.name, "maps.npz")
    if not maps:
        return None
    first = next(iter(maps.values()))
    frames = _middle(first["frames"])
    figure, axes = canvas(1 + len(maps), len(frames), 1.25 * len(frames) + 1.1, 1.25 * (1 + len(maps)) + 0.1)
    for place, frame in enumerate(frames):
        _show(axes[0, place], frame)
        height, width = frame.shape[:2]
        for axis, arrays in zip(axes[1:, place], maps.values(), strict=True):
            _show(axis, frame.mean(axis=-1), cmap="gray", vmin=0, vmax=255)
            heat = _middle(arrays["maps"])[place].astype(np.float32)
            _show(axis, heat, cmap="inferno", alpha=0.5, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
            if "truth" in first:
                _outline(axis, _middle(first["truth"])[place], "white")
    for axis, name in zip(axes[:, 0], ["frame", *maps], strict=True):
        axis.set_ylabel(name.replace("vanilla ", "vanilla\n"), rotation=0, ha="right", va="center", color=INK)
    caption = "Where the features are active on the middle frame of test clips, dark to bright, each map scaled by itself. "
    caption += "The white line is the true figure. " if "truth" in first else ""
    caption += "The examples are evenly spaced over the test videos, not chosen."
    return save(
        figure,
        folder,
        "activation_maps_figure1",
        "Class-agnostic activation maps",
        caption,
        study=ACTIVATION_MAPS.name,
    )


def draw_masks(evidence: Evidence, folder: Path) -> Drawn | None:
    """Draw a row an example: the frame, then what each mask keeps of it; None where no masks are there."""
    arrays = next(iter(by_row(evidence, MASK_QUALITY.name, "masks.npz").values()), None)
    if arrays is None:
        return None
    frames = arrays["frames"][:MOST]
    variants = {key: name for key, name in MASKS.items() if key in arrays}
    figure, axes = canvas(len(frames), 1 + len(variants), 1.5 * (1 + len(variants)), 1.5 * len(frames) + 0.25)
    for place, frame in enumerate(frames):
        _show(axes[place, 0], frame)
        for axis, key in zip(axes[place, 1:], variants, strict=True):
            kept = DIMMED + (1 - DIMMED) * arrays[key][place, :, :, None].clip(0, 1)
            _show(axis, (frame * kept).astype(np.uint8))
            if "truth" in arrays:
                _outline(axis, arrays["truth"][place], YELLOW)
    for axis, name in zip(axes[0], ["frame", *variants.values()], strict=True):
        axis.set_title(name)
    caption = "What each mask keeps at beta 0.5, the rest darkened; one mask a clip, here over its middle frame."
    caption += " The yellow line is the true figure in that frame." if "truth" in arrays else ""
    return save(figure, folder, "mask_quality_figure4", "Foreground masks", caption, study=MASK_QUALITY.name)


def by_row(evidence: Evidence, study: str, name: str) -> dict[str, Arrays]:
    """Return the arrays in file `name` of each row of a study, of the first replicate that has them; without others."""
    found: dict[str, Arrays] = {}
    for cell in evidence.records.table(study):
        runs = evidence.records.runs(cell.method, cell.evaluation, cell.target)
        there = [number for number in evidence.replicates if runs and evidence.result(runs.id, number)]
        paths = [evidence.store.folder(runs.id, number) / name for number in there if runs]
        path = next((path for path in paths if path.exists()), None)
        if path and cell.row not in found:
            with np.load(path, allow_pickle=False) as file:
                found[cell.row] = {key: file[key] for key in file.files}
    return found


def _middle(values: np.ndarray) -> np.ndarray:
    """Return the middle frame of clips (N, T, ...)."""
    return values[:, values.shape[1] // 2]


def _show(axis: Any, picture: np.ndarray, **options: Any) -> None:
    axis.imshow(picture, interpolation="none", **options)
    axis.set(xticks=[], yticks=[], frame_on=False)


def _outline(axis: Any, truth: np.ndarray, colour: str) -> None:
    """Draw the true figure's edge, where it is in the picture."""
    if truth.any() and not truth.all():
        axis.contour(truth.astype(float), levels=[0.5], colors=[colour], linewidths=0.9)
