"""Table 3: where the pasted background comes from. One still frame of another video is our addition (claim C12)."""

from studies.study import Row, Study, deranged, fame, gap, moco, top1

STUDY = Study(
    name="background_source",
    title="Source of the background",
    paper="table 3",
    claims=("C2", "C12"),
    rows=(
        Row("none", moco()),
        Row("intra-video", fame(background="intra")),
        Row("inter-video", fame()),
        Row("inter-video, still frame", fame(background="still")),
    ),
    measures=(top1("A"), top1("B"), deranged("A"), gap("A")),
    note="With a nearly still camera another clip of the same video shows the same background: "
    "intra-video is close to none by construction.",
)
