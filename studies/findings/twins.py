"""What most findings consist of: the baseline and FAME side by side at each setting, what is measured of them, and the gate's rows.

A finding's rows of random initialisation, one for each world that it tests in, say whether the baseline learnt anything there
(reports/gate.py). They cost a probe each, and are compared with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from studies.findings.contrasts import Terms, difference
from studies.study import Measure, Row, Value, balanced, deranged, fame, gap, moco, random_init, top1

BASELINE, FAME, RANDOM = "baseline", "FAME", "random init"  # rows; the setting is the column
START = Row(RANDOM, random_init(), gate=True)  # of the scale's own world
MEASURES = (top1("A", "probe"), deranged("A"), balanced("A"), gap("A"))
MASK_MEASURES = tuple(
    Measure(f"{variant}/0.5/paper/{measure}", "masks", "A", f"{word} mask, {said}", kind="mechanism")
    for variant, word in (("fame", "FAME"), ("seed", "Seed"))
    for measure, said in (("recall_lift", "recall lift"), ("auroc", "AUROC"))
)
MASK_LIFT, SEED_LIFT = MASK_MEASURES[0], MASK_MEASURES[2]


def world(label: str, at: float, changes: Mapping[str, Value]) -> tuple[Row, Row, Row]:
    """Both methods in a changed world, in which they are tested too, and the gate's row of that world."""
    return (
        Row(BASELINE, moco(world=changes), label, at),
        Row(FAME, fame(world=changes), label, at),
        Row(RANDOM, random_init(world=changes), label, at, gate=True),
    )


def optim(label: str, at: float, changes: Mapping[str, Value]) -> tuple[Row, Row]:
    """Both methods, pretrained otherwise."""
    return Row(BASELINE, moco(optim=changes), label, at), Row(FAME, fame(optim=changes), label, at)


def gain(column: str, row: str = FAME) -> Terms:
    """By how much a row is above the baseline of its column."""
    return difference((row, column), (BASELINE, column))
