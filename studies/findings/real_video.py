"""Ask on the user's own targets whether FAME gains, and whether the paper's ablations come out alike there.

Supervised training (figure 3) is left out: with the labels of all clips it would be tested on clips whose labels it
saw, and an encoder for each fold of each target is beyond a night.
"""

from studies.paper.tables import ENERGY
from studies.study import Row, Study, background_erasing, fame, floor, moco, random_init, recall_at, top1

NETWORKS = (Row("random init", random_init()), Row("baseline", moco()), Row("FAME", fame()))
MEASURES = (top1("A", "probe"), recall_at(1, "A"))

STUDY = Study(
    name="real_video",
    title="FAME on these videos",
    paper="beyond the paper",
    claims=("C9",),
    rows=(
        Row("mean frame", floor("mean_frame")),
        Row("mean frame difference", floor("frame_difference")),
        Row("file facts", floor("file_facts")),
        *NETWORKS,
    ),
    measures=MEASURES,
    leads=True,
)

ABLATIONS = Study(
    name="real_video_ablations",
    title="The paper's ablations on these videos",
    paper="tables 1, 3 and 4, figure 3",
    claims=("C1", "C2", "C3", "C5", "C7", "C9", "C12"),
    rows=(
        *NETWORKS,
        *(Row(f"FAME {beta}", fame(beta), "single") for beta in (0.3, 0.7)),
        *(Row(f"FAME {beta}", fame(beta, views="both"), "both") for beta in (0.3, 0.5, 0.7)),
        Row("background erasing", background_erasing()),
        Row("FAME, background of the same video", fame(background="intra")),
        Row("FAME, still background", fame(background="still")),
        Row("FAME, inpainted background", fame(background="inpainted")),
        Row("Gauss", fame(variant="gauss")),
        Row("Seed", fame(variant="seed")),
        Row("Grid", fame(variant="grid")),
    ),
    measures=(*MEASURES, *ENERGY),
    note="FAME: beta 0.5, one view merged, before another video of its own, where nothing else is said.",
)
OF_TARGETS = (STUDY, ABLATIONS)
