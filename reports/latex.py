"""Turn a study's table into LaTeX (booktabs, graphicx): NAME.tex for one column, NAME_wide.tex for the width of the text."""

from textwrap import wrap
from typing import Any

from reports.texts import GAP, OURS, PAPER, PAPER_GAP, Line, Wide, cell, clear, named
from studies.study import PUBLISHED_NAMES

COLUMNS = (4, 10)  # beside the row's label, in one column and in the width of the text
ROWS = 20  # of all tabulars in a table
LETTERS = 14  # of a measure's name over one column
LONGEST = 30  # letters of a row's name in one line
PRINTED = {chr(code) for code in (*range(0x20, 0x7F), *range(0xC0, 0x100))} - set("\xd0\xd7\xde\xf0\xf7\xfe")  # by TeX's own font
DELTA = "\N{GREEK CAPITAL LETTER DELTA}"
HEADS = {OURS: "ours", GAP: DELTA, PAPER: "paper", PAPER_GAP: DELTA}
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{GREEK SMALL LETTER BETA}": r"$\beta$",
    DELTA: r"$\Delta$",
    **{letter: f"\\{letter}" for letter in "&%#_${}"},
    **{letter: f"${letter}$" for letter in "+<>"},
}
TABLE = r"""\begin{table%(star)s}[tp]
\centering\sloppy
\caption{%(caption)s}%(label)s
\vspace{4pt}
\fontsize{8}{9}\selectfont
\setlength{\tabcolsep}{3pt}
\def\under#1{{\fontsize{6}{7}\selectfont #1}}
\def\fit#1{\sbox0{#1}\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi}
%(body)s
\end{table%(star)s}
"""


def tex(text: str) -> str:
    """Return the text with TeX's special letters escaped; one that TeX lacks as U+D55C, any blank as a space."""
    known = (letter if letter.isspace() or letter in PRINTED or letter in TEX else f"U+{ord(letter):04X}" for letter in text)
    return "".join(TEX.get(letter, letter) for letter in " ".join("".join(known).split()))


def latex(study: dict[str, Any], table: Wide, note: str, wide: bool = False) -> str:
    """Return the tables of a study: all measures if `wide`, else those that the paper prints, where it prints any."""
    labels = list(table.measures) if wide else table.printed or list(table.measures)
    groups: list[list[str]] = []
    for label in labels:
        if groups and sum(len(table.columns[one]) for one in (*groups[-1], label)) <= COLUMNS[wide]:
            groups[-1].append(label)
        else:
            groups.append([label])
    caption = f"{study['title']} ({study['paper']}). {note}"
    if any(GAP in table.columns[label] for label in labels):
        caption += f" {DELTA}: difference to the baseline, bold where its interval leaves out 0."
    targets = dict.fromkeys(table.measures[label]["target"] for label in labels if label in table.printed)
    if targets:
        caption += f" Paper: {', '.join(f'{target} is {PUBLISHED_NAMES[target]}' for target in targets)}."
    if len(labels) < len(table.measures):
        caption += " Further measures: the wide table."
    parts = [table.lines[start : start + ROWS] for start in range(0, len(table.lines), ROWS)]
    bodies = [_tabular(table, group, lines) for group in groups for lines in parts]
    beside = ROWS // min(ROWS, len(table.lines))
    told = {"star": "*" if wide else "", "caption": tex(caption)}
    told["label"] = rf"\label{{tab:{study['name']}{'-wide' if wide else ''}}}"
    text = "% needs booktabs and graphicx\n"
    for start in range(0, len(bodies), beside):
        text += TABLE % {**told, "body": "\n\\par\\medskip\n".join(bodies[start : start + beside])}
        told |= {"caption": f"{tex(study['title'])}, continued.", "label": ""}
    return text


def _tabular(table: Wide, labels: list[str], lines: list[Line]) -> str:
    """Return the measures `labels` of some lines: numbers, and their intervals in small below."""
    heads = [(label, head) for label in labels for head in table.columns[label]]
    top, rules, column = [], "", 2
    for label in labels:
        width = len(table.columns[label])
        top.append(rf"\multicolumn{{{width}}}{{c}}{{{_stacked(named(table, label), LETTERS * width)}}}")
        rules += rf"\cmidrule(lr){{{column}-{column + width - 1}}}"
        column += width
    found = [
        rf"\fit{{\begin{{tabular}}{{@{{}}l{'r' * len(heads)}@{{}}}}",
        r"\toprule",
        " & ".join(["", *top]) + r" \\",
        rules,
    ]
    found += [" & ".join(["", *(tex(HEADS[head]) for _, head in heads)]) + r" \\", r"\midrule"]
    for line in lines:
        numbers, below = [_stacked(line.row, LONGEST, "[l]")], [_stacked(line.column, LONGEST, "[l]")]
        for label, head in heads:
            entry = line.cells[label]
            number, under = cell(entry, head)
            if head == OURS and entry["mean"] is None:
                number, under = "", number
            numbers.append(rf"{{\bfseries\boldmath {tex(number)}}}" if clear(entry, head) else tex(number))
            below.append(tex(under))
        found.append(" & ".join(numbers) + r" \\[-1pt]")
        found.append(" & ".join(rf"\under{{{text}}}" if text else "" for text in below) + r" \\[2pt]")
    return "\n".join([*found, r"\bottomrule", r"\end{tabular}}"])


def _stacked(text: str, letters: int, place: str = "") -> str:
    """Return a text in lines of so many letters, above each other."""
    lines = [tex(line) for line in wrap(text, letters)]
    stacked = r"\\".join(lines)
    return rf"\shortstack{place}{{{stacked}}}" if len(lines) > 1 else stacked
