"""All studies: the paper's tables and figures in its order, and apart from them the findings, which go beyond it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from types import ModuleType
from typing import Literal

from fame import plugins
from fame.config import MASKS, OBJECTIVES, PLUGGED
from fame.errors import FameError
from studies.findings import changes, controls
from studies.findings.contrasts import Finding
from studies.findings.real_video import OF_TARGETS
from studies.paper import tables
from studies.paper.headline import HEADLINE
from studies.paper.tables import SELECTION_WORLDS, STUDIES
from studies.study import Row, Study, fame, pretext

FINDINGS: tuple[Finding, ...] = (
    changes.SCHEDULES,
    changes.LEARNING_RATES,
    changes.SHORTCUT,
    changes.CAMERA,
    changes.LIKENESS,
    changes.FIGURE_SIZE,
    changes.SAMPLING,
    controls.POSITIVE_CONTROL,
    changes.LONGER_CONTROL,
    controls.OTHER_FIGURE,
    controls.INPAINTED_BACKGROUND,
    controls.FILLED_ELSEWHERE,
    controls.TRUE_MASK,
    changes.QUIRKS,
)
BEYOND: tuple[Study, ...] = (*FINDINGS, *OF_TARGETS)
ALL_FINDINGS = "findings"  # the name that stands for all of them
SELECTION = SELECTION_WORLDS.name  # what is fixed on selection worlds; neither a table nor a finding, so asked for alone
FOR_CLAIMS = "claims"  # all that claims are judged and read by: the paper's studies, findings that test a claim, the controls

# the tables that look at an encoder whatever it was trained for: the part that a plugin's objective is trained on there
DOWNSTREAM: dict[str, Literal["A", "source"]] = {
    "action_recognition": "source",
    **dict.fromkeys(("diving48", "retrieval", "temporal_kernels", "activation_maps"), "A"),
}


def paper_studies() -> tuple[Study, ...]:
    """Return the paper's studies with rows of plugins, then the plugins' own; FameError for a taken name or what is no study."""
    own = [study for module in plugins.modules() for study in _studies_of(module)]
    names = Counter(study.name for study in (HEADLINE, *STUDIES, *BEYOND, SELECTION_WORLDS, *own))
    if taken := next((study.name for study in own if names[study.name] > 1), None):
        raise FameError(f"a plugin's study {taken!r}: the name is taken")
    if odd := next((study.name for study in own if not re.fullmatch(r"[\w-]{1,200}", study.name, re.ASCII)), None):
        raise FameError(f"a plugin's study {odd!r}: a name, also of files, has at most 200 letters, digits, _ and -")
    return (*(_with_plugins(study) for study in STUDIES), *own)


def _studies_of(module: ModuleType) -> list[Study]:
    found = [*([module.STUDY] if hasattr(module, "STUDY") else []), *getattr(module, "STUDIES", ())]
    if wrong := next((study for study in found if not isinstance(study, Study)), None):
        raise FameError(f"--plugin {module.__file__}: STUDY must be a studies.study.Study, not {type(wrong).__name__}")
    return found


def _with_plugins(study: Study) -> Study:
    if study == tables.FOREGROUND_MASK:
        return replace(study, rows=(*study.rows, *(Row(MASKS[name], fame(variant=name)) for name in PLUGGED)))
    if study == tables.MASK_QUALITY:
        return replace(study, measures=(*study.measures, *tables.quality(PLUGGED)))
    if on := DOWNSTREAM.get(study.name):
        kinds = [one.model_validate({}) for one in OBJECTIVES.values() if one.model_fields["plugin"].default]
        column = on if study == tables.DIVING48 else ""
        return replace(study, rows=(*study.rows, *(Row(one.kind, pretext(one, on), column) for one in kinds)))
    return study


def studies(names: list[str] | None = None, headline: Study = HEADLINE) -> tuple[Study, ...]:
    """Return the named studies in the order above, the `headline` first; the paper's, and no finding, where none is named.

    `findings` and `claims` name several; STUDY/ROW and STUDY/ROW/COLUMN reduce a study to rows. FameError for an unknown name.
    """
    papers = paper_studies()
    if not names:
        return papers
    if SELECTION in names:
        if set(names) != {SELECTION}:
            raise FameError(f"{SELECTION} runs on worlds of its own, so it is asked for alone")
        return (SELECTION_WORLDS,)
    of_claims = (*papers, *(study for study in FINDINGS if study.claims or study.with_claims))
    groups = {ALL_FINDINGS: FINDINGS, FOR_CLAIMS: of_claims}
    known = {study.name: study for study in (headline, *papers, *BEYOND)}
    whole = {study.name for name in names for study in groups.get(name, ())} | {name for name in names if name in known}
    of_rows = [name for name in names if name not in groups and name not in known]
    if unknown := sorted({name.partition("/")[0] for name in of_rows if "/" not in name or name.partition("/")[0] not in known}):
        ours, others = list(known)[: len(papers) + 1], list(known)[len(papers) + 1 :]
        all_of_them = f"the studies are {', '.join(ours)}; the {ALL_FINDINGS} are {', '.join(others)}; alone: {SELECTION}"
        raise FameError(f"unknown study {', '.join(unknown)}; {all_of_them}")
    some = {name.partition("/")[0] for name in of_rows} - whole
    return tuple(_reduced(study, of_rows) if name in some else study for name, study in known.items() if name in whole | some)


def declared(name: str) -> Study | None:
    """Return the whole study of that name; None where this program, with the plugins that are loaded, declares none."""
    return next((study for study in (HEADLINE, *paper_studies(), *BEYOND, SELECTION_WORLDS) if study.name == name), None)


def row_name(study: Study, row: Row) -> str:
    """Return `area_ratio/0.5/single`; an empty column is left out, but for the slash where the label has other columns, too."""
    alone = sum(other.label == row.label for other in (declared(study.name) or study).rows) == 1
    return "/".join((study.name, row.label) if alone and not row.column else (study.name, row.label, row.column))


def _reduced(study: Study, names: list[str]) -> Study:
    """Return the study with the rows that are named; STUDY/ROW stands for all columns of that row."""
    known = {row_name(study, row): row for row in study.rows}
    asked = [name for name in names if name.partition("/")[0] == study.name]
    found = {name: [row for full, row in known.items() if full == name or full.startswith(f"{name}/")] for name in asked}
    missing = next((name for name, rows in found.items() if not rows), None)
    if missing:
        raise FameError(f"unknown row {missing!r}; the rows are {'; '.join(known)}")
    return replace(study, rows=tuple(row for row in study.rows if any(row in rows for rows in found.values())))
