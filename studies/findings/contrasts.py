"""How a finding's question is answered: differences between rows of its table, and what is said where they turn out so or so.

A contrast is a weighted sum of rows, a value a replicate: FAME - baseline, or half of one gain minus another gain. An outcome is a
sentence and the states of contrasts under which it may be said. Both are declared in the study's file, before its runs are looked
at; reports/answers.py computes the contrasts, adjusts for their number and says the first outcome that holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from studies.study import Measure, balanced, deranged

Place = tuple[str, str]  # a row of the study: its label and its column
State = Literal["above", "below", "negligible", "open", "withheld", "not run"]
Condition = tuple[str, tuple[State, ...]]  # a contrast by its name, and the states in which it may be

# above, below   its mean differs from 0, after Holm's adjustment for all comparisons of the study
# negligible     its 95 % interval lies within the margin on both sides of 0
# open           neither: the interval is too wide to tell
# withheld       under three replicates, some of them missing, or in a setting whose gate is not passed
DIFFERS: tuple[State, ...] = ("above", "below")
NOT_ABOVE: tuple[State, ...] = ("below", "negligible")
DECIDING = (deranged("A"), balanced("A"))  # what is asked by; the first decides, the second stands beside it


@dataclass(frozen=True)
class Best:
    """The one of several rows that has the highest mean by a measure: equal tuning."""

    places: tuple[Place, ...]
    by: Measure


Terms = tuple[tuple[float, Place | Best], ...]  # weight and row


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of rows whose sign is asked for. `measure`: None is each measure of the question."""

    name: str
    terms: Terms
    measure: Measure | None = None


@dataclass(frozen=True)
class Outcome:
    """A sentence that holds where every condition of `every` does and, if there are any in `some`, at least one of them.

    "{which}" in it stands for the names of those of `some` that hold.
    """

    says: str
    every: tuple[Condition, ...] = ()
    some: tuple[Condition, ...] = ()

    def holds(self, states: dict[str, State]) -> bool:
        some = not self.some or any(states[name] in wanted for name, wanted in self.some)
        return some and all(states[name] in wanted for name, wanted in self.every)

    def sentence(self, states: dict[str, State]) -> str:
        which = "; ".join(f"{name} ({states[name]} 0)" for name, wanted in self.some if states[name] in wanted)
        return self.says.format(which=which)


@dataclass(frozen=True)
class Question:
    """All contrasts that are looked at, by all measures, and the outcomes, of which the first that holds is said."""

    contrasts: tuple[Contrast, ...]
    outcomes: tuple[Outcome, ...]
    measures: tuple[Measure, ...] = DECIDING


def row(place: Place | Best) -> Terms:
    return ((1.0, place),)


def times(factor: float, terms: Terms) -> Terms:
    return tuple((factor * weight, place) for weight, place in terms)


def less(terms: Terms, others: Terms) -> Terms:
    """terms - others."""
    return (*terms, *times(-1.0, others))


def difference(greater: Place | Best, lesser: Place | Best) -> Terms:
    return less(row(greater), row(lesser))


def each(names: Iterable[str], *states: State) -> tuple[Condition, ...]:
    """The same states asked of several contrasts."""
    return tuple((name, states) for name in names)
