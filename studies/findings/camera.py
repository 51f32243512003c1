"""Does it need a still camera? Drift of 0 to 2 stored pixels a frame, against the masks' quality and the gain.

Frame differences find what moves against the picture; a moving camera moves every edge. An answer: the drift from which the mask's
recall lift falls below half of its value at rest, and whether the gain falls with it. If it does not, the mask was not what helped.
"""

from studies.findings import twins
from studies.study import Study

DRIFTS = (0.0, 0.25, 0.5, 1.0, 2.0)  # pixels a frame, as stored

STUDY = Study(
    name="camera",
    title="Camera motion, mask and gain",
    paper="a finding",
    claims=(),
    rows=tuple(row for drift in DRIFTS for row in twins.world(f"{drift:g} px a frame", drift, {"camera": drift})),
    measures=(*twins.MEASURES, *twins.MASK_MEASURES),
    note="The masks are those of the row's videos, whichever method stands beside them.",
    curve="camera drift, pixels a frame",
)
