"""Declare the findings on masks and backgrounds: what is kept of a clip, and what of the other video lies behind it.

A background "from another video" is that video with its own moving figure, so a merged clip shows two.
"""

from studies.findings.contrasts import BASELINE, FAME, START, Contrast, Finding, difference
from studies.study import Row, fame, moco

TRUE, GROWN = "true figure, own area", "true figure, grown to FAME's area"
OTHER, BLOB = "FAME's mask of another clip", "random blob"
NARROW, HALF = "FAME 0.3", "FAME 0.5"  # rows of FAME at a beta
MOVING, STILL, EMPTY = "the moving video", "one still frame", "its empty scene"
INPAINTED, ELSEWHERE = "inpainted by FAME's own mask", "as much filled elsewhere"
OF_TRUTH = "Needs true masks, so it runs on the embedded benchmark alone."


def minus(greater: str, lesser: str) -> Contrast:
    """Return the difference between two rows of a study without columns."""
    return Contrast(f"{greater} - {lesser}", difference((greater, ""), (lesser, "")))


def gain(mask: str, behind: str) -> Contrast:
    """Return a row's gain over the baseline, whose column is empty."""
    return Contrast(f"{mask}, {said(behind)} - baseline", difference((mask, behind), (BASELINE, "")))


def between(mask: str, behind: str, other: str) -> Contrast:
    """Return the difference between two backgrounds of one mask."""
    return Contrast(f"{mask}: {said(behind)} - {said(other)}", difference((mask, behind), (mask, other)))


def said(behind: str) -> str:
    return behind if behind in (INPAINTED, ELSEWHERE) else f"on {behind}"


# Merging with the true figure removes all of a clip's own background, which is what FAME's mask is for. If even this does
# not beat the baseline where scenes mislead, then no verdict on a mechanism speaks against FAME's mask: it speaks of
# merging under this benchmark's network and schedule.
POSITIVE_CONTROL = Finding(
    name="positive_control",
    title="Positive control: FAME with a perfect mask",
    question="Can this benchmark show a gain at all?",
    rows=(Row(BASELINE, moco()), Row(FAME, fame()), Row(TRUE, fame(variant="true")), *START),
    contrasts=(minus(TRUE, BASELINE), minus(FAME, BASELINE), minus(TRUE, FAME)),
    note=f"{OF_TRUTH} Crops and backgrounds are FAME's in every row.",
    with_claims=True,
)

# If the mask matters, the true figure is above FAME and FAME above the other clip's mask and a random blob of FAME's area,
# in deranged scenes. If blob and other mask do as well as FAME, what helps is pasting as such, not the foreground.
TRUE_MASK = Finding(
    name="true_mask",
    title="Is a better mask a better representation?",
    question="Is a better mask a better representation?",
    rows=(
        Row(BASELINE, moco()),
        Row(FAME, fame()),
        Row(TRUE, fame(variant="true")),
        Row(GROWN, fame(variant="dilated")),
        Row(OTHER, fame(variant="other")),
        Row(BLOB, fame(variant="blob")),
        *START,
    ),
    contrasts=(
        *(minus(mask, BASELINE) for mask in (FAME, TRUE, GROWN, OTHER, BLOB)),
        *(minus(mask, FAME) for mask in (TRUE, GROWN)),
        *(minus(FAME, mask) for mask in (OTHER, BLOB)),
    ),
    note=f"{OF_TRUTH} Crops and backgrounds are FAME's in every row.",
)

# With the true figure for a mask and the other clip's empty scene behind it nothing is left of merging but the paper's
# idea: same motion, another background. If that gains and merging onto the moving video does not, the other figure is what
# stands in the way; if even that does not gain, this benchmark has no room for the idea.
OTHER_FIGURE = Finding(
    name="other_figure",
    title="The other video's figure in the background",
    question="Does the other video's figure get in the way?",
    rows=(
        Row(BASELINE, moco()),
        Row(FAME, fame(), MOVING),
        Row(FAME, fame(background="still"), STILL),
        Row(FAME, fame(background="empty"), EMPTY),
        Row(TRUE, fame(variant="true"), MOVING),
        Row(TRUE, fame(variant="true", background="still"), STILL),
        Row(TRUE, fame(variant="true", background="empty"), EMPTY),
        *START[:1],  # the control stands above
    ),
    contrasts=(
        *(gain(TRUE, behind) for behind in (MOVING, STILL, EMPTY)),
        gain(FAME, EMPTY),
        *(between(mask, EMPTY, MOVING) for mask in (TRUE, FAME)),
    ),
    note=f"The column says what of the other video lies behind. {OF_TRUTH}",
    with_claims=True,
)

# Here no true mask is used: FAME makes a mask of every clip of the batch anyway, and that of the background's clip says
# what to take out of it, filled in from around it. If this gains what the empty scene gains, whoever has other videos can
# have it, too; if not, the mask is what falls short. A smaller beta takes less of the scene along with the figure, and
# leaves more of the figure.
INPAINTED_BACKGROUND = Finding(
    name="inpainted_background",
    title="A background without what FAME's mask finds in it",
    question="Can FAME take the other video's figure out by itself?",
    rows=(
        Row(BASELINE, moco()),
        Row(HALF, fame(0.5), MOVING),
        Row(NARROW, fame(0.3), MOVING),
        Row(HALF, fame(0.5, background="inpainted"), INPAINTED),
        Row(NARROW, fame(0.3, background="inpainted"), INPAINTED),
        Row(HALF, fame(background="empty"), EMPTY),
        *START,
    ),
    contrasts=(
        *(gain(mask, INPAINTED) for mask in (HALF, NARROW)),
        *(between(mask, INPAINTED, MOVING) for mask in (HALF, NARROW)),
        between(HALF, INPAINTED, EMPTY),
    ),
    note="The column says what of the other video lies behind. Needs no true masks, but for the row on the empty scene.",
)

# inpainted_background gains, but a third of the background's clip becomes smooth as well. Here the mask of a third clip
# says what is filled: as large, of the same shapes, at places where other figures are; the figure of the background mostly
# stays. At beta .3, where that gain was shown.
FILLED_ELSEWHERE = Finding(
    name="filled_elsewhere",
    title="A background that is filled in another place",
    question="Does it help that the figure is taken out, or that less is seen?",
    rows=(
        Row(BASELINE, moco()),
        Row(FAME, fame(), MOVING),
        Row(NARROW, fame(0.3), MOVING),
        Row(NARROW, fame(0.3, background="inpainted"), INPAINTED),
        Row(NARROW, fame(0.3, background="elsewhere"), ELSEWHERE),
        *START,
    ),
    contrasts=(
        between(NARROW, INPAINTED, ELSEWHERE),
        between(NARROW, ELSEWHERE, MOVING),
        gain(NARROW, ELSEWHERE),
    ),
    note="The column says what lies behind. FAME at the paper's beta stands there for orientation; no contrast asks for it.",
)
