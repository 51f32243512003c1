"""Does it need a still camera? Drift of 0 to 2 stored pixels a frame, against the masks' quality and the gain.

Frame differences find what moves against the picture; a moving camera moves every edge. An answer: the drift from which the mask's
recall lift falls below half of its value at rest, and whether the gain falls with it. If it does not, the mask was not what helped.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, less, row, times

DRIFTS = (0.0, 0.25, 0.5, 1.0, 2.0)  # pixels a frame, as stored
SAID = {drift: f"{drift:g} px a frame" for drift in DRIFTS}
LIFT = {drift: row((twins.FAME, SAID[drift])) for drift in DRIFTS}
HALF = {drift: f"mask at {SAID[drift]} - half of it at rest" for drift in DRIFTS[1:]}
FALL = f"gain at rest - gain at {SAID[DRIFTS[-1]]}"

CONTRASTS = (
    *(Contrast(HALF[drift], less(LIFT[drift], times(0.5, LIFT[0.0])), twins.MASK_LIFT) for drift in DRIFTS[1:]),
    *(Contrast(f"FAME - baseline at {SAID[drift]}", twins.gain(SAID[drift])) for drift in DRIFTS),
    Contrast(FALL, less(twins.gain(SAID[0.0]), twins.gain(SAID[DRIFTS[-1]]))),
)

STUDY = Finding(
    name="camera",
    title="Camera motion, mask and gain",
    paper="a finding",
    claims=(),
    rows=tuple(row for drift in DRIFTS for row in twins.world(SAID[drift], drift, {"camera": drift})),
    measures=(*twins.MEASURES, *twins.MASK_MEASURES),
    note="The masks are those of the row's videos, whichever method stands beside them.",
    curve="camera drift, pixels a frame",
    question="Does it need a still camera?",
    contrasts=CONTRASTS,
)
