"""Compare a report with another one, number by number: what moved, and whether by more than noise (`report --against OTHER`).

Numbers meet by study, row, column and measure: levels, and gains over a table's baseline. Equal stages are the same computation, so
their replicates have to be identical. Others are compared over replicates, paired where these saw the same videos, else by Welch;
all those comparisons are adjusted together (Holm).
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fame.errors import FameError
from reports.contrasts import said
from reports.evidence import is_ratio
from reports.sheets import write_csv
from reports.statistics import ENOUGH, Estimate, apart, estimate, judge_family, t_p, welch
from reports.texts import number
from studies.paper.links import POINTS, SHARE
from studies.setting.asked import listed

ORDER = ("differs", "above", "below", "open", "negligible", "withheld", "not run", "identical")
MOVED = ORDER[:3]
FEW = 8  # lines in the terminal, values of a setting
TINY = 1e-9  # the smallest ratio, and spread
SAME = "same runs"


class Place(NamedTuple):
    """Name a number of a report; `of` is "level", or "gain": the difference to the table's baseline."""

    study: str
    row: str
    column: str
    label: str
    of: str


@dataclass(frozen=True)
class Number:
    """Hold a number as printed, as compared (a ratio as its logarithm), the stages behind it, and each replicate's manifests."""

    mean: float | None
    shown: Estimate
    values: dict[str, float]
    stages: tuple[str, ...]
    videos: dict[str, dict[str, str]]
    entry: dict[str, Any]


def kept(path: Path) -> dict[str, Any]:
    """Read another report from an OUT, the folder of a page, or a report.json. FameError where there is none of this version."""
    file = next((one for one in (path / "report" / "report.json", path / "report.json", path) if one.is_file()), None)
    if file is None:
        raise FameError(f"--against {path}: no report there; name an OUT that has one, the folder of a page, or a report.json")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        numbers(found), facts(found), verdicts(found)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        why = f"not a report of this version of the program ({type(error).__name__}: {error})"
        raise FameError(f"--against {file}: {why}; make it anew: run_study.py report --out OUT") from None
    return found | {"file": str(file)}


def compared(here: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """Return the `against` of report.json; `there` as `kept` reads it. FameError where they have no number in common."""
    ours, theirs = numbers(here), numbers(there)
    both = [place for place in ours if place in theirs]
    if not both:
        named = ", not ".join(", ".join(report["tables"]) for report in (there, here))
        raise FameError(f"--against {there['file']}: no number in common with this report; it is on {named}")
    lines = judged([(place, ours[place], theirs[place]) for place in both])
    states = Counter(line["state"] for line in lines)
    return {
        "other": there["file"],
        "settings": _changed(facts(here), facts(there)),
        "verdicts": _changed(verdicts(here), verdicts(there)),
        "only": [len(ours) - len(both), len(theirs) - len(both)],
        "states": {state: states[state] for state in ORDER if states[state]},
        "numbers": lines,
    }


def numbers(report: dict[str, Any]) -> dict[Place, Number]:
    """Return the numbers of a report's tables, and of those with a baseline the gains."""
    runs = {(one["stage"], str(one["replicate"])): one for one in report["runs"]["list"]}

    def seen(stages: list[str], replicate: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for stage in stages:
            while run := runs.get((stage, replicate)):
                found |= run["data"] or {}
                stage = run["upstream"]
        return found

    found = {}
    for study, table in report["tables"].items():
        for entry in table:
            for of, one in (("level", entry), ("gain", entry["difference"])):
                if one:
                    scale = _log if of == "level" and is_ratio(entry["metric"]) else float
                    bounds = one["interval"] and (scale(one["interval"][0]), scale(one["interval"][1]))
                    found[Place(study, entry["row"], entry["column"], entry["label"], of)] = Number(
                        one["mean"],
                        Estimate(None if one["mean"] is None else scale(one["mean"]), bounds, one["n"], one["over"]),
                        {replicate: scale(value) for replicate, value in one["values"].items()},
                        tuple(one["stages"]),
                        {replicate: seen(one["stages"], replicate) for replicate in one["values"]},
                        entry,
                    )
    return found


def _log(ratio: float) -> float:
    return math.log(max(ratio, TINY))


def judged(found: list[tuple[Place, Number, Number]]) -> list[dict[str, Any]]:
    """Return a line a number, what moved first. A comparison that stands in several tables is tested once."""
    keys = [(place.of, here.entry["metric"], here.stages, there.stages) for place, here, there in found]
    asked = {key: _estimated(here, there) for key, (_, here, there) in zip(keys, found, strict=True)}
    tested = [key for key, (how, *_) in asked.items() if how != SAME]
    family = dict(zip(tested, judge_family([asked[key][1:] for key in tested]), strict=True))
    lines = []
    for key, (place, here, there) in zip(keys, found, strict=True):
        how, shown, p, _ = asked[key]
        result = family.get(key)
        line = place._asdict() | {"unit": here.entry["unit"], "here": here.mean, "there": there.mean}
        line |= {"effect": shown.mean, "interval": shown.interval, "n": shown.n, "how": how, "p": p}
        line |= {"p_adjusted": result.adjusted if result else None}
        line |= {"state": result.state if result else "differs" if shown.mean else "identical"}
        lines.append(line | {"cell": here.entry["cell"], "cell_there": there.entry["cell"]})
    return sorted(lines, key=lambda line: (ORDER.index(line["state"]), line["p"] or 0.0))


def _estimated(here: Number, there: Number) -> tuple[str, Estimate, float | None, float]:
    """Return how two numbers are compared, here - there with its interval, the p of "no difference" where known, and the margin."""
    margin = POINTS if here.entry["unit"] else SHARE
    shared = [replicate for replicate in here.values if replicate in there.values]
    changes = [here.values[replicate] - there.values[replicate] for replicate in shared]
    if shared and here.stages == there.stages:
        return SAME, Estimate(max(changes, key=abs), None, len(shared)), None, margin
    if len(shared) >= ENOUGH and all(here.videos[replicate] == there.videos[replicate] for replicate in shared):
        how, shown, p = "paired", estimate(changes), t_p(changes)
    elif min(len(here.values), len(there.values)) < ENOUGH:
        return "unpaired", apart(here.shown, there.shown), None, margin
    else:
        how, (shown, p) = "unpaired", welch(list(here.values.values()), list(there.values.values()))
    low, high = shown.interval or (0.0, 0.0)
    alike = high - low < TINY < abs(high)  # a few videos' accuracies move in equal steps: no spread to judge by
    return how, shown, None if alike else p, margin


def facts(report: dict[str, Any]) -> dict[str, str]:
    """Return the settings of a report, and what its runs were computed with, as texts by name."""
    runs, protocol = report["runs"], report["protocol"]
    found = {name: str(report[name] or "") for name in ("scale", "dataset", "overrides", "command")}
    found |= {"given weights": (report["pretrained"] or {}).get("sha256", ""), "replicates": listed(report["replicates"])}
    found |= {"protocol": f"{protocol['name']} {protocol['version']}", "commits": _several(runs["commits"])}
    for kind in ("versions", "hardware"):
        for name in dict.fromkeys(name for one in runs[kind] for name in one if name != "runs"):
            found[name] = _several(str(one.get(name, "")) for one in runs[kind])
    seen = [run["data"] or {} for run in runs["list"]]
    for part in dict.fromkeys(part for data in seen for part in data):
        found[f"videos of {part}"] = _several(data[part] for data in seen if part in data)
    return found


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    """Return the verdict of each claim by its id, kind and measure."""
    return {f"{one['id']} {one['kind']}, {one['metric']}": one["verdict"] for one in report["claims"]}


def _changed(here: dict[str, str], there: dict[str, str]) -> list[dict[str, str]]:
    """Return what is not the same on both sides."""
    found = [(name, here.get(name, ""), there.get(name, "")) for name in dict.fromkeys((*here, *there))]
    return [{"name": name, "here": one, "there": other} for name, one, other in found if one != other]


def _several(texts: Iterable[str]) -> str:
    found = sorted(set(texts))
    return ", ".join(found[:FEW]) + (f" and {len(found) - FEW} more" if len(found) > FEW else "")


def summary(page: Path) -> list[str]:
    """Return a report's comparison in a few lines: what came of the numbers, what else is not the same, what moved most clearly."""
    found = json.loads(page.with_name("report.json").read_text(encoding="utf-8"))["against"]
    counts = ", ".join(f"{count} {state}" for state, count in found["states"].items())
    told = [f"against {found['other']}: {len(found['numbers'])} numbers: {counts}"]
    if any(found["only"]):
        told.append("{} numbers are only here, {} only there".format(*found["only"]))
    for one in found["settings"] + found["verdicts"]:
        told.append(f"{one['name']}: {one['here'] or 'none'}, there {one['there'] or 'none'}")
    moved = [line for line in found["numbers"] if line["state"] in MOVED]
    for line in moved[:FEW]:
        name = "/".join(filter(None, (line["study"], line["row"], line["column"])))
        here, there = (number(line[side], 1 if line["unit"] else 3) for side in ("here", "there"))
        told.append(f"{name}, {line['label']}, {line['of']}: {here}, there {there}: {said(line)}")
    return [*told, *([f"{len(moved) - FEW} more moved: report/tables/against.csv"] if len(moved) > FEW else [])]


def write(found: dict[str, Any], folder: Path) -> Path:
    """Write against.csv, a line a number, to 6 significant digits."""
    lines = pd.DataFrame(found["numbers"])
    bounds = lines.pop("interval").map(lambda bounds: bounds or (None, None))
    lines = lines.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])
    write_csv(lines, folder / "against.csv")
    return folder / "against.csv"
