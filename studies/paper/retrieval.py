"""Table 6: nearest neighbours of test videos among training videos, on frozen features."""

from studies.study import Row, Study, fame, moco, random_init, recall_at

STUDY = Study(
    name="retrieval",
    title="Video retrieval",
    paper="table 6",
    claims=("C9",),
    rows=(
        Row("random init", random_init()),
        Row("MoCo", moco()),
        Row("FAME", fame()),
        Row("MoCo", moco("source"), column="source"),
        Row("FAME", fame(on="source"), column="source"),
    ),
    measures=(
        *(recall_at(k, "A") for k in (1, 5, 10, 20, 50)),
        recall_at(1, "A", "deranged"),
        *(recall_at(k, "B") for k in (1, 5, 10, 20, 50)),
    ),
    note="Table 6 has no MoCo row: the comparison with it is ours.",
)
