"""Is a better mask a better representation? FAME's mask beside the true figure, and beside masks that know nothing of the clip.

The true figure at its own area, and grown to FAME's area; FAME's mask of another clip; a random blob of FAME's area. If the mask
matters, the true figure is above FAME and FAME above the other clip's mask and the blob, in deranged scenes. If blob and other mask
do as well as FAME, what helps is pasting as such, not the foreground.
"""

from studies.findings import twins
from studies.study import Row, Study, fame, moco

STUDY = Study(
    name="true_mask",
    title="Is a better mask a better representation?",
    paper="a finding",
    claims=(),
    rows=(
        Row("baseline", moco()),
        Row("FAME", fame()),
        Row("true figure, own area", fame(variant="true")),
        Row("true figure, grown to FAME's area", fame(variant="dilated")),
        Row("FAME's mask of another clip", fame(variant="other")),
        Row("random blob", fame(variant="blob")),
    ),
    measures=twins.MEASURES,
    note="Needs true masks, so it runs on the embedded benchmark alone. Crops and backgrounds are FAME's in every row.",
)
