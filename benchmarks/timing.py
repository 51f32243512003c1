"""Time callables in one process, in alternation, so that their ratio holds on a machine that others use as well.

Every round calls each of them once, in an order drawn anew. A ratio is the median of the rounds' own ratios: what slows a whole
round cancels out.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from fame.errors import FameError

Work = Callable[[], object]
SHORTEST = 0.02  # seconds that one timing lasts at least: shorter callables are called several times in it
MOST_CALLS = 1000


@dataclass(frozen=True)
class Ratio:
    """How many times as long `slow` takes as `fast`: median and quartiles over rounds; `seconds` are the medians of one call."""

    median: float
    low: float
    high: float
    rounds: int
    seconds: dict[str, float]


def alternate(
    works: Mapping[str, Work],
    rounds: int,
    *,
    untimed: int = 2,
    device: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of one call of each of `works` in every one of `rounds` rounds, after `untimed` calls of each.

    Before the clock is read it waits until a GPU has nothing left to do. FameError for no round.
    """
    if rounds < 1:
        raise FameError(f"--rounds {rounds}: at least one round is needed")
    wait = (lambda: torch.cuda.synchronize(device)) if device and device.type == "cuda" else (lambda: None)

    def timed(work: Work, calls: int) -> float:
        wait()
        began = clock()
        for _ in range(calls):
            work()
        wait()
        return clock() - began

    calls = dict.fromkeys(works, 1)
    for name, work in works.items():
        fastest = min((timed(work, 1) for _ in range(untimed)), default=SHORTEST)
        calls[name] = max(1, min(MOST_CALLS, int(SHORTEST / max(fastest, 1e-9))))
    order, shuffle = list(works), random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            seconds[name].append(timed(works[name], calls[name]) / calls[name])
    return seconds


def ratio(seconds: Mapping[str, list[float]], slow: str, fast: str) -> Ratio:
    """Return slow / fast of what `alternate` measured, with its quartiles (of one round the value itself)."""
    values = [one / other for one, other in zip(seconds[slow], seconds[fast], strict=True)]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Ratio(median, low, high, len(values), {name: statistics.median(seconds[name]) for name in (slow, fast)})
