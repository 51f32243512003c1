"""Measure how much a classifier leans on the background.

A *performance* is one rendering of a figure's motion, shown in its own scene (`own`) and in one that is never its own (`deranged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

CLOSED = 1 / 3  # the share of the baseline's gap that a method has to close


def background_gap(performance: Iterable[Any], condition: Iterable[Any], right: Iterable[Any]) -> float:
    """Return the mean over pairs of [right in the own scene - right in a deranged one], in points (-100..100); NaN without any."""
    frame = pd.DataFrame(
        {
            "performance": list(performance),
            "condition": list(condition),
            "right": [float(value) for value in right],
        }
    )
    frame = frame[frame["performance"].fillna("").ne("") & frame["condition"].isin(["own", "deranged"])]
    table = frame.pivot_table(index="performance", columns="condition", values="right", aggfunc="mean")
    pairs = table.reindex(columns=["own", "deranged"]).dropna()
    return float(100 * (pairs["own"] - pairs["deranged"]).mean()) if len(pairs) else float("nan")


def scene_following(predicted: Iterable[Any], label: Iterable[Any], scene_action: Iterable[Any]) -> float:
    """Return the percentage of deranged videos called by their scene's action, if known and not their own; NaN without any."""
    frame = pd.DataFrame(
        {
            "predicted": list(predicted),
            "label": list(label),
            "scene": pd.array(list(scene_action), dtype="Float64"),
        }
    )
    frame = frame[frame["scene"].notna() & (frame["scene"] != frame["label"])]
    return float(100 * (frame["predicted"] == frame["scene"]).mean()) if len(frame) else float("nan")


def gap_closed(baseline: Sequence[float], method: Sequence[float], share: float = CLOSED) -> np.ndarray:
    """Return one contrast per replicate, above 0 where more than `share` of the gap is closed. ValueError where lengths differ."""
    base, other = np.asarray(baseline, dtype=float), np.asarray(method, dtype=float)
    if base.shape != other.shape:
        raise ValueError(f"{base.size} gaps of the baseline and {other.size} of the method: they are paired by replicate")
    return (1 - share) * base - other
