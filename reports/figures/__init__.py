"""Figures 1, 3 and 4, the ablations' effects, retrieved videos, the findings' and the training curves: as png, svg, pdf and csv."""

from pathlib import Path
from typing import Any

from reports.evidence import Evidence
from reports.figures import curves, effects, kernels, neighbours, pictures, training
from reports.figures.style import Drawn
from studies.paper.tables import ACTIVATION_MAPS, MASK_QUALITY

PAPERS = (
    (ACTIVATION_MAPS, pictures.draw_maps),
    (MASK_QUALITY, pictures.draw_masks),
)


def draw_all(evidence: Evidence, tables: dict[str, list[dict[str, Any]]], folder: Path) -> list[Drawn]:
    """Draw the figures of the studies in `tables` (entries of report.json by study) that have run, and the training curves."""
    drawn = [draw(evidence, tables[study.name], folder) for study, draw in PAPERS if study.name in tables]
    drawn += [
        draw(evidence, name, found, folder)
        for draw in (kernels.draw, effects.draw, curves.draw, neighbours.draw)
        for name, found in tables.items()
    ]
    return [figure for figure in (*drawn, training.draw(evidence, folder)) if figure]
