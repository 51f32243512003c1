"""Ask whether FAME gains on the user's own targets, beside what can be read without a network."""

from studies.study import Row, Study, fame, floor, moco, random_init, recall_at, top1

STUDY = Study(
    name="real_video",
    title="FAME on these videos",
    paper="beyond the paper",
    claims=("C9",),
    rows=(
        Row("mean frame", floor("mean_frame")),
        Row("mean frame difference", floor("frame_difference")),
        Row("file facts", floor("file_facts")),
        Row("random init", random_init()),
        Row("baseline", moco()),
        Row("FAME", fame()),
    ),
    measures=(top1("A", "probe"), recall_at(1, "A")),
)
