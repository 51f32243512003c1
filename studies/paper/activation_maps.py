"""Figure 1: where the features are active, and what moves them more: another scene or another figure."""

from studies.study import Measure, Row, Study, fame, moco, random_init

STUDY = Study(
    name="activation_maps",
    title="Class-agnostic activation maps",
    paper="figure 1",
    claims=("C8",),
    rows=(Row("vanilla contrastive", moco()), Row("FAME", fame()), Row("random init", random_init())),
    measures=(
        Measure("auroc", "activation", "A", "AUROC against the figure", kind="mechanism"),
        Measure("exchange_ratio", "activation", "A", "scene exchanged / figure exchanged", kind="mechanism"),
    ),
)
