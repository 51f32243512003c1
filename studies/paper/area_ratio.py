"""Table 1: how much of the frame is kept as foreground, merging one view or both."""

from studies.study import Row, Study, balanced, deranged, fame, gap, moco, top1

STUDY = Study(
    name="area_ratio",
    title="Area ratio of the foreground region",
    paper="table 1",
    claims=("C1", "C5"),
    rows=(
        Row("1.0 (baseline)", moco()),
        *(Row(f"{beta}", fame(beta, views=views), column=views) for views in ("single", "both") for beta in (0.7, 0.5, 0.3)),
    ),
    measures=(top1("A"), top1("B"), deranged("A"), balanced("A"), gap("A")),
)
