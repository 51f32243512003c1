"""List the cells behind a report's numbers: values a replicate, where their runs lie, and the command that makes just that row."""

import shlex
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from fame.errors import FameError
from reports.evidence import Evidence
from studies.harness.store import Store
from studies.mirrored import noted
from studies.paper.headline import MEASURES
from studies.records import ROWS, Cell, read


def cells(evidence: Evidence, chosen: Iterable[Cell] | None = None) -> list[dict[str, Any]]:
    """Return a cell an evaluation: id, rows, values by metric and replicate, runs, commits, command; `chosen` None: all cells."""
    found: dict[str, dict[str, Any]] = {}
    mirrored, listed = noted(evidence.store.out), evidence.records.listed
    for cell in chosen if chosen is not None else (cell for cell in evidence.records.cells if cell.study):
        runs = evidence.records.runs(cell.method, cell.evaluation, cell.target)
        if runs is None:
            continue
        if runs.id not in found:
            results = {number: evidence.result(runs.id, number) for number in evidence.replicates}
            done = {number: result for number, result in results.items() if result}
            found[runs.id] = {
                "cell": runs.id,
                "label": f"{cell.evaluation} on {cell.target}: {cell.method or 'masks'}",
                "rows": [],
                "values": {},
                "runs": [f"runs/{stage}/{number}" for stage in runs.needed() for number in listed[stage].replicates],
                "mlflow": [run for number in done if (run := mirrored.get(f"{runs.id}/{number}"))],
                "commits": sorted({str(result.get("commit") or "unknown") for result in done.values()}),
                "machines": sorted({str((result.get("hardware") or {}).get("processor", "")) for result in done.values()} - {""}),
                "command": command(evidence, cell),
            }
        one = found[runs.id]
        if cell.name not in one["rows"]:
            one["rows"].append(cell.name)
        values = evidence.values(runs, cell.metric)
        one["values"][cell.label or cell.metric] = {str(number): value for number, value in values.items()}
    for method, measure in product(evidence.about["headline"].values(), MEASURES.values()):  # the headline's numbers, too
        runs = evidence.records.runs(method, measure.protocol, measure.target)
        if runs and runs.id in found and (values := evidence.values(runs, measure.metric)):
            found[runs.id]["values"][measure.label] = {str(number): value for number, value in values.items()}
    return list(found.values())


def command(evidence: Evidence, cell: Cell) -> str:
    """Return the command that makes the row of a cell alone, with everything else as in the report's own command."""
    words = iter(shlex.split(evidence.about["command"] or "reproduce-paper"))
    kept = _without(words, ("--only", "--row"))
    return shlex.join([*kept, "--row", cell.row] if cell.study == ROWS else [*kept, "--only", cell.name])


def _without(words: Iterator[str], options: tuple[str, ...]) -> Iterator[str]:
    for word in words:
        if word in options:
            next(words, None)
        else:
            yield word


def show(store: Store, name: str) -> list[dict[str, Any]]:
    """Return the cells that `name` stands for: a cell's id, or STUDY, STUDY/ROW, STUDY/ROW/COLUMN. FameError for another."""
    records = read(store.out)
    chosen = [
        cell
        for cell in records.cells
        if cell.study and (name in cell.stages.split() or f"{cell.study}/{cell.row}/{cell.column}/".startswith(f"{name}/"))
    ]
    if not chosen:
        near = ", ".join(dict.fromkeys(f"{cell.study}/{cell.row}" for cell in records.cells if cell.study))
        raise FameError(f"{name}: no cell and no row of the study in {store.out}; its rows are {near}")
    return cells(Evidence(store, records), chosen)
