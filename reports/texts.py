"""Turn a study's table into text: numbers, intervals, columns and markdown; and into the lines that the page prints too."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reports.statistics import Interval

DENSE = 6  # measures; a table of more leaves the differences to its csv and its figure
OURS, GAP, PAPER, PAPER_GAP = "ours", "to baseline", "paper", "paper to its baseline"  # a column's head
Entry = dict[str, Any]  # a number of report.json


@dataclass
class Line:
    """Hold a row of the table: its cells by measure label."""

    row: str
    column: str
    cells: dict[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Wide:
    """Hold a study's table as printed: its lines, each with the same measures."""

    lines: list[Line]

    @property
    def measures(self) -> dict[str, Entry]:
        """Return the labels in order, each with its first cell."""
        return self.lines[0].cells

    @property
    def columned(self) -> bool:
        """Return whether rows are told apart by a column."""
        return any(line.column for line in self.lines)

    @cached_property
    def columns(self) -> dict[str, list[str]]:
        """Return the heads under each measure: ours, and what is nowhere a dash alone; over DENSE measures no differences."""
        heads = (OURS, PAPER) if len(self.measures) > DENSE else (OURS, GAP, PAPER, PAPER_GAP)
        return {
            label: [
                head for head in heads if head == OURS or any(value(line.cells[label], head)[0] is not None for line in self.lines)
            ]
            for label in self.measures
        }

    @property
    def printed(self) -> list[str]:
        """Return the measures that the paper prints."""
        return [label for label, heads in self.columns.items() if PAPER in heads]


def digits(entry: Entry) -> int:
    return 1 if entry["unit"] else 3


def number(value: float | None, places: int, signed: bool = False) -> str:
    """Return a number with a real minus sign; "" for None."""
    if value is None:
        return ""
    return f"{value:{'+' if signed else ''}z.{places}f}".replace("-", "\N{MINUS SIGN}")


def interval(bounds: Interval | None, places: int, signed: bool = False) -> str:
    return f"[{number(bounds[0], places, signed)}, {number(bounds[1], places, signed)}]" if bounds else ""


def counted(numbers: Iterable[int]) -> str:
    """Return n = 8, or n = 3 to 8 replicates."""
    found = sorted(set(numbers))
    return f"n = {found[0]}" + (f" to {found[-1]}" if len(found) > 1 else "")


def value(entry: Entry, head: str) -> tuple[float | None, Interval | None]:
    """Return a cell's number under a head, and its interval; None where there is none."""
    if head in (OURS, PAPER):
        return (entry["mean"], entry["interval"]) if head == OURS else (entry["published"], None)
    gap = entry["difference"] or {"mean": None, "interval": None, "published": None}
    return (gap["mean"], gap["interval"]) if head == GAP else (gap["published"], None)


def cell(entry: Entry, head: str) -> tuple[str, str]:
    """Return a cell's number, or why there is none of ours, else a dash; and its interval, "" without one."""
    mean, bounds = value(entry, head)
    if mean is None:
        return entry["status"] if head == OURS else "\N{EN DASH}", ""
    places, signed = 1 if head in (PAPER, PAPER_GAP) else digits(entry), head in (GAP, PAPER_GAP)
    return number(mean, places, signed), interval(bounds, places, signed)


def clear(entry: Entry, head: str) -> bool:
    """Return whether a cell is bold: a difference whose interval leaves out 0."""
    bounds = value(entry, head)[1]
    return head == GAP and bounds is not None and (bounds[0] > 0 or bounds[1] < 0)


def named(table: Wide, label: str) -> str:
    """Return a measure with its unit."""
    unit = table.measures[label]["unit"]
    return f"{label}, {unit}" if unit else label


def markdown(study: dict[str, Any], table: Wide, note: str) -> str:
    """Return the columns of the page, the paper's beside ours."""

    def line(texts: Iterable[str]) -> str:
        return "| " + " | ".join(" ".join(text.split()).replace("|", "\\|") for text in texts) + " |"

    columns = [(label, head) for label, heads in table.columns.items() for head in heads]
    head = ["row", "column"][: 1 + table.columned]
    head += [named(table, label) + (f": {head}" if head != OURS else "") for label, head in columns]
    lines = [f"## {study['title']} ({study['paper']})", "", line(head), line("---" for _ in head)]
    for row in table.lines:
        cells = [" ".join(cell(row.cells[label], head)) for label, head in columns]
        lines.append(line([row.row, row.column][: 1 + table.columned] + cells))
    return "\n".join([*lines, "", note, ""])
