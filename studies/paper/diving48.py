"""Table 2: transfer to a set whose scenes say nothing of the action (Diving48; here target C)."""

from studies.study import Row, Study, background_erasing, fame, moco, random_init, top1

STUDY = Study(
    name="diving48",
    title="Transfer to a set without background cues",
    paper="table 2",
    claims=("C6",),
    rows=(
        Row("random init", random_init()),
        *(Row("BE", background_erasing(on), column=on) for on in ("A", "source")),
        *(Row("MoCo", moco(on), column=on) for on in ("A", "source")),
        *(Row("FAME", fame(on=on), column=on) for on in ("A", "source")),
    ),
    measures=(top1("C"),),
    note="The paper has no MoCo row in this table; ours is added for comparison.",
)
