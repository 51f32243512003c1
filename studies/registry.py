"""All studies: the paper's tables and figures in its order, and apart from them the findings, which go beyond it."""

from __future__ import annotations

from fame.errors import FameError
from studies import (
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
from studies.findings import camera, figure_size, learning_rates, likeness, quirks, sampling, schedules, shortcut, true_mask
from studies.study import Study

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

ASKED = (schedules, learning_rates, shortcut, camera, likeness, figure_size, sampling, true_mask, quirks)
FINDINGS: tuple[Study, ...] = tuple(module.STUDY for module in ASKED)
ALL_FINDINGS = "findings"  # the name that stands for all of them
SELECTION = selection.STUDY.name  # what is fixed on selection worlds; neither a table nor a finding, so asked for alone
FOR_CLAIMS = "claims"  # the name that stands for all that claims are judged by: the paper's studies, and findings that test a claim


def questions() -> dict[str, str]:
    """What each finding asks, by its name: the question that its file begins with."""
    found: dict[str, str] = {}
    for module in ASKED:
        asks, mark, _ = (module.__doc__ or "").partition("\n")[0].partition("?")
        found[module.STUDY.name] = asks + mark if mark else module.STUDY.title
    return found


def studies(names: list[str] | None = None) -> tuple[Study, ...]:
    """The named studies in the order above; the paper's, and no finding, where none is named.

    `findings` names all findings, `claims` all studies that claims are judged by; `selection`, asked for alone, is what is fixed on
    selection worlds. An unknown name is a FameError that lists the known ones.
    """
    if not names:
        return STUDIES
    if SELECTION in names:
        if set(names) != {SELECTION}:
            raise FameError(f"{SELECTION} runs on worlds of its own, so it is asked for alone")
        return (selection.STUDY,)
    groups = {ALL_FINDINGS: FINDINGS, FOR_CLAIMS: (*STUDIES, *(study for study in FINDINGS if study.claims))}
    asked = set(names) | {study.name for name in names for study in groups.get(name, ())}
    known = [study.name for study in (*STUDIES, *FINDINGS)]
    unknown = sorted(asked - {*known, *groups})
    if unknown:
        papers, others = ", ".join(known[: len(STUDIES)]), ", ".join(known[len(STUDIES) :])
        all_of_them = f"the studies are {papers}; the {ALL_FINDINGS} are {others}; alone: {SELECTION}"
        raise FameError(f"unknown study {', '.join(unknown)}; {all_of_them}")
    return tuple(study for study in (*STUDIES, *FINDINGS) if study.name in asked)
