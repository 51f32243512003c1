"""What figures 1 and 4 share: arrays of a run's npz, a frame out of a clip, an outline of the truth, a map over a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from reports.evidence import Evidence
from studies.records import Runs

LONGEST = 48  # pixels a side of a map in the csv; larger ones are thinned


def by_row(evidence: Evidence, study: str, name: str) -> dict[str, dict[str, np.ndarray]]:
    """The arrays in file `name` of each row of a study, by its label; rows without such a file are left out."""
    rows = {cell.row: evidence.records.runs(cell.method, cell.evaluation, cell.target) for cell in evidence.records.table(study)}
    found = {label: arrays(evidence, runs, name) for label, runs in rows.items()}
    return {label: values for label, values in found.items() if values is not None}


def arrays(evidence: Evidence, runs: Runs | None, name: str) -> dict[str, np.ndarray] | None:
    """The arrays of the first replicate that has such a file."""
    for replicate in evidence.replicates if runs else ():
        assert runs is not None
        path = evidence.store.folder(runs.id, replicate) / name
        if evidence.result(runs.id, replicate) and path.exists():
            with np.load(path, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
    return None


def middle(values: np.ndarray, picture: int) -> np.ndarray:
    """(N, T, ...) -> (N, ...), the middle frame; unchanged where there is no time axis. `picture` is the rank without time."""
    return values[:, values.shape[1] // 2] if values.ndim > picture else values


def show(axis: Any, frame: np.ndarray) -> None:
    axis.imshow(frame, interpolation="none")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def outline(axis: Any, truth: np.ndarray | None, colour: str = "white") -> None:
    """The true figure's edge, where it is known and in the picture."""
    if truth is not None and truth.any() and not truth.all():
        axis.contour(truth.astype(float), levels=[0.5], colors=[colour], linewidths=0.9)


def scaled(values: np.ndarray) -> np.ndarray:
    """To 0..1 by its own least and largest value; a flat map becomes 0."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def pixels(values: np.ndarray) -> list[tuple[int, int, float]]:
    """(y, x, value) of a map, thinned to at most LONGEST a side."""
    step = max(1, -(-max(values.shape) // LONGEST))
    return [(y, x, round(float(values[y, x]), 4)) for y in range(0, values.shape[0], step) for x in range(0, values.shape[1], step)]
