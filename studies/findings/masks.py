"""Declare the findings on the mask: the true figure, and masks that know nothing of the clip, in the place of FAME's."""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference
from studies.study import Row, fame, moco

TRUE, GROWN = "true figure, own area", "true figure, grown to FAME's area"
OTHER, BLOB = "FAME's mask of another clip", "random blob"
NOTE = "Needs true masks, so it runs on the embedded benchmark alone. Crops and backgrounds are FAME's in every row."


def minus(greater: str, lesser: str) -> Contrast:
    """Return the difference between two rows of a study without columns."""
    return Contrast(f"{greater} - {lesser}", difference((greater, ""), (lesser, "")))


# If the mask matters, the true figure is above FAME and FAME above the other clip's mask and a random blob of FAME's
# area, in deranged scenes. If blob and other mask do as well as FAME, what helps is pasting as such, not the
# foreground.
TRUE_MASK = Finding(
    name="true_mask",
    title="Is a better mask a better representation?",
    question="Is a better mask a better representation?",
    rows=(
        Row(twins.BASELINE, moco()),
        Row(twins.FAME, fame()),
        Row(TRUE, fame(variant="true")),
        Row(GROWN, fame(variant="dilated")),
        Row(OTHER, fame(variant="other")),
        Row(BLOB, fame(variant="blob")),
        twins.START,
    ),
    contrasts=(
        *(minus(mask, twins.BASELINE) for mask in (twins.FAME, TRUE, GROWN, OTHER, BLOB)),
        *(minus(mask, twins.FAME) for mask in (TRUE, GROWN)),
        *(minus(twins.FAME, mask) for mask in (OTHER, BLOB)),
    ),
    note=NOTE,
)

# Merging with the true figure removes all of a clip's own background, which is what FAME's mask is for. If even this
# does not beat the baseline where scenes mislead, then no verdict on a mechanism speaks against FAME's mask: it speaks
# of merging under this benchmark's network and schedule. It runs with the claims, in all of their replicates, since
# they are read by it.
POSITIVE_CONTROL = Finding(
    name="positive_control",
    title="Positive control: FAME with a perfect mask",
    question="Can this benchmark show a gain at all?",
    rows=(Row(twins.BASELINE, moco()), Row(twins.FAME, fame()), Row(TRUE, fame(variant="true")), twins.START),
    contrasts=(minus(TRUE, twins.BASELINE), minus(twins.FAME, twins.BASELINE), minus(TRUE, twins.FAME)),
    note=NOTE,
    with_claims=True,
)
