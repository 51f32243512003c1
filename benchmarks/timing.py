"""Seconds of several callables in one process, in alternation, and their ratios.

A machine that others use as well, or that changes its clock, is not equally fast for long. So every round runs each callable once,
in an order drawn anew, and a ratio is the median of the rounds' own ratios: what slows a whole round cancels out.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from fame.training.graphs import PLAIN

Work = Callable[[], object]
Clock = Callable[[], float]
LEAST = 0.02  # seconds that one timing lasts at least: shorter callables are called several times in it
MOST_CALLS = 1000
SLOW = 2.0  # seconds of a first call from which on a second untimed one would be a waste


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles over `rounds` rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def scaled(self, factor: float) -> Spread:
        """In another unit. A negative factor swaps the quartiles."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Spread(self.median * factor, low, high, self.rounds)


def spread(values: list[float]) -> Spread:
    """Median and quartiles (inclusive: of one value, the value itself)."""
    if not values:
        raise ValueError("no values to take a median of")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high, len(values))


@dataclass(frozen=True)
class Timings:
    """`seconds[name][i]`: one call of `name` in round i."""

    seconds: dict[str, list[float]]

    def of(self, name: str) -> Spread:
        return spread(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> Spread:
        """How many times `slow` takes what `fast` takes, round by round."""
        return self.combined(lambda took: took[slow] / took[fast])

    def combined(self, figure: Callable[[dict[str, float]], float]) -> Spread:
        """A figure of the seconds of all callables, computed in each round."""
        rounds = [dict(zip(self.seconds, values, strict=True)) for values in zip(*self.seconds.values(), strict=True)]
        return spread([figure(took) for took in rounds])


def alternate(
    works: Mapping[str, Work],
    rounds: int,
    *,
    device: torch.device | None = None,
    limit: float = float("inf"),
    seed: int = 0,
    least: float = LEAST,
    clock: Clock = time.perf_counter,
) -> Timings:
    """Call each of `works` in every one of `rounds` rounds, after one or two untimed calls of each.

    On a GPU each timing begins and ends with an idle device, and there are some more untimed calls. No further round is begun
    once `limit` seconds have passed since the first began; three are run in any case, where `rounds` allows. Raises ValueError for
    no round, or nothing to call.
    """
    if rounds < 1 or not works:
        raise ValueError(f"{rounds} rounds of {len(works)} callables: at least one of each is needed")
    wait = _waiting(device)
    on_gpu = device is not None and device.type == "cuda"
    calls = {}
    for name, work in works.items():
        once = _warm(work, wait, clock, on_gpu)
        calls[name] = max(1, min(MOST_CALLS, int(least / once) if once > 0 else 1))
    order, shuffle = list(works), random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    began = clock()
    for number in range(rounds):
        if number >= min(3, rounds) and clock() - began > limit:
            break
        shuffle.shuffle(order)
        for name in order:
            seconds[name].append(_timed(works[name], calls[name], wait, clock) / calls[name])
    return Timings(seconds)


def _warm(work: Work, wait: Work, clock: Clock, on_gpu: bool) -> float:
    """Seconds of the fastest of some untimed calls, which compile, allocate and fill caches.

    On a GPU kernels are compiled by the first call, which so tells nothing of the second; and what is replayed as a CUDA graph is
    captured by the fourth (fame/training/graphs.py).
    """
    once = _timed(work, 1, wait, clock)
    for _ in range(PLAIN + 1 if on_gpu else 1):
        if on_gpu or once < SLOW:
            once = min(once, _timed(work, 1, wait, clock))
    return once


def _timed(work: Work, calls: int, wait: Work, clock: Clock) -> float:
    wait()
    began = clock()
    for _ in range(calls):
        work()
    wait()
    return clock() - began


def _waiting(device: torch.device | None) -> Work:
    if device is None or device.type != "cuda":
        return lambda: None
    return lambda: torch.cuda.synchronize(device)
