"""What a benchmark hands over: figures with their spread, what they were to reach, and what was not measured and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from benchmarks.timing import Spread

REACHED, MISSED, UNMEASURED = "reached", "not reached", "not measured here"


@dataclass(frozen=True)
class Target:
    """One entry of the table "It must reach" of the issue that asked for speed. `at_most`: smaller is better."""

    what: str
    bound: float
    unit: str
    at_most: bool

    def reached(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    @property
    def told(self) -> str:
        return f"{'<=' if self.at_most else '>='} {number(self.bound)} {self.unit}".strip()


@dataclass(frozen=True)
class Figure:
    """One number: median and quartiles in `unit`. `least`: what the machine's own limit allows, in the same unit."""

    name: str
    spread: Spread
    unit: str
    least: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        return REACHED if self.target.reached(self.spread.median) else MISSED


@dataclass(frozen=True)
class Outcome:
    """All that one benchmark has found. `unmeasured`: targets that this machine or these sizes say nothing about, and why."""

    benchmark: str
    title: str
    settings: dict[str, Any]
    figures: list[Figure]
    unmeasured: list[tuple[Target, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0  # that the measuring took

    def after(self, seconds: float) -> Outcome:
        return replace(self, seconds=round(seconds, 1))

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        for shown, figure in zip(value["figures"], self.figures, strict=True):
            shown["verdict"] = figure.verdict
        value["unmeasured"] = [{"target": asdict(target), "why": why} for target, why in self.unmeasured]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Outcome:
        """The inverse of `to_json`. KeyError or TypeError where `value` is something else."""
        figures = []
        for shown in value["figures"]:
            target = Target(**shown["target"]) if shown["target"] else None
            given = {name: shown[name] for name in ("name", "unit", "least", "note")}
            figures.append(Figure(spread=Spread(**shown["spread"]), target=target, **given))
        unmeasured = [(Target(**entry["target"]), entry["why"]) for entry in value["unmeasured"]]
        plain = {name: value[name] for name in ("benchmark", "title", "settings", "notes", "seconds")}
        return cls(figures=figures, unmeasured=unmeasured, **plain)


@dataclass
class Sheet:
    """Gathers an Outcome. With `why_not` no target is judged: that reason stands in its place."""

    benchmark: str
    title: str
    settings: dict[str, Any] = field(default_factory=dict)
    why_not: str = ""
    figures: list[Figure] = field(default_factory=list)
    unmeasured: list[tuple[Target, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, name: str, found: Spread, unit: str, *, least: float | None = None, target: Target | None = None, note: str = ""
    ) -> None:
        if target is not None and self.why_not:
            self.skip(target, self.why_not)
            target = None
        self.figures.append(Figure(name, found, unit, least, target, note))

    def skip(self, target: Target, why: str) -> None:
        self.unmeasured.append((target, why))

    def outcome(self) -> Outcome:
        return Outcome(self.benchmark, self.title, self.settings, self.figures, self.unmeasured, self.notes)


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
