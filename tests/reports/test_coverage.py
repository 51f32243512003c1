"""Intervals cover and verdicts are false as often as reports/statistics.py says, on simulated replicates with known truth.

The noise of a simulated share is part of each bound: three standard deviations of a binomial share of ROUNDS draws.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from reports.power import detectable
from reports.statistics import LinkResult, estimate, judge_claim, judge_equality, judge_link, t_interval

ROUNDS = 4000
MARGIN = 2.0  # points
SD = 4.0  # points, of a difference over replicates

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


@pytest.fixture(autouse=True)
def without_sign_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    """They decide nothing, and cost more than all the rest."""
    monkeypatch.setattr("reports.statistics.sign_flip_p", lambda differences: None)


def normal(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return random.normal(0, SD, shape)


def skewed(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Gamma with shape 16: skewness 0.5."""
    return SD / 4 * (random.gamma(16, size=shape) - 16)


def accuracies(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Of 200 videos in points: in steps of half a point, at 90 % skewed to the left."""
    return random.binomial(200, 0.9, shape) / 2 - 90


def drawn(seed: int, n: int, truth: float = 0.0, draw: Draw = normal, rounds: int = ROUNDS) -> np.ndarray:
    """(rounds, n) differences whose true mean is `truth`."""
    return truth + draw(np.random.default_rng(seed), (rounds, n))


def at_most(stated: float, rounds: int = ROUNDS) -> float:
    return stated + 3 * float(np.sqrt(stated * (1 - stated) / rounds))


def share(verdicts: Sequence[str], verdict: str) -> float:
    return sum(found == verdict for found in verdicts) / len(verdicts)


def links(differences: np.ndarray) -> list[str]:
    """The verdict of each round."""
    return [judge_link(row, MARGIN).verdict for row in differences]


def claims(differences: np.ndarray, judge: Callable[[np.ndarray], LinkResult]) -> list[str]:
    """The verdict of each round on all its links; (rounds, links, n)."""
    return [judge_claim([judge(row) for row in rows]) for rows in differences]


def sharing(seed: int, truths: Sequence[float], n: int, rounds: int = 1000) -> np.ndarray:
    """(rounds, links, n): several methods, each minus one baseline, whose noise they all share."""
    random = np.random.default_rng(seed)
    methods = random.normal(0, SD / np.sqrt(2), (rounds, len(truths), n))
    return methods - random.normal(0, SD / np.sqrt(2), (rounds, 1, n)) + np.asarray(truths)[:, None]


# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize("n", [6, 10])
@pytest.mark.parametrize("draw", [normal, skewed, accuracies])
def test_t_intervals_cover_in_93_to_97_of_100(n: int, draw: Draw) -> None:
    intervals = np.array([t_interval(row) for row in drawn(n, n, 7.0, draw)])
    assert 0.93 <= ((intervals[:, 0] <= 7.0) & (intervals[:, 1] >= 7.0)).mean() <= 0.97


@pytest.mark.parametrize("n", [6, 10])
def test_skewness_moves_errors_from_one_side_to_the_other(n: int) -> None:
    """The numbers that reports/statistics.py gives: with a long tail upwards, intervals lie too low more often than too high."""
    intervals = np.array([t_interval(row) for row in drawn(n, n, 0.0, skewed, 20_000)])
    too_low, too_high = (intervals[:, 1] < 0).mean(), (intervals[:, 0] > 0).mean()
    assert too_low == pytest.approx(0.038, abs=0.005) and too_high == pytest.approx(0.016, abs=0.003)


def test_intervals_over_videos_cover_for_two_paired_runs() -> None:
    """Two replicates of 200 performances: the interval speaks of these runs, whose true means differ."""
    random, inside = np.random.default_rng(20), 0
    for _ in range(400):
        runs = [100.0 * (random.random(200) < level) - 100.0 * (random.random(200) < 0.3) for level in (0.4, 0.5)]
        found = estimate([run.mean() for run in runs], runs).interval
        assert found is not None
        inside += found[0] <= 15 <= found[1]
    assert 0.93 <= inside / 400 <= 0.97


# ---------------------------------------------------------------- one link


@pytest.mark.parametrize(("verdict", "bound", "further"), [("supported", 0.0, -3.0), ("refuted", MARGIN, MARGIN + 3)])
@pytest.mark.parametrize("n", [3, 6, 10])
def test_nothing_is_supported_or_refuted_by_chance(n: int, verdict: str, bound: float, further: float) -> None:
    at_bound = share(links(drawn(30 + n, n, bound)), verdict)
    assert 0.018 <= at_bound <= at_most(0.025)  # neither more often than stated nor by a rule that never decides
    assert share(links(drawn(40 + n, n, further)), verdict) <= at_bound


@pytest.mark.parametrize("delta", [0.2, 1.0, 3.0, 12.0])
@pytest.mark.parametrize("n", [3, 6, 10])
def test_equality_is_neither_supported_nor_refuted_by_chance(n: int, delta: float) -> None:
    """A delta that is small beside the error too: there both tails of the interval can refute."""
    for sign in (1, -1):
        found = [judge_equality(row, delta).verdict for row in drawn(70 + n, n, sign * delta, rounds=3000)]
        assert share(found, "supported") <= at_most(0.05, 3000)
        assert share(found, "refuted") <= at_most(0.025, 3000)
    if delta == 12.0:  # wide enough beside the error that the bounds are reached
        assert share(found, "supported") >= 0.035 and share(found, "refuted") >= 0.015


# ---------------------------------------------------------------- claims


@pytest.mark.parametrize("false", [0.0, -1.0])
@pytest.mark.parametrize("n", [6, 10])
def test_a_claim_with_one_false_link_is_not_reproduced_by_chance(n: int, false: float) -> None:
    found = claims(sharing(80 + n, (12.0, 12.0, false), n), lambda row: judge_link(row, MARGIN))
    assert share(found, "reproduced") <= at_most(0.025, len(found))


@pytest.mark.parametrize("truths", [(MARGIN,) * 6, (MARGIN,) * 3 + (12.0,) * 3, (MARGIN,)])
@pytest.mark.parametrize("n", [6, 10])
def test_a_true_claim_is_not_refuted_by_chance(n: int, truths: tuple[float, ...]) -> None:
    together = sharing(90 + n, truths, n)
    apart = drawn(95 + n, n * len(truths), MARGIN, rounds=1000).reshape(1000, len(truths), n)
    for differences in (together, apart):
        found = claims(differences, lambda row: judge_link(row, MARGIN))
        assert share(found, "not reproduced") <= at_most(0.025, len(found))


@pytest.mark.parametrize("delta", [0.2, 3.0])
def test_equality_of_several_is_not_refuted_by_chance(delta: float) -> None:
    found = claims(sharing(100, (delta, -delta, 0.0), 6), lambda row: judge_equality(row, delta))
    assert share(found, "not reproduced") <= at_most(0.025, len(found))
    assert share(found, "reproduced") <= at_most(0.05, len(found))


# ---------------------------------------------------------------- power


@pytest.mark.parametrize("n", [6, 10])
def test_the_detectable_difference_is_supported_in_80_of_100(n: int) -> None:
    found = links(drawn(120 + n, n, detectable(SD, n), rounds=10_000))
    assert share(found, "supported") == pytest.approx(0.8, abs=0.012)  # three standard deviations
