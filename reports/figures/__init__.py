"""Figures 1, 3 and 4, the ablations' effects, the findings' and the training curves: as png, svg, pdf and csv."""

from __future__ import annotations

from pathlib import Path

from reports.evidence import Evidence
from reports.figures.style import Drawn

__all__ = ["Drawn", "draw_all"]


def draw_all(evidence: Evidence, tables: dict[str, list[dict]], folder: Path) -> list[Drawn]:
    """The figures of these studies for which the runs are there, in the paper's order, and the training curves.

    `tables` are the entries of report.json by study: the runs of other studies may lie in the same folder.
    """
    from reports.figures import activation, curves, effects, kernels, masks, training

    papers = ((activation.ACTIVATION_MAPS, activation), (kernels.TEMPORAL_KERNELS, kernels), (masks.MASK_QUALITY, masks))
    drawn = [room.draw(evidence, folder) for study, room in papers if study.name in tables]
    drawn += [effects.draw(evidence, name, found, folder) for name, found in tables.items()]
    drawn += [curves.draw(evidence, name, found, folder) for name, found in tables.items()]
    drawn.append(training.draw(evidence, folder))
    return [figure for figure in drawn if figure]
