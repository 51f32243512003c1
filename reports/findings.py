"""The findings' answers in words: the comparisons as lines, for the page, and the section of docs/findings.md that quotes them."""

from __future__ import annotations

from typing import Any

from reports.texts import interval, number
from studies.harness.progress import duration
from studies.paper.claims import POINTS, SHARE

NOT_RUN = "The findings' studies have not been kept yet."


def counted(answer: dict[str, Any]) -> str:
    """How many comparisons were looked at, and what came of them after adjusting for that."""
    many = f"{answer['compared']} comparisons were looked at"
    return (
        f"{many}; after Holm's adjustment for all of them {answer['differ']} differ from 0; {answer['negligible']} are negligible."
    )


def lines(answer: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[dict[str, Any] | None]]]]:
    """The measures, and a line a contrast with its comparison by each; one with a measure of its own stands under the first."""
    measures = [one["measure"] for one in answer["answers"]]
    rows: dict[str, list[dict[str, Any] | None]] = {}
    for one in answer["contrasts"]:
        own = one["measure"] not in measures
        name = f"{one['contrast']} ({one['measure']})" if own else one["contrast"]
        name += f" ({', '.join(one['chosen'])})" if one["chosen"] else ""
        rows.setdefault(name, [None] * len(measures))[0 if own else measures.index(one["measure"])] = one
    return measures, list(rows.items())


def said(one: dict[str, Any] | None) -> str:
    """`+1.2 [-3.4, +5.8], p 0.41: open`; a dash where nothing is compared, or where it was not run."""
    if one is None or one["effect"] is None:
        return "\N{EN DASH}" if one is None else one["state"]
    places = 1 if one["unit"] else 3
    shown = f"{number(one['effect'], places, True)} {interval(one['interval'], places, True)}".strip()
    return f"{shown}, {adjusted(one)}{one['state']}"


def adjusted(one: dict[str, Any]) -> str:
    """The adjusted p in words, where there is one."""
    p = one["p_adjusted"]
    return "" if p is None else "p < 0.001: " if p < 0.001 else f"p {p:.3f}: " if p < 0.1 else f"p {p:.2f}: "


Kept = dict[str, dict[str, Any]]  # reports by the folder that they are kept in


def section(kept: Kept) -> str:
    """Markdown for docs/findings.md: which runs, then each finding's question, answers, comparisons and figures, from its folder.

    A finding that several folders hold is quoted from the one with the most replicates of all that it compares.
    """
    held = [(name, folder) for folder, report in kept.items() for name in report.get("answers", ())]
    chosen = {
        name: max((folder for other, folder in held if other == name), key=lambda f: _told(kept[f], name)) for name, _ in held
    }
    if not chosen:
        return NOT_RUN
    text = []
    for folder in dict.fromkeys(chosen.values()):
        text += [_origin(kept[folder], folder), ""]
    text += [READING, ""]
    for name, folder in chosen.items():
        text += _finding(name, kept[folder], folder)
    return "\n".join(text).rstrip("\n")


def _told(report: dict[str, Any], name: str) -> tuple[int, int]:
    """By how many replicates a finding's comparisons are made: the fewest, then all together."""
    counts = [one["n"] for one in report["answers"][name]["contrasts"]]
    return min(counts), sum(counts)


def _origin(report: dict[str, Any], folder: str) -> str:
    runs, standing = report["runs"], report["standing"]
    made = f"From `{report['command']}` at commit `{report['commit'][:12]}`: {runs['finished']} of {runs['planned']} runs"
    text = [f"{made}, {duration(runs['seconds'])} of computing; all of it in [docs/{folder}]({folder})."]
    text += [f"**{standing['interim'].capitalize()}.**"] if standing["interim"] else []
    return "\n\n".join([*text, *standing["remarks"]])


def _finding(name: str, report: dict[str, Any], folder: str) -> list[str]:
    answer = report["answers"][name]
    counts = sorted({one["n"] for one in answer["contrasts"]})
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    text = [f"### {answer['question']} (`{name}`)", "", f"From [{folder}]({folder}), {many} replicates.", ""]
    text += [f"- By {one['measure']}{', which decides' if one['decides'] else ''}: {one['text']}" for one in answer["answers"]]
    measures, rows = lines(answer)
    text += [f"- {counted(answer)}", "", "| comparison | " + " | ".join(measures) + " |", "| --- |" + " --- |" * len(measures)]
    text += [f"| {row} | " + " | ".join(said(one) for one in found) + " |" for row, found in rows]
    pictures = [figure for figure in report["figures"] if figure["name"].removesuffix("_curve").removesuffix("_effects") == name]
    return [
        *text,
        "",
        *(word for one in pictures for word in (f"![{one['title']}]({folder}/{one['png']})", "", one["caption"], "")),
    ]


READING = (
    "Differences are in points of accuracy (recall lift: shares), means over replicates with their 95 % t intervals, not adjusted; "
    "p is Holm-adjusted for all comparisons of the study. Above, below: it differs from 0; negligible: the interval lies within "
    f"{POINTS:g} points ({SHARE:g}) of 0; open: too wide to tell; withheld: replicates are missing, or its setting's baseline "
    "is not shown to have learnt anything."
)
