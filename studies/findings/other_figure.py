"""Does the other video's figure get in the way? Backgrounds that move, that stand still, and that hold no figure at all.

A background "from another video" is that video with its own moving figure, so a merged clip shows two. With the true figure for a
mask and the other clip's empty scene behind it nothing is left of merging but the paper's idea: same motion, another background. If
that gains and merging onto the moving video does not, the other figure is what stands in the way; if even that does not gain, this
benchmark has no room for the idea.

Only figures of the embedded benchmark can be taken out of their scenes. It runs with the claims, in all of their replicates, since
they are read by it. Declared after positive_control (eight replicates) and two replicates of longer_control (perfect mask minus
baseline at four times the epochs: -11.5 and -29.0 points) had been seen, before any run on empty scenes.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference
from studies.findings.true_mask import TRUE
from studies.study import Row, fame, moco

MOVING, STILL, EMPTY = "the moving video", "one still frame", "its empty scene"
IDEA = f"{TRUE}, on {EMPTY} - baseline"
ALONE, FAMES = f"{TRUE}: on {EMPTY} - on {MOVING}", f"FAME: on {EMPTY} - on {MOVING}"

CONTRASTS = (
    *(
        Contrast(f"{TRUE}, on {behind} - baseline", difference((TRUE, behind), (twins.BASELINE, "")))
        for behind in (MOVING, STILL, EMPTY)
    ),
    Contrast(f"FAME, on {EMPTY} - baseline", difference((twins.FAME, EMPTY), (twins.BASELINE, ""))),
    *(Contrast(f"{mask}: on {EMPTY} - on {MOVING}", difference((mask, EMPTY), (mask, MOVING))) for mask in (TRUE, twins.FAME)),
)

STUDY = Finding(
    name="other_figure",
    title="The other video's figure in the background",
    paper="a finding",
    claims=(),
    rows=(
        Row(twins.BASELINE, moco()),
        Row(twins.FAME, fame(), MOVING),
        Row(twins.FAME, fame(background="still"), STILL),
        Row(twins.FAME, fame(background="empty"), EMPTY),
        Row(TRUE, fame(variant="true"), MOVING),
        Row(TRUE, fame(variant="true", background="still"), STILL),
        Row(TRUE, fame(variant="true", background="empty"), EMPTY),
        twins.START,
    ),
    measures=twins.MEASURES,
    note="The column says what of the other video lies behind. Needs true masks, so it runs on the embedded benchmark alone.",
    question="Does the other video's figure get in the way?",
    contrasts=CONTRASTS,
    with_claims=True,
)
