"""A study's table as text: numbers, intervals, markdown, LaTeX; and its lines, which the page prints too.

`study` is a mapping with its name, title, paper, claims and note (studies/records.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reports.statistics import Interval


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


def digits(entry: dict[str, Any]) -> int:
    return 1 if entry["unit"] else 3


def number(value: float | None, places: int, signed: bool = False) -> str:
    """A number with a real minus sign; "" for None."""
    if value is None:
        return ""
    return f"{value:{'+' if signed else ''}z.{places}f}".replace("-", "\N{MINUS SIGN}")


def interval(bounds: Interval | None, places: int, signed: bool = False) -> str:
    return f"[{number(bounds[0], places, signed)}, {number(bounds[1], places, signed)}]" if bounds else ""


def said(entry: dict[str, Any]) -> str:
    """Our cell in words: mean and interval, or why there is none."""
    if entry["mean"] is None:
        return entry["status"]
    return f"{number(entry['mean'], digits(entry))} {interval(entry['interval'], digits(entry))}".strip()


def said_difference(entry: dict[str, Any]) -> str:
    """Our difference to the baseline in words; a dash where there is none."""
    gap = entry["difference"]
    if gap is None or gap["mean"] is None:
        return "\N{EN DASH}"
    return f"{number(gap['mean'], digits(entry), True)} {interval(gap['interval'], digits(entry), True)}".strip()


def paper_difference(entry: dict[str, Any]) -> str:
    gap = entry["difference"]
    return number(gap["published"], 1, True) if gap and gap["published"] is not None else "\N{EN DASH}"


def header(study: dict[str, Any], table: Wide) -> list[str]:
    """Column heads of md and tex: ours with our differences, then the paper's apart from them."""
    heads = [study["title"], "column"]
    for label in table.measures:
        heads += [label, f"difference: {label}"] if label in table.compared else [label]
    for label in table.printed:
        heads += [f"paper: {label}", f"paper, difference: {label}"] if label in table.compared else [f"paper: {label}"]
    return heads


def cells(line: Line, table: Wide) -> list[str]:
    """The texts under `header`."""
    texts = [line.row, line.column]
    for label in table.measures:
        texts += [said(line.cells[label]), said_difference(line.cells[label])][: 1 + (label in table.compared)]
    for label in table.printed:
        entry = line.cells[label]
        texts += [number(entry["published"], 1) or "\N{EN DASH}", paper_difference(entry)][: 1 + (label in table.compared)]
    return texts


def markdown(study: dict[str, Any], table: Wide, note: str) -> str:
    def line(texts: Iterable[str]) -> str:
        return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"

    head = header(study, table)
    lines = [f"## {study['title']} ({study['paper']})", "", line(head), line("---" for _ in head)]
    return "\n".join([*lines, *(line(cells(row, table)) for row in table.lines), "", note, ""])


TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
}
TEX |= {"^": r"\textasciicircum{}", "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "+": "$+$", ">": "$>$", "<": "$<$"}


def tex(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)


def latex(study: dict[str, Any], table: Wide, note: str) -> str:
    """A booktabs tabular, the note as a comment above it."""
    head = header(study, table)
    lines = [f"% {study['title']} ({study['paper']}). {note}", r"\begin{tabular}{ll" + "r" * (len(head) - 2) + "}", r"\toprule"]
    lines += [" & ".join(tex(text) for text in head) + r" \\", r"\midrule"]
    lines += [" & ".join(tex(text) for text in cells(row, table)) + r" \\" for row in table.lines]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
