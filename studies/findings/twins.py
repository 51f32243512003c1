"""Declare what most findings consist of: the baseline and FAME side by side in each column, and the gate's rows.

A finding's rows of random initialisation, one for each world that it tests in, say whether the baseline learnt anything there
(reports/gate.py). They cost a probe each, and are compared with nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from studies.findings.contrasts import Contrast, Terms, difference
from studies.study import Measure, Row, fame, moco, random_init

BASELINE, FAME, RANDOM = "baseline", "FAME", "random init"  # rows; the setting is the column
START = Row(RANDOM, random_init(), gate=True)  # of the scale's own world
MASK_MEASURES = tuple(
    Measure(f"{variant}/0.5/paper/{measure}", "masks", "A", f"{word} mask, {said}", kind="mechanism")
    for variant, word in (("fame", "FAME"), ("seed", "Seed"))
    for measure, said in (("recall_lift", "recall lift"), ("auroc", "AUROC"))
)
MASK_LIFT, SEED_LIFT = MASK_MEASURES[0], MASK_MEASURES[2]
OF_VIDEOS = "The masks are those of the row's videos, whichever method stands beside them."


def worlds(field: str, columns: Mapping[str, float], betas: Mapping[str, float | None] = {FAME: None}) -> tuple[Row, ...]:
    """Return baseline and FAME (rows of several betas) in each changed world, where they are tested too, and that world's gate."""
    return tuple(
        row
        for column, value in columns.items()
        for row in (
            Row(BASELINE, moco(world={field: value}), column, value),
            *(Row(label, fame(beta, world={field: value}), column, value) for label, beta in betas.items()),
            Row(RANDOM, random_init(world={field: value}), column, value, gate=True),
        )
    )


def optim(field: str, column: str, value: float) -> tuple[Row, Row]:
    """Return both methods, pretrained with another value of `Optim`'s field."""
    return Row(BASELINE, moco(optim={field: value}), column, value), Row(FAME, fame(optim={field: value}), column, value)


def gain(column: str, row: str = FAME) -> Terms:
    """Return by how much a row is above the baseline of its column."""
    return difference((row, column), (BASELINE, column))


def gains(columns: Iterable[str]) -> tuple[Contrast, ...]:
    """Return FAME's gain in each column."""
    return tuple(Contrast(f"FAME - baseline at {column}", gain(column)) for column in columns)
