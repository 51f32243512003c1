"""All studies, in the paper's order."""

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
    temporal_kernels,
)
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


def studies(names: list[str] | None = None) -> tuple[Study, ...]:
    """The named studies in the paper's order; all where none is named. An unknown name is a FameError that lists the known ones."""
    known = {study.name: study for study in STUDIES}
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise FameError(f"unknown study {', '.join(unknown)}; the studies are {', '.join(known)}")
    return tuple(study for study in STUDIES if not names or study.name in names)
