"""Read what a study's numbers are and which runs hold them: OUT/cells.csv and OUT/study.json, written when a study runs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fame.errors import FameError
from fame.files import read_json, write_atomically, write_json
from studies.study import MEAN, Measure, Method

CELLS, STUDY = "cells.csv", "study.json"
ROWS = "rows"  # the study of typed rows (`--row`)
EARLIER = "earlier"  # folder of reports on other studies in the same OUT


@dataclass(frozen=True)
class Cell:
    """Hold one number that is shown or judged by: a line of cells.csv. Empty texts where a field has nothing to say."""

    study: str = ""  # empty for numbers that stand in no table: sides of claims, gates and the headline
    row: str = ""
    column: str = ""
    label: str = ""
    metric: str = ""
    unit: str = ""
    kind: str = ""
    method: str = ""  # Method.text
    evaluation: str = ""
    target: str = ""
    stages: str = ""  # ids, one a fold, of the runs that hold `metric`
    upstream: str = ""  # ids of the pretrainings that they look at
    baseline: str = ""
    baseline_method: str = ""
    published: str = ""  # percent or points
    published_difference: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """Return STUDY/ROW/COLUMN, as `--only` takes it."""
        return "/".join(filter(None, (self.study, self.row, self.column)))


@dataclass(frozen=True)
class Runs:
    """Hold the ids of an evaluation's stage, one a fold, and of the pretrainings that it looks at."""

    kind: str  # empty for a mean over targets, whose videos are no one sample
    ids: tuple[str, ...]
    upstream: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.ids[0]

    def needed(self) -> tuple[str, ...]:
        """Return all ids, upstream first, each once."""
        return tuple(dict.fromkeys((*self.upstream, *self.ids)))


@dataclass(frozen=True)
class Listed:
    """Hold what is told of a run beside its result: its kind, a label for the eye, the studies that it serves, its replicates."""

    kind: str
    label: str
    studies: tuple[str, ...]
    replicates: tuple[int, ...] = ()


@dataclass(frozen=True)
class Records:
    """Hold the cells of a study and what was run on what; `about` is study.json (studies/setting/recording.py lists its keys)."""

    cells: tuple[Cell, ...]
    about: Mapping[str, Any]

    @cached_property
    def _found(self) -> dict[tuple[str, str, str], Runs]:
        found = {}
        for cell in self.cells:
            if cell.stages:
                kind = "" if cell.target == MEAN else cell.evaluation
                runs = Runs(kind, tuple(cell.stages.split()), tuple(cell.upstream.split()))
                found[cell.method, cell.evaluation, cell.target] = runs
        return found

    def runs(self, method: str, evaluation: str, target: str) -> Runs | None:
        """Return the runs behind a number by `Method.text`; None where the dataset lacks a part of it, or it is not recorded."""
        return self._found.get((method, evaluation, target))

    def find(self, method: Method | None, measure: Measure) -> Runs | None:
        """Return the runs behind one side of a comparison; None as `runs`."""
        return self.runs(method.text if method else "", measure.protocol, measure.target)

    def table(self, study: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.study == study]

    @cached_property
    def listed(self) -> dict[str, Listed]:
        """Return every run of the studies' tables by stage id, a pretraining before what looks at it."""
        found: dict[str, Listed] = {}
        known = {study["name"]: study["replicates"] for study in self.about["studies"]}
        for cell in (cell for cell in self.cells if cell.study):
            trained = Listed("pretrain", f"pretrain {cell.method}", ())
            evaluated = Listed(cell.evaluation, f"{cell.evaluation} {cell.target}", ())
            for ids, new in ((cell.upstream, trained), (cell.stages, evaluated)):
                for stage in ids.split():
                    one = found.get(stage, new)
                    serves, numbers = (
                        dict.fromkeys((*one.studies, cell.study)),
                        {*one.replicates, *known.get(cell.study, self.about["replicates"])},
                    )
                    found[stage] = replace(one, studies=tuple(serves), replicates=tuple(sorted(numbers)))
        return found

    def write(self, out: Path) -> Path | None:
        """Write OUT/cells.csv and OUT/study.json, each atomically; return where a report on another study was put aside."""
        kept = _put_aside(out, str(self.about["command"]))
        text = io.StringIO()
        lines = csv.DictWriter(text, [field.name for field in fields(Cell)], lineterminator="\n")
        lines.writeheader()
        lines.writerows(asdict(cell) for cell in self.cells)
        write_atomically(out / CELLS, lambda beside: beside.write_text(text.getvalue(), encoding="utf-8"))
        write_json(out / STUDY, dict(self.about))
        return kept


def _put_aside(out: Path, command: str) -> Path | None:
    """Move OUT/report to OUT/earlier/NAME, with its records, where it was made by another command; None where there is none."""
    shutil.rmtree(out / EARLIER / _name(command), ignore_errors=True)  # what is made anew now
    before = read_json(out / STUDY).get("command")
    if before in (None, command) or not (out / "report" / "index.html").exists():
        return None
    kept = out / EARLIER / _name(str(before))
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(exist_ok=True)
    (out / "report").rename(kept)
    for name in (CELLS, STUDY):
        shutil.copy2(out / name, kept / name)
    return kept


def _name(command: str) -> str:
    return hashlib.sha256(command.encode()).hexdigest()[:8]


def earlier(out: Path) -> dict[str, str]:
    """Return the commands of the reports that were put aside in OUT, by their folder's name in OUT/earlier."""
    return {
        folder.name: str(command)
        for folder in sorted((out / EARLIER).glob("*"))
        if (command := read_json(folder / STUDY).get("command"))
    }


class Recorded(dict[str, Any]):
    """Hold an object of study.json; FameError for a key that another version of the program has not written."""

    def __missing__(self, key: str) -> Any:
        mend = "type the study's command again, which records it anew and runs nothing twice"
        raise FameError(f"{STUDY} has no {key!r}: it is of another version of this program; {mend}")


def read(out: Path) -> Records:
    """Return what was recorded in OUT. FameError where nothing was run there, or a file is damaged."""
    known = {field.name for field in fields(Cell)}
    try:
        about = Recorded(json.loads((out / STUDY).read_text(encoding="utf-8"), object_hook=Recorded))
        with (out / CELLS).open(newline="", encoding="utf-8") as file:  # columns of another version are passed over or empty
            lines = [{name: value or "" for name, value in line.items() if name in known} for line in csv.DictReader(file)]
        cells = tuple(Cell(**line) for line in lines)
        if not cells:
            raise ValueError("empty")
    except FileNotFoundError:
        why = f"nothing was run there yet (no {CELLS}); name the folder with --out, or run something"
        raise FameError(f"{out}: {why}") from None
    except (OSError, ValueError, TypeError) as error:
        raise FameError(f"{out}: {CELLS} or {STUDY} is damaged ({error}); run the study again, which writes both anew") from None
    return Records(cells, about)
