"""The background measures on tables small enough to work out by hand; a report gets the same from the CSV as from memory."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.evaluation.analysis.background_bias import background_gap, gap_closed, scene_following
from fame.evaluation.artifacts import write_table
from fame.evaluation.predictions import COLUMNS, FILE, metrics_from
from tests.painted import predicted

rightness = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


def gap_of(pairs: list[tuple[bool, bool]]) -> float:
    names = [f"p{index}" for index in range(len(pairs)) for _ in range(2)]
    return background_gap(names, ["own", "deranged"] * len(pairs), [value for pair in pairs for value in pair])


@settings(max_examples=40, deadline=None)
@given(rightness)
def test_gap_is_the_difference_of_the_two_accuracies_in_points(pairs):
    expected = 100 * (np.mean([own for own, _ in pairs]) - np.mean([deranged for _, deranged in pairs]))
    assert gap_of(pairs) == pytest.approx(expected)


def test_gap_is_paired_by_performance_and_nameless_videos_do_not_count():
    performance = ["a", "a", "a", "b", "b", "c", "", ""]
    condition = ["own", "deranged", "deranged", "own", "deranged", "own", "own", "deranged"]
    right = [True, False, True, True, False, True, True, True]
    assert background_gap(performance, condition, right) == pytest.approx((50 + 100) / 2)
    assert math.isnan(background_gap(["b"], ["own"], [True]))


def test_scene_following_counts_known_scenes_that_are_not_the_videos_own_action():
    scenes = [1, 2, None, 0]  # the third is unknown, the fourth is its own action's
    assert scene_following([1, 1, 2, 3], [0, 0, 0, 0], scenes) == 50
    assert math.isnan(scene_following([1], [0], [float("nan")]))
    assert math.isnan(scene_following([0], [0], [0]))


def test_gap_closed_is_positive_where_more_than_a_third_is_closed():
    assert gap_closed([30, 30, 30], [19, 20, 21]) == pytest.approx([1, 0, -1])
    with pytest.raises(ValueError, match="paired by replicate"):
        gap_closed([30, 30], [10])


def table() -> pd.DataFrame:
    """Two heads on two performances: `biased` follows the scene, `balanced` is always right."""
    lines = []
    for head in ("biased", "balanced"):
        for video, performance, condition, label, scene in (
            ("a", "p0", "own", 0, 0),
            ("b", "p1", "own", 1, 1),
            ("c", "p0", "deranged", 0, 1),
            ("d", "p1", "deranged", 1, 0),
            ("e", "", "val", 1, None),
            ("f", "p0", "neutral", 0, None),
        ):
            followed = scene if scene is not None else 0
            lines.append((video, performance, condition, head, label, label if head == "balanced" else followed, scene))
    return pd.DataFrame(lines, columns=COLUMNS).astype({"scene_action": "Int64"})


def test_metrics_of_both_heads_from_memory_and_from_the_csv(tmp_path):
    metrics = metrics_from(table())
    assert write_table(tmp_path, FILE, table()) == FILE and metrics_from(predicted(tmp_path)) == metrics
    assert metrics["top1"] == 100 and metrics["top1/deranged"] == 0 and metrics["background_gap"] == 100
    assert metrics["scene_following"] == 100 and metrics["val/top1"] == 0 and metrics["top1/neutral"] == 100
    assert metrics["balanced/top1/deranged"] == 100 and metrics["balanced/background_gap"] == 0
    assert metrics["balanced/scene_following"] == 0 and metrics["balanced/val/top1"] == 100
