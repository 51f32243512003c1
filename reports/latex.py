"""A study's table as LaTeX (booktabs): NAME.tex for a column of 3.25 in, NAME_wide.tex for a text of 6.875 in.

A group of columns is a measure; what does not fit beside the rest follows in further tabulars, and those in further tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from string import ascii_uppercase
from textwrap import wrap
from typing import Any

from reports.texts import GAP, OURS, PAPER, PAPER_GAP, Line, Wide, cell, named, value
from studies.study import PUBLISHED_NAMES

NARROW, WIDE = 234.0, 496.0  # points: 3.25 in and 6.875 in
TEXT, SMALL = 8.0, 6.0  # points, of numbers and of intervals
SPACE = 6.0  # points between columns
LABEL, REASON = 84.0, 40.0  # points: the most for a row's label or a word of a measure, and for why a number is missing
HEIGHT = 450.0  # points of a table on a page
LONG = 30  # letters of a word in a caption; a longer one is broken
HEADS = {OURS: "ours", GAP: "$\\Delta$", PAPER: "paper", PAPER_GAP: "$\\Delta$"}
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
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{GREEK SMALL LETTER BETA}": r"$\beta$",
} | {letter: f"${letter}$" for letter in "+<>"}
WIDTHS = (
    (".,:;'[]()!il ", 0.4),
    ("+mwMW%@&<>{}\\~^_\N{MINUS SIGN}", 1.05),
    (ascii_uppercase, 0.85),
    ("", 0.64),
)  # ems, at 6 points
LATIN = range(0xC0, 0x100)  # accented letters, which every TeX shows
MISSING = "ÐðÞþ×÷"  # but not these


@dataclass(frozen=True)
class Group:
    """A measure's columns: its name in lines, and their cells, a list of lines each with whether it is bold; width in points."""

    name: list[str]
    heads: list[str]
    cells: list[list[tuple[list[str], bool]]]
    width: float


def plain(text: str) -> str:
    """The text without what TeX's own fonts lack: U+D55C for such a letter, one space for any blank."""
    known = (letter if letter.isascii() or letter in TEX or _latin(letter) else f"U+{ord(letter):04X} " for letter in text)
    return " ".join("".join(known).split())


def _latin(letter: str) -> bool:
    return ord(letter) in LATIN and letter not in MISSING


def tex(text: str) -> str:
    """The text with TeX's special letters escaped."""
    return "".join(TEX.get(letter, letter) for letter in plain(text))


def points(text: str, size: float) -> float:
    """The width of a text in Computer Modern of `size` points, rather too large than too small."""
    return size * sum(next(width for letters, width in WIDTHS if letter in letters or not letters) for letter in text)


def latex(study: dict[str, Any], table: Wide, note: str, wide: bool = False) -> str:
    """The tables of a study: all measures if `wide`, else those that the paper prints, where it prints any."""
    labels = table.measures if wide or not table.printed else table.printed
    rows = [_row(line) for line in table.lines]
    side = max((points(text, size) for row in rows for text, size in row), default=0.0) + SPACE
    room = (WIDE if wide else NARROW) - side
    tabulars: list[list[Group]] = []
    for group in (_group(table, label) for label in labels):
        if tabulars and sum(one.width for one in tabulars[-1]) + group.width <= room:
            tabulars[-1].append(group)
        else:
            tabulars.append([group])
    caption = f"{study['title']} ({study['paper']}). {note}"
    if any(GAP in table.columns[label] for label in labels):
        caption += " \\Delta: difference to the baseline, bold where its interval leaves out 0."
    targets = dict.fromkeys(table.lines[0].cells[label]["target"] for label in labels if label in table.printed)
    if targets:
        caption += f" Paper: {', '.join(f'{target} is {PUBLISHED_NAMES[target]}' for target in targets)}."
    if labels != table.measures:
        caption += " Further measures: the wide table."
    caption = _caption(caption).replace(r"\textbackslash{}Delta", r"$\Delta$")
    above = 12 * points(caption, 10) / (WIDE if wide else NARROW)
    most = int((HEIGHT - above) / (TEXT + 1))
    bodies = [body for groups in tabulars for body in _bodies(rows, groups, most)]
    beside = max(1, most // max(map(len, bodies), default=1))
    lines = ["% needs booktabs"]
    star, key = ("*", "-wide") if wide else ("", "")
    for start in range(0, len(bodies), beside):
        lines += [rf"\begin{{table{star}}}[tp]", r"\centering\sloppy"]
        if start == 0:
            lines += [rf"\caption{{{caption}}}", rf"\label{{tab:{study['name']}{key}}}"]
        else:
            lines += [rf"\caption{{{_caption(study['title'])}, continued.}}"]
        lines += [
            r"\vspace{4pt}",
            rf"\fontsize{{{TEXT:g}}}{{{TEXT + 1:g}}}\selectfont",
            rf"\setlength{{\tabcolsep}}{{{SPACE / 2:g}pt}}",
            rf"\def\under#1{{{{\fontsize{{{SMALL:g}}}{{{SMALL + 1:g}}}\selectfont #1}}}}",
        ]
        for number, body in enumerate(bodies[start : start + beside]):
            lines += [r"\par\medskip"] if number else []
            lines += body
        lines += [rf"\end{{table{star}}}"]
    return "\n".join([*lines, ""])


def _caption(text: str) -> str:
    return tex(" ".join(wrap(plain(text), LONG, break_on_hyphens=False)))


def _lines(text: str, size: float, room: float) -> list[str]:
    """The text in as many lines as it needs so that none is wider than `room` points."""
    text = plain(text)
    broken = (wrap(text, letters) for letters in range(len(text) or 1, 0, -1))
    return next(lines for lines in broken if all(points(line, size) <= room for line in lines) or max(map(len, lines)) == 1)


def _row(line: Line) -> list[tuple[str, float]]:
    """The row's label in lines, its column below it, each with its size."""
    return [(text, size) for label, size in ((line.row, TEXT), (line.column, SMALL)) for text in _lines(label, size, LABEL)]


def _group(table: Wide, label: str) -> Group:
    heads = table.columns[label]
    cells = [[_cell(line.cells[label], head) for head in heads] for line in table.lines]
    widths = [points(HEADS[head].strip("$\\"), TEXT) for head in heads]
    for row in cells:
        for place, (texts, _) in enumerate(row):
            widths[place] = max(widths[place], *(points(text, SMALL if below else TEXT) for below, text in enumerate(texts)))
    width = sum(widths) + SPACE * len(heads)
    title = named(table, label)
    word = max(points(word, TEXT) for word in plain(title).split() or [""])
    name = _lines(title, TEXT, max(width - SPACE, min(word, LABEL)))
    return Group(name, heads, cells, max(width, *(points(text, TEXT) + SPACE for text in name)))


def _cell(entry: dict[str, Any], head: str) -> tuple[list[str], bool]:
    """The cell's number over its interval, or why there is none in small lines; bold: a difference that is clear of 0."""
    mean, bounds = value(entry, head)
    texts = cell(entry, head)
    if mean is None and head == OURS:
        texts = ["", *_lines(texts[0], SMALL, REASON)]
    return texts, head == GAP and bounds is not None and (bounds[0] > 0 or bounds[1] < 0)


def _bodies(rows: list[list[tuple[str, float]]], groups: list[Group], most: int) -> list[list[str]]:
    """The groups as tabulars of up to `most` lines; the rows that are too many for one stand in the next."""
    top, rules, column = [], [], 2
    for group in groups:
        name = r"\shortstack{" + r"\\".join(tex(text) for text in group.name) + "}"
        top.append(rf"\multicolumn{{{len(group.heads)}}}{{c}}{{{name}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + len(group.heads) - 1}}}")
        column += len(group.heads)
    head = [rf"\begin{{tabular}}{{@{{}}l{'r' * (column - 2)}@{{}}}}", r"\toprule", " & ".join(["", *top]) + r" \\", "".join(rules)]
    head += [" & ".join(["", *(HEADS[head] for group in groups for head in group.heads)]) + r" \\", r"\midrule"]
    room = most - len(head) - max(len(group.name) for group in groups)
    bodies: list[list[str]] = [[]]
    for number, row in enumerate(rows):
        below = [[_small(text, size) for text, size in row]]
        cells = [one for group in groups for one in group.cells[number]]
        below += [[_number(text, place, bold) for place, text in enumerate(texts)] for texts, bold in cells]
        shown = [" & ".join(texts) for texts in zip_longest(*below, fillvalue="")]
        if bodies[-1] and len(bodies[-1]) + len(shown) > room:
            bodies.append([])
        bodies[-1] += [rf"{text} \\[-1pt]" for text in shown[:-1]] + [rf"{shown[-1]} \\[2pt]"]
    return [[*head, *body, r"\bottomrule", r"\end{tabular}"] for body in bodies]


def _small(text: str, size: float) -> str:
    return tex(text) if size == TEXT else rf"\under{{{tex(text)}}}"


def _number(text: str, place: int, bold: bool) -> str:
    if place:
        return rf"\under{{{tex(text)}}}" if text else ""
    return rf"{{\bfseries\boldmath {tex(text)}}}" if bold else tex(text)
