"""Timing in alternation, on a clock that is told what time it is: ratios, rounds, how often what is short is called."""

from __future__ import annotations

import pytest
import torch

from benchmarks.timing import alternate, spread
from fame.training.graphs import PLAIN


class FakeClock:
    """Time that passes only when somebody works, at a pace that changes from round to round."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, seconds: float, pace=lambda calls: 1.0):
        def done() -> None:
            self.now += seconds * pace(len(self.calls))
            self.calls.append(name)

        return done


def test_the_ratio_is_right_while_the_machine_changes_its_pace() -> None:
    clock = FakeClock()
    # every pair of calls, so every round, is twice as slow as the one before: the medians alone would tell a wrong ratio
    pace = lambda calls: 2.0 ** (calls // 2)  # noqa: E731
    works = {"slow": clock.work("slow", 6.0, pace), "fast": clock.work("fast", 2.0, pace)}
    found = alternate(works, 5, clock=clock, least=0)
    assert found.ratio("slow", "fast").median == pytest.approx(3.0)
    assert found.ratio("slow", "fast").high == pytest.approx(3.0)
    assert max(found.seconds["slow"]) == pytest.approx(16 * min(found.seconds["slow"]))


def test_each_round_calls_each_once_in_changing_order() -> None:
    clock = FakeClock()
    alternate({name: clock.work(name, 5.0) for name in "abc"}, 8, clock=clock)
    rounds = ["".join(clock.calls[i : i + 3]) for i in range(3, len(clock.calls), 3)]
    assert len(rounds) == 8 and all(sorted(one) == list("abc") for one in rounds)
    assert len(set(rounds)) > 2


def test_short_work_is_called_often_enough_to_be_timed() -> None:
    clock = FakeClock()
    found = alternate({"short": clock.work("short", 0.001), "long": clock.work("long", 1.0)}, 2, clock=clock, least=0.02)
    assert found.of("short").median == pytest.approx(0.001)
    assert clock.calls.count("short") >= 2 + 2 * 19 and clock.calls.count("long") == 2 + 2


def test_on_a_gpu_the_call_that_compiles_does_not_tell_how_long_one_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is captured by its fourth call is not timed before the fifth."""
    monkeypatch.setattr("torch.cuda.synchronize", lambda device: None)
    clock, gpu = FakeClock(), torch.device("cuda")
    short = clock.work("short", 0.001, lambda calls: 5000.0 if calls == 0 else 90.0 if calls == PLAIN else 1.0)
    found = alternate({"short": short}, 3, clock=clock, least=0.02, device=gpu)
    assert found.of("short").high == pytest.approx(0.001) and len(clock.calls) >= PLAIN + 2 + 3 * 19
    clock = FakeClock()
    alternate({"long": clock.work("long", 3.0)}, 3, clock=clock, device=gpu)
    assert len(clock.calls) == PLAIN + 2 + 3


def test_a_limit_ends_the_rounds_but_never_before_the_third() -> None:
    clock = FakeClock()
    assert alternate({"work": clock.work("work", 100.0)}, 9, clock=clock, limit=10).of("work").rounds == 3
    assert alternate({"work": clock.work("work", 1.0)}, 9, clock=clock, limit=6.5).of("work").rounds == 7


def test_quartiles() -> None:
    found = spread([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (found.low, found.median, found.high, found.rounds) == (2.0, 3.0, 4.0, 5)
    assert spread([7.0]).low == spread([7.0]).high == 7.0
    assert found.scaled(-1).low == -4.0


@pytest.mark.parametrize(("works", "rounds"), [({}, 3), ({"work": lambda: None}, 0)])
def test_nothing_to_measure_is_refused(works, rounds: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        alternate(works, rounds)
