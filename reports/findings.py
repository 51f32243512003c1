"""The findings' answers in words: the comparisons as lines, for the page, and the section of docs/findings.md that quotes them."""

from __future__ import annotations

from typing import Any

from reports.texts import interval, number
from studies.claims import POINTS, SHARE
from studies.progress import duration

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


def section(report: dict[str, Any] | None, folder: str) -> str:
    """Markdown for docs/findings.md: which runs, then each finding's question, answers, comparisons and figures, from `folder`."""
    if report is None or not report.get("answers"):
        return NOT_RUN
    runs, standing = report["runs"], report["standing"]
    made = f"From `{report['command']}` at commit `{report['commit'][:12]}`: {runs['finished']} of {runs['planned']} runs"
    text = [f"{made}, {duration(runs['seconds'])} of computing; all of it in [docs/{folder}]({folder}).", ""]
    text += [f"**{standing['interim'].capitalize()}.**", ""] if standing["interim"] else []
    text += [word for remark in standing["remarks"] for word in (remark, "")]
    text += [READING, ""]
    for name, answer in report["answers"].items():
        text += [f"### {answer['question']} (`{name}`)", ""]
        text += [f"- By {one['measure']}{', which decides' if one['decides'] else ''}: {one['text']}" for one in answer["answers"]]
        measures, rows = lines(answer)
        text += [f"- {counted(answer)}", "", "| comparison | " + " | ".join(measures) + " |", "| --- |" + " --- |" * len(measures)]
        text += [f"| {row} | " + " | ".join(said(one) for one in found) + " |" for row, found in rows]
        pictures = [
            figure for figure in report["figures"] if figure["name"].removesuffix("_curve").removesuffix("_effects") == name
        ]
        text += ["", *(word for one in pictures for word in (f"![{one['title']}]({folder}/{one['png']})", "", one["caption"], ""))]
    return "\n".join(text).rstrip("\n")


READING = (
    "Differences are in points of accuracy (recall lift: shares), means over replicates with their 95 % t intervals, not adjusted; "
    "p is Holm-adjusted for all comparisons of the study. Above, below: it differs from 0; negligible: the interval lies within "
    f"{POINTS:g} points ({SHARE:g}) of 0; open: too wide to tell; withheld: replicates are missing, or its setting's baseline "
    "is not shown to have learnt anything."
)
