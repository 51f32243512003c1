"""Is a better mask a better representation? FAME's mask beside the true figure, and beside masks that know nothing of the clip.

The true figure at its own area, and grown to FAME's area; FAME's mask of another clip; a random blob of FAME's area. If the mask
matters, the true figure is above FAME and FAME above the other clip's mask and the blob, in deranged scenes. If blob and other mask
do as well as FAME, what helps is pasting as such, not the foreground.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference
from studies.study import Row, fame, moco

TRUE, GROWN, OTHER, BLOB = (
    "true figure, own area",
    "true figure, grown to FAME's area",
    "FAME's mask of another clip",
    "random blob",
)
BETTER, KNOWS, SEES = f"{TRUE} - FAME", f"FAME - {OTHER}", f"FAME - {BLOB}"

CONTRASTS = (
    *(
        Contrast(f"{mask} - baseline", difference((mask, ""), (twins.BASELINE, "")))
        for mask in (twins.FAME, TRUE, GROWN, OTHER, BLOB)
    ),
    *(Contrast(f"{mask} - FAME", difference((mask, ""), (twins.FAME, ""))) for mask in (TRUE, GROWN)),
    *(Contrast(f"FAME - {mask}", difference((twins.FAME, ""), (mask, ""))) for mask in (OTHER, BLOB)),
)

STUDY = Finding(
    name="true_mask",
    title="Is a better mask a better representation?",
    paper="a finding",
    claims=(),
    rows=(
        Row("baseline", moco()),
        Row("FAME", fame()),
        Row(TRUE, fame(variant="true")),
        Row(GROWN, fame(variant="dilated")),
        Row(OTHER, fame(variant="other")),
        Row(BLOB, fame(variant="blob")),
        twins.START,
    ),
    measures=twins.MEASURES,
    note="Needs true masks, so it runs on the embedded benchmark alone. Crops and backgrounds are FAME's in every row.",
    question="Is a better mask a better representation?",
    contrasts=CONTRASTS,
)
