"""Results on disk: one JSON file a call with everything, and its Markdown; and what is kept of each machine in docs/.

A call writes new files (named by machine and time), never over old ones. `keep` lays the outcomes into the machine's file in
docs/results/performance, where they take the place of the same benchmarks' older ones, and quotes all machines' targets in
docs/performance.md between its markers.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figures import UNMEASURED, Figure, Outcome, Target, number
from benchmarks.limits import Limits
from fame.errors import FameError
from fame.files import write_atomically, write_json
from studies.harness.hardware import commit, hardware, versions

BEGIN, END = "<!-- begin: written by python -m benchmarks --keep -->", "<!-- end: written by python -m benchmarks --keep -->"
VERSION = 1
Targets = dict[str, tuple[Target, ...]]


def record(outcomes: Iterable[Outcome], limits: Iterable[Limits], device: str, targets: Targets) -> dict[str, Any]:
    """Everything of one call, as JSON. `targets`: of every benchmark there is, by name, so that none goes unmentioned."""
    about = {"commit": commit(), "measured": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "versions": versions()}
    return {
        "version": VERSION,
        "hardware": hardware(device),
        "limits": [asdict(limit) for limit in limits],
        "outcomes": {outcome.benchmark: {**about, **outcome.to_json()} for outcome in outcomes},
        "targets": {name: [asdict(target) for target in some] for name, some in targets.items()},
    }


def write(found: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """New files NAME.json and NAME.md in `folder`. FameError where they cannot be written."""
    stem = f"{machine_name(found)}-{time.strftime('%Y%m%d-%H%M%S')}"
    number_ = 1
    while (folder / f"{stem}.json").exists() or (folder / f"{stem}.md").exists():
        number_ += 1
        stem = re.sub(r"(-\d{6})(-\d+)?$", rf"\1-{number_}", stem)
    return _write_pair(found, folder, stem)


def keep(found: dict[str, Any], docs: Path) -> tuple[Path, Path]:
    """Lay `found` into its machine's file below `docs`, and renew the quotation in docs/performance.md."""
    folder, stem = docs / "results" / "performance", machine_name(found)
    older = folder / f"{stem}.json"
    if older.exists():
        before = read(older)
        found = {**found, "outcomes": {**before["outcomes"], **found["outcomes"]}, "limits": found["limits"] or before["limits"]}
    written = _write_pair(found, folder, stem)
    page = docs / "performance.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise FameError(f"{page} has lost the markers {BEGIN!r} and {END!r}")
    head, _, rest = text.partition(BEGIN)
    quoted = quotation(folder)
    write_atomically(
        page, lambda beside: beside.write_text(f"{head}{BEGIN}\n{quoted}{END}{rest.partition(END)[2]}", encoding="utf-8")
    )
    return written


def quotation(folder: Path) -> str:
    """The targets of every kept machine, a section each: those that were measured there."""
    parts = []
    for path in sorted(folder.glob("*.json")):
        found = read(path)
        table = target_table(found, measured_only=True)
        left = sum(map(len, found["targets"].values())) - (table.count("\n") - 2)
        more = (
            f"All figures: [{path.stem}.md](results/performance/{path.stem}.md); there, too, why {left} targets were not measured."
        )
        parts.append(f"### {_machine(found)}\n\n{table}\n{more}\n")
    return "\n".join(parts)


def read(path: Path) -> dict[str, Any]:
    """A record. FameError where the file is none, or of another version."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] == VERSION and isinstance(found["outcomes"], dict):
            return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FameError(f"{path}: no record of the benchmarks ({error}); delete it, or take it back from git") from None
    raise FameError(f"{path}: a record of another version of the benchmarks; delete it")


def machine_name(found: dict[str, Any]) -> str:
    """A file name: the GPU or the processor, its cores, and the 8 hex that tell machines apart."""
    facts = found["hardware"]
    what = facts.get("gpu") or f"{facts['processor']} {facts['cores']} cores"
    return f"{re.sub(r'[^a-z0-9]+', '-', what.lower()).strip('-')}-{facts['machine']}"


def markdown(found: dict[str, Any]) -> str:
    """The page: machine and versions, the targets, the machine's limits, a table a benchmark."""
    lines = [f"# {_machine(found)}", "", "## What was to be reached", "", target_table(found)]
    if found["limits"]:
        lines += [
            "## The machine's own limits",
            "",
            "| threads | copy, GB/s | read, GB/s | products, Gop/s |",
            "| --- | --- | --- | --- |",
        ]
        for limit in found["limits"]:
            products = ", ".join(f"{name} {number(rate / 1e9)}" for name, rate in sorted(limit["matmul"].items()))
            lines.append(f"| {limit['threads']} | {number(limit['copy'] / 1e9)} | {number(limit['read'] / 1e9)} | {products} |")
        lines.append("")
    for value in found["outcomes"].values():
        outcome = Outcome.from_json(value)
        told = ", ".join(f"{name}: {_plain(given)}" for name, given in outcome.settings.items())
        packages = ", ".join(f"{name} {given}" for name, given in value["versions"].items() if name in ("python", "torch"))
        lines += [f"## {outcome.title}", "", f"{told}. Commit {_short(value['commit'])}, {value['measured']}, {packages}.", ""]
        lines += ["| figure | median | quartiles | unit | limit | of the limit | |", "| --- " * 7 + "|"]
        lines += [_row(figure) for figure in outcome.figures]
        lines += ["", *(f"{note}" for note in outcome.notes), *([""] if outcome.notes else [])]
    return "\n".join(lines).rstrip("\n") + "\n"


def target_table(found: dict[str, Any], measured_only: bool = False) -> str:
    """Every target there is: measured, with its quartiles and its verdict, or (unless `measured_only`) not, with the reason."""
    judged: dict[str, tuple[str, str]] = {}
    for value in found["outcomes"].values():
        outcome = Outcome.from_json(value)
        for target, why in outcome.unmeasured:
            judged[target.what] = ("", f"{UNMEASURED}: {why}")
        for figure in outcome.figures:
            if figure.target is not None:
                judged[figure.target.what] = (_measured(figure), figure.verdict)
    lines = ["| what | must be | measured (quartiles) | |", "| --- | --- | --- | --- |"]
    for name, some in found["targets"].items():
        for target in (Target(**given) for given in some):
            measured, verdict = judged.get(target.what, ("", f"{UNMEASURED}: benchmark `{name}` was not asked for"))
            if measured or not measured_only:
                lines.append(f"| {target.what} | {target.told} | {measured} | {verdict} |")
    return "\n".join(lines) + "\n"


def _write_pair(found: dict[str, Any], folder: Path, stem: str) -> tuple[Path, Path]:
    data, page = folder / f"{stem}.json", folder / f"{stem}.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(data, found)
        write_atomically(page, lambda beside: beside.write_text(markdown(found), encoding="utf-8"))
    except OSError as error:
        raise FameError(f"{folder}: cannot write there ({error.strerror}); choose another folder with --out") from None
    return data, page


def _machine(found: dict[str, Any]) -> str:
    facts = found["hardware"]
    return f"{facts['gpu'] + ', ' if 'gpu' in facts else ''}{facts['processor']}, {facts['cores']} cores"


def _short(commit: str) -> str:
    head, dash, state = commit.partition("-")
    return head[:12] + dash + state


def _measured(figure: Figure) -> str:
    middle, low, high = (number(value) for value in (figure.spread.median, figure.spread.low, figure.spread.high))
    return f"{middle} ({low} to {high})"


def _row(figure: Figure) -> str:
    found, least = figure.spread, figure.least
    limit = "" if least is None else number(least)
    distance = "" if not least else f"{number(found.median / least)} x"
    quartiles = f"{number(found.low)} to {number(found.high)}" if found.rounds > 1 else "one value"
    told = ", ".join(part for part in (figure.verdict, figure.note) if part)
    return f"| {figure.name} | {number(found.median)} | {quartiles} | {figure.unit} | {limit} | {distance} | {told} |"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {given}" for name, given in value.items())
    if isinstance(value, list) and value and all(isinstance(part, int) for part in value):
        return " x ".join(str(part) for part in value)
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
