"""A study's table as text: numbers, intervals, columns, markdown (LaTeX: latex.py); and its lines, which the page prints too.

`study` is a mapping with its name, title, paper, claims and note (studies/records.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reports.statistics import Interval

DENSE = 6  # measures; a table of more leaves the differences to its csv and its figure
OURS, GAP, PAPER, PAPER_GAP = "ours", "to baseline", "paper", "paper to its baseline"  # a column's head


@dataclass
class Line:
    """A row of the wide table: its cells by measure label."""

    row: str
    column: str
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Wide:
    """A study's table as printed: measures in order, those that the paper prints, those with a baseline, and the lines."""

    measures: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def columns(self) -> dict[str, list[str]]:
        """The heads under each measure: ours, and what is nowhere a dash alone; over DENSE measures there are no differences."""
        heads = (OURS, PAPER) if len(self.measures) > DENSE else (OURS, GAP, PAPER, PAPER_GAP)
        return {
            label: [
                head for head in heads if head == OURS or any(value(line.cells[label], head)[0] is not None for line in self.lines)
            ]
            for label in self.measures
        }


def digits(entry: dict[str, Any]) -> int:
    return 1 if entry["unit"] else 3


def number(value: float | None, places: int, signed: bool = False) -> str:
    """A number with a real minus sign; "" for None."""
    if value is None:
        return ""
    return f"{value:{'+' if signed else ''}z.{places}f}".replace("-", "\N{MINUS SIGN}")


def interval(bounds: Interval | None, places: int, signed: bool = False) -> str:
    return f"[{number(bounds[0], places, signed)}, {number(bounds[1], places, signed)}]" if bounds else ""


def value(entry: dict[str, Any], head: str) -> tuple[float | None, Interval | None]:
    """A cell's number under a head, and its interval; None where there is none."""
    gap = entry["difference"] or {"mean": None, "interval": None, "published": None}
    return {
        OURS: (entry["mean"], entry["interval"]),
        GAP: (gap["mean"], gap["interval"]),
        PAPER: (entry["published"], None),
        PAPER_GAP: (gap["published"], None),
    }[head]


def cell(entry: dict[str, Any], head: str) -> list[str]:
    """A cell as one or two texts, number and interval; why there is none of ours, else a dash."""
    mean, bounds = value(entry, head)
    if mean is None:
        return [entry["status"] if head == OURS else "\N{EN DASH}"]
    places, signed = 1 if head in (PAPER, PAPER_GAP) else digits(entry), head in (GAP, PAPER_GAP)
    return [number(mean, places, signed), *([interval(bounds, places, signed)] if bounds else [])]


def named(table: Wide, label: str) -> str:
    """A measure with its unit."""
    unit = table.lines[0].cells[label]["unit"]
    return f"{label}, {unit}" if unit else label


def markdown(study: dict[str, Any], table: Wide, note: str) -> str:
    """The columns of the page, the paper's beside ours."""

    def line(texts: Iterable[str]) -> str:
        return "| " + " | ".join(" ".join(text.split()).replace("|", "\\|") for text in texts) + " |"

    columned = any(row.column for row in table.lines)
    columns = [(label, head) for label, heads in table.columns.items() for head in heads]
    head = ["row", "column"][: 1 + columned] + [
        named(table, label) + (f": {head}" if head != OURS else "") for label, head in columns
    ]
    lines = [f"## {study['title']} ({study['paper']})", "", line(head), line("---" for _ in head)]
    for row in table.lines:
        cells = [" ".join(cell(row.cells[label], head)) for label, head in columns]
        lines.append(line([row.row, row.column][: 1 + columned] + cells))
    return "\n".join([*lines, "", note, ""])
