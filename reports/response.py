"""The search in the report: its response curve, its trials, and the winner against the baseline on replicates it had not seen."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from reports.figures.style import GRID, INK, VERMILION, Drawn, canvas, save
from reports.statistics import ENOUGH, Interval, estimate, t_interval
from reports.texts import interval, number

NORMAL = 1.96  # standard errors on either side
FILE = Path("search") / "search.json"
NAME = "search"


def section(out: Path) -> dict[str, Any] | None:
    """Return what OUT/search/search.json holds, an interval with each trial and `difference` in points; None without one."""
    try:
        found: dict[str, Any] = json.loads((out / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found | {
        "trials": [one | {"interval": _interval(one), "said": said(one["params"])} for one in found["trials"]],
        "difference": difference(found),
    }


def _interval(trial: dict[str, Any]) -> Interval:
    """Return the 95 % interval in percent: over replicates (t), or over validation videos where there are fewer than three."""
    if len(trial["values"]) >= ENOUGH:
        return t_interval(trial["values"])
    return trial["value"] - NORMAL * trial["standard_error"], trial["value"] + NORMAL * trial["standard_error"]


def said(params: dict[str, Any]) -> str:
    """`merge.beta 0.35, merge.variant seed`."""
    return ", ".join(f"{name} {value}" for name, value in params.items())


def difference(found: dict[str, Any]) -> dict[str, Any] | None:
    """Return the winner minus the baseline in points, paired over fresh replicates; None where it was not asked for."""
    if not (confirmed := found["confirmed"]):
        return None
    pairs = zip(confirmed["winner"], confirmed["baseline"], strict=True)
    found_there = estimate([winner - baseline for winner, baseline in pairs])
    return {"said": said(confirmed["params"]), "mean": found_there.mean, "interval": found_there.interval, "n": found_there.n}


def conclusion(found: dict[str, Any], out: Path) -> list[str]:
    """Return what a search ends with, a line each."""
    best = found["best"]
    ended = ", and every choice has been tried" if found["exhausted"] else ""
    lines = []
    if best:
        value = f"{best['value']:.1f} ± {best['standard_error']:.1f} % {found['objective']}"
        lines.append(f"best {said(best['params'])}: {value} ({found['says']}) after {len(found['trials'])} trials{ended}")
    if told := difference(found):
        spread = interval(told["interval"], 1, True) if told["interval"] else "three replicates are needed for an interval"
        lines.append(
            f"{told['said']} - baseline on fresh replicates: {number(told['mean'], 1, True)} points {spread}, n = {told['n']}"
        )
    else:
        lines.append("The best of many looks better than it is: --confirm 3 runs it and the baseline on fresh replicates.")
    return [*lines, f"Trials: {out / 'search' / 'trials.csv'}. To look at them: optuna-dashboard {found['storage']}"]


def draw(out: Path, folder: Path) -> Drawn | None:
    """Draw the response to each searched field, with 95 % intervals; pruned trials are left out. None without a search."""
    found = section(out)
    whole = [one for one in found["trials"] if one["state"] == "complete"] if found else []
    if not found or not whole:
        return None
    table = pd.DataFrame(
        [{**one["params"], "value": one["value"], "low": one["interval"][0], "high": one["interval"][1]} for one in whole]
    )
    figure, axes = canvas(1, len(found["fields"]), 3.6 * len(found["fields"]) + 0.6, 3.2, sharey=True)
    for axis, field in zip(axes.flat, found["fields"], strict=True):
        shown = table.sort_values(field)
        places = shown[field] if pd.api.types.is_numeric_dtype(shown[field]) else shown[field].astype(str)
        axis.vlines(places, shown["low"], shown["high"], color=VERMILION, linewidth=1.4, alpha=0.6)
        axis.plot(places, shown["value"], "o-" if len(found["fields"]) == 1 else "o", color=VERMILION, markersize=4)
        axis.set_xlabel("β, share of the frame kept (1.0: baseline)" if field == "merge.beta" else field)
        axis.grid(color=GRID, linewidth=0.7)
    axes.flat[0].set_ylabel(f"{found['objective']}, %", color=INK)
    over = "replicates (t)" if len(found["replicates"]) >= ENOUGH else "validation videos"
    caption = f"{found['says'].capitalize()}, in %, with 95 % intervals over {over}, of every choice that was tried."
    return save(figure, folder, NAME, "Response to the searched fields", caption, table)
