"""What most findings consist of: the baseline and FAME side by side at each setting, and what is measured of them."""

from __future__ import annotations

from collections.abc import Mapping

from studies.study import Measure, Row, Value, balanced, deranged, fame, gap, moco, top1

BASELINE, FAME = "baseline", "FAME"  # rows; the setting is the column
MEASURES = (top1("A", "probe"), deranged("A"), balanced("A"), gap("A"))
MASK_MEASURES = tuple(
    Measure(f"{variant}/0.5/paper/{measure}", "masks", "A", f"{word} mask, {said}", kind="mechanism")
    for variant, word in (("fame", "FAME"), ("seed", "Seed"))
    for measure, said in (("recall_lift", "recall lift"), ("auroc", "AUROC"))
)


def world(label: str, at: float, changes: Mapping[str, Value]) -> tuple[Row, Row]:
    """Both methods in a changed world, in which they are tested too."""
    return Row(BASELINE, moco(world=changes), label, at), Row(FAME, fame(world=changes), label, at)


def optim(label: str, at: float, changes: Mapping[str, Value]) -> tuple[Row, Row]:
    """Both methods, pretrained otherwise."""
    return Row(BASELINE, moco(optim=changes), label, at), Row(FAME, fame(optim=changes), label, at)
