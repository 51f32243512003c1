"""Table 4 and figure 4: which mask cuts out the foreground; the last rows after pretraining on the larger source."""

from collections.abc import Iterable

from fame.config import MASKS
from studies.study import Measure, Row, Study, deranged, fame, gap, moco, top1

STUDY = Study(
    name="foreground_mask",
    title="Foreground mask",
    paper="table 4, figure 4",
    claims=("C3", "C4", "C11"),
    rows=(
        Row("baseline", moco()),
        Row("Gauss", fame(variant="gauss")),
        Row("Seed", fame(variant="seed")),
        Row("Grid", fame(variant="grid")),
        Row("FAME", fame()),
        Row("Grid", fame(variant="grid", on="source"), column="source"),
        Row("FAME", fame(on="source"), column="source"),
    ),
    measures=(top1("A"), top1("B"), deranged("A"), gap("A")),
)


def quality(variants: Iterable[str]) -> tuple[Measure, ...]:
    """Return how well each mask, cut at beta 0.5, covers the true figure."""
    return tuple(
        Measure(f"{variant}/0.5/paper/{measure}", "masks", "A", f"{variant} {measure}", kind="mechanism")
        for variant in variants
        for measure in ("recall_lift", "iou", "auroc", "recall_still")
    )


MASK_QUALITY = Study(
    name="mask_quality",
    title="Quality of the masks against the true figure",
    paper="figure 4",
    claims=("C11",),
    rows=(Row("masks"),),
    measures=quality(MASKS),
)
