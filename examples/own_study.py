"""A table of your own, of rows that exist: `reproduce-paper --plugin examples/own_study.py --only temperature`."""

from studies.study import Row, Study, deranged, fame, moco, top1

STUDY = Study(
    name="temperature",
    title="Does a colder contrast need merging as much?",
    paper="",
    claims=(),
    rows=(
        *(Row(f"MoCo at {t}", moco(moco={"temperature": t})) for t in (0.07, 0.2)),
        *(Row(f"FAME at {t}", fame(moco={"temperature": t})) for t in (0.07, 0.2)),
    ),
    measures=(top1("A", "probe"), deranged("A")),
)
