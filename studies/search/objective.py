"""What a search maximises, as named in Optuna: always on validation videos, never on test videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.study import Measure, recall_at, top1

if TYPE_CHECKING:
    import pandas

ENOUGH = 3  # replicates from which on they say themselves how much they differ
BALANCED, OWN = "val/balanced", "val"  # conditions of validation videos: any scene with any action, and as in training
Right = NDArray[np.bool_]  # a validation video each


@dataclass(frozen=True)
class Objective:
    """Declare an objective in percent: its name in Optuna, what it says, its measure, and the splits that it may be read on."""

    metric: str
    says: str
    measure: Measure
    splits: tuple[str, ...]
    file: str = "predictions.csv"


PROBE = top1("A", "probe")
NEAREST = "share of validation videos whose nearest training video is of their class, in balanced scenes where there are such"
OBJECTIVES = {
    "balanced": Objective("val/balanced/top1", "linear probe on validation videos in balanced scenes", PROBE, (BALANCED,)),
    "own": Objective("val/top1", "linear probe on validation videos", PROBE, (OWN,)),
    "deranged-val": Objective("val/deranged/top1", "linear probe on validation videos in deranged scenes", PROBE, (BALANCED,)),
    "retrieval": Objective("val/R@1", NEAREST, recall_at(1, "A"), (BALANCED, OWN), "retrieval.csv"),
}


def right(objective: Objective, table: pandas.DataFrame) -> Right:
    """Return which validation videos are right, from an evaluation's own table; empty where it has none of them."""
    split = next((split for split in objective.splits if (table["condition"] == split).any()), OWN)
    lines = table[table["condition"] == split]
    if "rank" in lines:
        return (lines["rank"] == 1).fillna(False).to_numpy(bool)
    lines = lines[lines["head"] == "biased"]
    if "deranged" in objective.metric:
        lines = lines[(lines["scene_action"] != lines["label"]).fillna(True)]
    return (lines["predicted"] == lines["label"]).to_numpy(bool)


@dataclass(frozen=True)
class Reading:
    """Hold a value in percent a replicate, their mean, and its standard error: over replicates, or over videos of up to two."""

    values: dict[int, float]
    error: float

    @property
    def mean(self) -> float:
        return fmean(self.values.values())


def read(objective: Objective, store: Store, stage: Stage, replicates: Sequence[int]) -> Reading | None:
    """Read the objective off finished runs; None where one is missing or has no such videos."""
    found = {number: store.table(stage.id, number, objective.file) for number in replicates}
    videos = {number: right(objective, table) for number, table in found.items() if table is not None}
    if len(videos) < len(replicates) or not all(map(len, videos.values())):
        return None
    values = {number: 100 * float(one.mean()) for number, one in videos.items()}
    if len(values) >= ENOUGH:
        return Reading(values, stdev(values.values()) / math.sqrt(len(values)))
    # a video more on either side: that all are right does not make it certain
    shares = {number: ((one.sum() + 1) / (one.size + 2), one.size) for number, one in videos.items()}
    return Reading(values, 100 * math.sqrt(sum(p * (1 - p) / n for p, n in shares.values())) / len(shares))
