"""All studies: the paper's tables and figures in its order, and apart from them the findings, which go beyond it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import ModuleType
from typing import Literal

from fame import plugins
from fame.config import MASKS, OBJECTIVES, PLUGGED
from fame.errors import FameError
from studies.findings import backgrounds, constants, masks, real_video, schedules, worlds
from studies.findings.contrasts import Finding
from studies.paper import (
    action_recognition,
    activation_maps,
    area_ratio,
    background_source,
    diving48,
    foreground_mask,
    retrieval,
    selection,
    temporal_kernels,
)
from studies.study import Row, Study, fame, pretext

STUDIES: tuple[Study, ...] = (
    area_ratio.STUDY,
    diving48.STUDY,
    background_source.STUDY,
    foreground_mask.STUDY,
    foreground_mask.MASK_QUALITY,
    action_recognition.STUDY,
    retrieval.STUDY,
    temporal_kernels.STUDY,
    activation_maps.STUDY,
)

FINDINGS: tuple[Finding, ...] = (
    schedules.SCHEDULES,
    schedules.LEARNING_RATES,
    worlds.SHORTCUT,
    worlds.CAMERA,
    worlds.LIKENESS,
    worlds.FIGURE_SIZE,
    constants.SAMPLING,
    masks.POSITIVE_CONTROL,
    schedules.LONGER_CONTROL,
    backgrounds.OTHER_FIGURE,
    backgrounds.INPAINTED_BACKGROUND,
    backgrounds.FILLED_ELSEWHERE,
    masks.TRUE_MASK,
    constants.QUIRKS,
)
ALL_FINDINGS = "findings"  # the name that stands for all of them
SELECTION = selection.STUDY.name  # what is fixed on selection worlds; neither a table nor a finding, so asked for alone
REAL_VIDEO = real_video.STUDY  # of the user's own videos
FOR_CLAIMS = "claims"  # all that claims are judged and read by: the paper's studies, findings that test a claim, the control


# the tables that look at an encoder whatever it was trained for: the part that a plugin's objective is trained on there
DOWNSTREAM: dict[str, Literal["A", "source"]] = {
    action_recognition.STUDY.name: "source",
    diving48.STUDY.name: "A",
    retrieval.STUDY.name: "A",
    temporal_kernels.STUDY.name: "A",
    activation_maps.STUDY.name: "A",
}


def paper_studies() -> tuple[Study, ...]:
    """Return the paper's studies with the rows of loaded plugins, and after them the plugins' own studies.

    A plugin's mask is a row of table 4 and of its figure; its pretraining, with default fields, a row of each table of
    `DOWNSTREAM`. FameError where a study's name is taken, or something is registered as a study that is none.
    """
    own = [study for module in plugins.modules() for study in _studies_of(module)]
    names = Counter(study.name for study in (*STUDIES, *FINDINGS, REAL_VIDEO, selection.STUDY, *own))
    if taken := next((study.name for study in own if names[study.name] > 1), None):
        raise FameError(f"a plugin's study {taken!r}: the name is taken")
    return (*(_with_plugins(study) for study in STUDIES), *own)


def _studies_of(module: ModuleType) -> list[Study]:
    one, several = getattr(module, "STUDY", None), getattr(module, "STUDIES", ())
    found = [*([one] if one is not None else []), *several]
    if wrong := next((study for study in found if not isinstance(study, Study)), None):
        raise FameError(f"--plugin {module.__file__}: STUDY must be a studies.study.Study, not {type(wrong).__name__}")
    return found


def _with_plugins(study: Study) -> Study:
    """The study with a row for each mask or objective of a plugin; itself where there is none for it."""
    if study == foreground_mask.STUDY and PLUGGED:
        return replace(study, rows=(*study.rows, *(Row(MASKS[name], fame(variant=name)) for name in PLUGGED)))
    if study == foreground_mask.MASK_QUALITY and PLUGGED:
        return replace(study, measures=(*study.measures, *foreground_mask.quality(PLUGGED)))
    kinds = [one.model_validate({}) for one in OBJECTIVES.values() if one.model_fields["plugin"].default]
    if on := DOWNSTREAM.get(study.name) if kinds else None:
        column = on if study == diving48.STUDY else ""
        return replace(study, rows=(*study.rows, *(Row(one.kind, pretext(one, on), column) for one in kinds)))
    return study


def studies(names: list[str] | None = None) -> tuple[Study, ...]:
    """The named studies in the order above; the paper's, and no finding, where none is named.

    `findings` names all findings, `claims` all studies that claims are judged by; `selection`, asked for alone, is what is fixed on
    selection worlds. STUDY/ROW and STUDY/ROW/COLUMN name single rows of a study, which is then reduced to them. An unknown name is
    a FameError that lists the known ones.
    """
    if not names:
        return paper_studies()
    papers = paper_studies()
    of_rows = [name for name in names if "/" in name]
    asked_whole = [name for name in names if "/" not in name]
    names = asked_whole + [name.partition("/")[0] for name in of_rows]
    if SELECTION in names:
        if set(names) != {SELECTION}:
            raise FameError(f"{SELECTION} runs on worlds of its own, so it is asked for alone")
        return (selection.STUDY,)
    groups = {
        ALL_FINDINGS: FINDINGS,
        FOR_CLAIMS: (*papers, *(study for study in FINDINGS if study.claims or study.with_claims)),
    }
    asked = set(names) | {study.name for name in names for study in groups.get(name, ())}
    known = [study.name for study in (*papers, *FINDINGS, REAL_VIDEO)]
    unknown = sorted(asked - {*known, *groups})
    if unknown:
        ours, others = ", ".join(known[: len(papers)]), ", ".join(known[len(papers) :])
        all_of_them = f"the studies are {ours}; the {ALL_FINDINGS} are {others}; alone: {SELECTION}"
        raise FameError(f"unknown study {', '.join(unknown)}; {all_of_them}")
    whole = set(asked_whole) | {study.name for name in asked_whole for study in groups.get(name, ())}
    chosen = (study for study in (*papers, *FINDINGS, REAL_VIDEO) if study.name in asked)
    return tuple(study if study.name in whole else _reduced(study, of_rows) for study in chosen)


def declared(name: str) -> Study | None:
    """Return the whole study of that name; None where this program, with the plugins that are loaded, declares none."""
    return next((study for study in (*paper_studies(), *FINDINGS, REAL_VIDEO, selection.STUDY) if study.name == name), None)


def named(study: Study) -> list[str]:
    """The names by which `studies` finds it: its own, or one for each row where it is reduced to some."""
    if any(study == full for full in (*paper_studies(), *FINDINGS, REAL_VIDEO, selection.STUDY)):
        return [study.name]
    return [row_name(study, row) for row in study.rows]


def row_name(study: Study, row: Row) -> str:
    """`area_ratio/0.5/single`. An empty column is left out, but for the slash where the row's label has other columns, too."""
    full = next((full for full in (*paper_studies(), *FINDINGS, REAL_VIDEO) if full.name == study.name), study)
    alone = sum(other.label == row.label for other in full.rows) == 1
    return "/".join((study.name, row.label) if alone and not row.column else (study.name, row.label, row.column))


def _reduced(study: Study, names: list[str]) -> Study:
    """The study with the rows that are named; STUDY/ROW stands for all columns of that row."""
    known = {row_name(study, row): row for row in study.rows}
    asked = [name for name in names if name.partition("/")[0] == study.name]
    found = {name: [row for full, row in known.items() if full == name or full.startswith(f"{name}/")] for name in asked}
    missing = next((name for name, rows in found.items() if not rows), None)
    if missing:
        raise FameError(f"unknown row {missing!r}; the rows are {'; '.join(known)}")
    return replace(study, rows=tuple(row for row in study.rows if any(row in rows for rows in found.values())))
