"""Known answers, coverage on simulated data, and the rules of docs/rules.md."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from fame.evaluation.predictions import metrics_from
from fame.evaluation.retrieval import metrics_from as recalls
from reports.evidence import from_activation, from_predictions, from_ranks
from reports.statistics import (
    estimate,
    holm,
    judge_claim,
    judge_equality,
    judge_link,
    random_effects,
    sign_flip_p,
    t_interval,
    video_interval,
)


def test_t_interval_known_answer() -> None:
    """By hand: mean 5.48, sum of squares 0.868, so sd / sqrt(5) = sqrt(0.217 / 5) = 0.20833; t(0.975, 4) = 2.77645 from a table."""
    half = 2.77645 * 0.208327
    assert t_interval([5.1, 4.9, 5.6, 5.8, 6.0]) == pytest.approx((5.48 - half, 5.48 + half), abs=1e-4)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=8), st.floats(0.1, 5))
@example([0.0, 17.25], 0.1)
def test_targets_of_equal_errors_pool_to_the_t_interval_of_their_means(means: list[float], spread: float) -> None:
    found = random_effects([[mean - spread, mean, mean + spread] for mean in means])
    error = spread / 3**0.5
    assert found is not None and found.mean == pytest.approx(np.mean(means), abs=1e-6)
    between = float(np.std(means, ddof=1))
    half = stats.t.ppf(0.975, len(means) - 1) * max(between, error) / len(means) ** 0.5  # never below the targets' own errors
    assert found.interval == pytest.approx((found.mean - half, found.mean + half), abs=1e-3)
    assert found.tau**2 == pytest.approx(max(0, between**2 - error**2), abs=1e-3)


def test_targets_without_replicates_or_spread_are_not_pooled() -> None:
    assert random_effects([[1, 2, 3], [1, 2]]) is None
    assert random_effects([[1, 2, 3], [4, 4, 4]]) is None
    assert random_effects([[1, 2, 3]]) is None


def test_video_interval_known_answers() -> None:
    """Two performances give 0, 50 and 100 in a quarter, a half and a quarter of resamples; 30 right of 100 a binomial share."""
    assert video_interval([np.array([0.0, 100.0])]) == (0.0, 100.0)
    assert video_interval([np.array([0.0, 100.0])], level=0.4) == (50.0, 50.0)
    low, high = video_interval([100.0 * (np.arange(100) < 30)]) or (0, 0)
    assert (low, high) == pytest.approx(stats.binom.ppf([0.025, 0.975], 100, 0.3), abs=1)  # 21 and 39 of 100
    runs = [100.0 * (np.arange(100) < right) for right in (30, 50)]  # each resampled by itself
    low, high = video_interval(runs) or (0, 0)
    half = 1.96 * np.sqrt(0.3 * 0.7 + 0.5 * 0.5) / 2 * 10
    assert (low, high) == pytest.approx((40 - half, 40 + half), abs=0.7)


def test_performances_are_resampled_not_their_videos() -> None:
    """Five videos of each performance, all right or all wrong, tell no more than one of each: else the interval is too narrow."""
    right = np.random.default_rng(4).random(40) < 0.6
    lines = [(f"{i}-{k}", f"p{i}", "own", "biased", 0, 0 if right[i] else 1, 0) for i in range(40) for k in range(5)]
    frame = pd.DataFrame(lines, columns=["video", "performance", "condition", "head", "label", "predicted", "scene_action"])
    sample = from_predictions(frame, "top1")
    assert sample is not None and len(sample) == 40
    low, high = video_interval([sample.to_numpy()]) or (0, 0)
    apart = video_interval([np.repeat(100.0 * right, 5)]) or (0, 0)
    assert (high - low) / (apart[1] - apart[0]) == pytest.approx(np.sqrt(5), rel=0.1)
    maps = from_activation(frame.assign(auroc=0.7), "auroc")
    assert maps is not None and len(maps) == len(from_ranks(frame.assign(rank=1), "R@1")) == 40
    alone = from_predictions(frame.assign(performance=""), "top1")  # real videos: nothing is known of who performs
    assert alone is not None and len(alone) == 200


def test_a_gap_is_resampled_with_both_scenes_of_a_performance() -> None:
    """Right in both scenes or in none: whichever performances are drawn, the gap is 0, though the accuracies are uncertain."""
    lines = [(f"{c}{i}", f"p{i}", c, "biased", 0, i % 2, 1) for c in ("own", "deranged") for i in range(40)]
    lines[0] = (*lines[0][:5], 1, 1)  # p0 is wrong in its own scene only
    frame = pd.DataFrame(lines, columns=["video", "performance", "condition", "head", "label", "predicted", "scene_action"])
    gap, own = (from_predictions(frame, name) for name in ("background_gap", "top1"))
    assert gap is not None and own is not None and gap.mean() == pytest.approx(-2.5)
    low, high = video_interval([gap.to_numpy()]) or (0, 0)
    wide = video_interval([own.to_numpy()]) or (0, 0)
    assert high == 0 and high - low <= 10 and wide[1] - wide[0] > 25


def test_video_interval_is_the_same_every_time_and_none_where_nothing_varies() -> None:
    values = np.random.default_rng(2).random(50)
    assert video_interval([values]) == video_interval([values])
    assert video_interval([np.zeros(50)]) is None and video_interval([np.ones(1)]) is None and video_interval([]) is None


def test_two_replicates_speak_of_their_videos_three_of_the_method() -> None:
    runs = [np.random.default_rng(i).random(40) for i in range(3)]
    means = [float(values.mean()) for values in runs]
    assert estimate(means[:2], runs[:2]).over == "videos" and estimate(means, runs).over == "replicates"
    assert estimate(means, runs).interval == t_interval(means)
    assert estimate([]).n == 0 and estimate([1.0]).interval is None


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([5.0, 6.0, 7.0], "supported"),
        ([-5.0, -6.0, -7.0], "refuted"),
        ([0.1, -0.1, 0.0, 0.05], "refuted"),  # nothing above the margin of 2 points
        ([6.0, -5.0, 4.0], "inconclusive"),
        ([9.0, 9.0], "inconclusive"),  # two replicates never decide
        ([9.0], "inconclusive"),
        ([], "not run"),
    ],
)
def test_link(differences: list[float], verdict: str) -> None:
    assert judge_link(differences, 2.0).verdict == verdict


def test_a_sure_but_small_gain_is_supported_and_flagged() -> None:
    found = judge_link([0.5, 0.6, 0.55, 0.5], 2.0)
    assert found.verdict == "supported" and found.no_gain


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=12), st.floats(0.01, 5))
def test_a_link_is_decided_by_its_interval_alone(differences: list[float], margin: float) -> None:
    found, (low, high) = judge_link(differences, margin), t_interval(differences)
    assert (found.verdict == "supported") == (low > 0)
    assert (found.verdict == "refuted") == (low <= 0 and high < margin)
    if found.verdict == "refuted":
        assert found.p_refuted <= 0.025 + 1e-9


def test_sign_flip_known_answers() -> None:
    """By hand: 3, 2, -1 sum to 4; of +-3 +-2 +-1 four in eight are as far from 0 (6, 4, -4, -6)."""
    assert sign_flip_p([3.0, 2.0, -1.0]) == sign_flip_p([-3.0, -2.0, 1.0]) == pytest.approx(0.5)
    assert sign_flip_p([1.0, 2.0, -3.0]) == sign_flip_p([0.0, 0.0]) == 1.0
    assert sign_flip_p([1.0]) is None and sign_flip_p([]) is None
    for n in (2, 6, 10, 12):
        assert sign_flip_p([1.0 + i for i in range(n)]) == pytest.approx(2 / 2**n)


def test_sign_flip_of_darwins_maize() -> None:
    """Fisher (The Design of Experiments, 21) counted 2 x 863 of the 32768 patterns of 15 differences; above 12 they are sampled."""
    maize = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sign_flip_p(maize) == pytest.approx(2 * 863 / 32768, abs=0.012) and sign_flip_p(maize) == sign_flip_p(maize)


def test_the_sign_flip_is_carried_and_does_not_decide() -> None:
    for found in (judge_link([5.0, 6.0, 7.0], 2.0), judge_equality([0.1, 0.2, 0.15], 2.0)):
        assert found.verdict == "supported" and found.p_sign_flip == pytest.approx(0.25)  # the smallest of three replicates
    assert judge_equality([0.1, 0.2, 0.3], None).p_sign_flip == pytest.approx(0.25)
    assert judge_link([5.0, 6.0], 2.0).p_sign_flip is None  # no verdict, nothing beside it


def test_holm_known_answer() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_claim_is_a_conjunction() -> None:
    good, bad, wide = [5.0, 6.0, 7.0], [-9.0, -9.1, -9.2], [9.0, -8.0, 1.0]
    judged = {name: judge_link(values, 2.0) for name, values in {"good": good, "bad": bad, "wide": wide, "none": []}.items()}
    assert judge_claim([judged["good"], judged["good"]]) == "reproduced"
    assert judge_claim([judged["good"], judged["bad"]]) == "not reproduced"
    assert judge_claim([judged["good"], judged["wide"]]) == "inconclusive"
    assert judge_claim([judged["good"], judged["none"]]) == "inconclusive"
    assert judge_claim([judged["none"], judged["none"]]) == "not run"


def test_holm_keeps_one_barely_refuted_link_of_many_from_deciding() -> None:
    barely = judge_link([-1.0, 0.0, 1.0, -0.6, 0.4, 1.3, -1.5, -0.2], 0.9)
    assert barely.verdict == "refuted" and 0.0025 < barely.p_refuted < 0.025
    good = judge_link([5.0, 6.0, 7.0], 2.0)
    assert judge_claim([barely]) == "not reproduced"
    assert judge_claim([barely, *[judge_link([9.0, -8.0, 1.0], 2.0)] * 9, good]) == "inconclusive"


def test_equality_by_two_one_sided_tests() -> None:
    close, far, wide = [0.2, -0.1, 0.1, 0.0], [5.0, 5.1, 4.9, 5.0], [3.0, -3.0, 2.0, -1.0]
    assert judge_equality(close, 2.0).verdict == "supported"
    assert judge_equality(far, 2.0).verdict == judge_equality([-x for x in far], 2.0).verdict == "refuted"
    assert judge_equality(far, 2.0).p_refuted < 0.001
    assert judge_equality(wide, 2.0).verdict == "inconclusive"
    assert judge_equality([2.6, 3.4, 3.1, 2.9], 0.01).verdict == "refuted"
    assert judge_equality(close, None).verdict == "inconclusive"


def test_per_performance_values_average_to_the_reported_metrics() -> None:
    random = np.random.default_rng(5)
    lines = [
        (f"{c}/{i}.mp4", f"p{i}", c, head, i % 4, int(random.integers(4)), {"own": i % 4, "deranged": (i + 1) % 4}.get(c))
        for head in ("biased", "balanced")
        for c in ("own", "deranged", "neutral")
        for i in range(40)
    ]
    frame = pd.DataFrame(lines, columns=["video", "performance", "condition", "head", "label", "predicted", "scene_action"])
    frame = frame.astype({"scene_action": "Int64"})
    metrics = metrics_from(frame)
    assert {"top1", "top1/deranged", "background_gap", "scene_following", "balanced/top1/deranged"} <= set(metrics)
    for name, value in metrics.items():
        sample = from_predictions(frame, name)
        assert sample is not None and sample.mean() == pytest.approx(value), name
    assert from_predictions(frame, "val/top1") is None or from_predictions(frame, "val/top1").empty  # type: ignore[union-attr]
    assert from_predictions(frame, "loss") is None


def test_recall_from_ranks_counts_a_missing_class_as_a_miss() -> None:
    frame = pd.DataFrame({"video": list("abcd"), "performance": [None] * 4, "condition": "own", "label": 0})
    frame["rank"] = pd.array([1, 3, None, 7], dtype="Int64")
    for name, value in recalls(frame, (1, 5, 10), 100).items():
        assert from_ranks(frame, name).mean() == pytest.approx(value), name
