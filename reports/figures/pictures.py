"""Figures 1 and 4: frames of test clips under activation maps, and under the Gauss, Seed, Grid and FAME masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from scipy.stats import mannwhitneyu

from fame.config import MASKS
from reports.evidence import Evidence
from reports.figures.style import INK, MUTED, YELLOW, Drawn, canvas, save
from reports.texts import counted, interval, number
from studies.paper.tables import ACTIVATION_MAPS, MASK_QUALITY

CLIPS, FRAMES = 3, 3  # of figure 1
MOST = 4  # clips of figure 4
SHOWN_BETA, SHOWN_FLAVOUR = 0.5, "paper"  # of the masks that runs keep
DIMMED = 0.18  # brightness of what the mask drops
HEAT = ListedColormap(np.column_stack([colormaps["inferno"](np.linspace(0.15, 1, 256))[:, :3], np.linspace(0, 0.75, 256)]))

Arrays = dict[str, np.ndarray]


def draw_maps(evidence: Evidence, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw a row of frames, then a row a method, several frames of each clip; None where no maps are there."""
    kept = files(evidence, ACTIVATION_MAPS.name, "maps.npz")
    if not kept:
        return None
    replicate = next(iter(next(iter(kept.values()))))  # one for all rows, as each has videos of its own
    maps = {row: arrays(paths[replicate]) for row, paths in kept.items() if replicate in paths}
    first = next(iter(maps.values()))
    videos = first["videos"]
    clips = varied([class_of(video) for video in videos], CLIPS)
    times = np.linspace(0, first["frames"].shape[1] - 1, FRAMES).round().astype(int)
    places = [(clip, time) for clip in clips for time in times]
    wide, high = len(places) + len(clips) - 1, 1 + len(maps)  # an empty column between clips
    ratios = [0.15 if column % (FRAMES + 1) == FRAMES else 1 for column in range(wide)]
    figure, axes = canvas(high, wide, 1.05 * len(places) + 2.2, 1.25 * high, width_ratios=ratios)
    for axis in axes[:, FRAMES :: FRAMES + 1].flat:
        axis.set_visible(False)
    lines: list[tuple] = []
    for column, (clip, time) in zip((one for one in range(wide) if ratios[one] == 1), places, strict=True):
        frame = first["frames"][clip, time]
        show(axes[0, column], frame)
        if time == times[0]:
            axes[0, column].set_title(class_of(videos[clip]), loc="left")
        for axis, (name, of_row) in zip(axes[1:, column], maps.items(), strict=True):
            heat = of_row["maps"][clip, time].astype(np.float32)
            show(axis, frame.mean(axis=-1), cmap="gray")
            show(axis, heat, cmap=HEAT, vmin=0, vmax=1)
            truth = of_row["truth"][clip, time] if "truth" in of_row else np.zeros(heat.shape, bool)
            if truth.any() and not truth.all():
                _outline(axis, truth, "white")
                above = mannwhitneyu(heat[truth], heat[~truth]).statistic / (truth.sum() * (~truth).sum())
                axis.set_xlabel(f"{above:.2f}", fontsize=7.5, labelpad=2)
                lines.append((name, videos[clip], time, above))
    means = {entry["row"]: entry for entry in found if entry["metric"] == "auroc" and entry["mean"] is not None}
    for axis, name in zip(axes[:, 0], ["frame", *maps], strict=True):
        text = name.replace("vanilla ", "vanilla\n")
        if name in means:
            text += f"\nAUROC {number(means[name]['mean'], 3)}\n{interval(means[name]['interval'], 3)}"
        axis.set_ylabel(text, rotation=0, ha="right", va="center", color=INK)
    bar = figure.colorbar(ScalarMappable(cmap=HEAT), ax=axes[1:], fraction=0.02, pad=0.01)
    bar.set_label("activation, share of\nthe clip's largest", fontsize=8)
    bar.ax.set_facecolor(MUTED)
    caption = f"Where the features are active, in {FRAMES} frames of {len(clips)} test clips of replicate {replicate}, on one "
    caption += "scale. "
    if lines:
        many = counted(entry["n"] for entry in means.values())
        caption += "The white line is the true figure, the number under a map its AUROC against it (0.5: chance), at the left the "
        caption += f"mean over all measured clips with its 95 % interval ({many}). "
    caption += "Maps are enlarged from few cells. Clips are the first of different classes among evenly spaced ones, not chosen."
    table = pd.DataFrame(lines, columns=["method", "video", "frame", "auroc"])
    title = "Class-agnostic activation maps"
    return save(figure, folder, "activation_maps_figure1", title, caption, table, ACTIVATION_MAPS.name)


def draw_masks(evidence: Evidence, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw a row an example: the frame, then what each mask keeps of it; None where no masks are there."""
    rows = files(evidence, MASK_QUALITY.name, "masks.npz")
    if not rows:
        return None
    path = next(iter(next(iter(rows.values())).values()))
    kept, quality = arrays(path), pd.read_csv(path.with_name("mask_quality.csv"))
    quality = quality[np.isclose(quality["beta"], SHOWN_BETA) & quality["flavour"].isin([SHOWN_FLAVOUR])]
    measured = quality.assign(recall=quality["recall_lift"] * (1 - quality["area"]) + quality["area"])
    measured = measured[measured["video"].isin(kept["videos"])].set_index(["video", "variant"])[["recall", "iou"]]
    clips = varied([class_of(video) for video in kept["videos"]], MOST)
    variants = {key: name for key, name in MASKS.items() if key in kept}
    figure, axes = canvas(len(clips), 1 + len(variants), 1.5 * (1 + len(variants)), 1.7 * len(clips) + 0.25)
    for line, clip in zip(axes, clips, strict=True):
        frame = kept["frames"][clip]
        show(line[0], frame)
        for axis, key in zip(line[1:], variants, strict=True):
            bright = DIMMED + (1 - DIMMED) * kept[key][clip, :, :, None].clip(0, 1)
            show(axis, (frame * bright).astype(np.uint8))
            if "truth" in kept:
                _outline(axis, kept["truth"][clip], YELLOW)
            if (place := (kept["videos"][clip], key)) in measured.index:
                axis.set_xlabel("recall {:.2f}, IoU {:.2f}".format(*measured.loc[place]), fontsize=7.5, labelpad=2)
    for axis, name in zip(axes[0], ["frame", *variants.values()], strict=True):
        axis.set_title(name)
    caption = f"What each mask keeps at beta {SHOWN_BETA}, the rest darkened; one mask a clip, here over its middle frame."
    if len(measured):
        caption += " The yellow line is the true figure in that frame; recall and IoU are against the figure in any frame of the"
        caption += " clip, as one mask serves all, with the Gaussian cut at beta."
    return save(figure, folder, "mask_quality_figure4", "Foreground masks", caption, measured.reset_index(), MASK_QUALITY.name)


def varied(classes: Sequence[str], count: int) -> list[int]:
    """Return the places of at most `count` videos, in order, by their classes: the first of each, then the first others."""
    new = sorted(range(len(classes)), key=lambda place: classes[place] in classes[:place])
    return sorted(new[:count])


def class_of(video: str) -> str:
    """Return the folder that a video lies in, which names its class; "" without one."""
    return Path(video).parent.name


def files(evidence: Evidence, study: str, name: str) -> dict[str, dict[int, Path]]:
    """Return file `name` of each row by finished replicate; without rows that have none."""
    found: dict[str, dict[int, Path]] = {}
    for cell in evidence.records.table(study):
        for replicate in evidence.replicates if cell.stages else ():
            stage = cell.stages.split()[0]
            path = evidence.store.folder(stage, replicate) / name
            if evidence.result(stage, replicate) and path.exists():
                found.setdefault(cell.row, {})[replicate] = path
    return found


def arrays(path: Path) -> Arrays:
    """Read what a run kept for pictures."""
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def show(axis: Any, picture: np.ndarray, **options: Any) -> None:
    """Draw a picture pixel by pixel, without axes."""
    axis.imshow(picture, interpolation="none", **options)
    axis.set(xticks=[], yticks=[], frame_on=False)


def _outline(axis: Any, truth: np.ndarray, colour: str) -> None:
    """Draw the true figure's edge, where it is in the picture."""
    if truth.any() and not truth.all():
        axis.contour(truth.astype(float), levels=[0.5], colors=[colour], linewidths=0.9)
