"""Does it need a still camera? Drift of 0 to 2 stored pixels a frame, against the masks' quality and the gain.

Frame differences find what moves against the picture; a moving camera moves every edge. An answer: the drift from which the mask's
recall lift falls below half of its value at rest, and whether the gain falls with it. If it does not, the mask was not what helped.
"""

from studies.findings import twins
from studies.findings.contrasts import NOT_ABOVE, Contrast, Outcome, Question, each, less, row, times
from studies.study import Study

DRIFTS = (0.0, 0.25, 0.5, 1.0, 2.0)  # pixels a frame, as stored
SAID = {drift: f"{drift:g} px a frame" for drift in DRIFTS}
LIFT = {drift: row((twins.FAME, SAID[drift])) for drift in DRIFTS}
HALF = {drift: f"mask at {SAID[drift]} - half of it at rest" for drift in DRIFTS[1:]}
FALL = f"gain at rest - gain at {SAID[DRIFTS[-1]]}"
BELOW_HALF = "At {drift}, and at no smaller drift that was tried, the mask's recall lift is below half of that at rest"


def outcomes(drift: float) -> tuple[Outcome, ...]:
    """What is said where the mask falls below half at this drift."""
    said, mask = BELOW_HALF.format(drift=SAID[drift]), each([HALF[drift]], "below")
    return (
        Outcome(f"{said}, and the gain falls with it.", (*mask, (FALL, ("above",)))),
        Outcome(f"{said}, and the gain does not fall: the mask was not what helped.", (*mask, (FALL, NOT_ABOVE))),
        Outcome(f"{said}; whether the gain falls with it cannot be told.", mask),
    )


QUESTION = Question(
    contrasts=(
        *(Contrast(HALF[drift], less(LIFT[drift], times(0.5, LIFT[0.0])), twins.MASK_LIFT) for drift in DRIFTS[1:]),
        *(Contrast(f"FAME - baseline at {SAID[drift]}", twins.gain(SAID[drift])) for drift in DRIFTS),
        Contrast(FALL, less(twins.gain(SAID[0.0]), twins.gain(SAID[DRIFTS[-1]]))),
    ),
    outcomes=(
        *(outcome for drift in DRIFTS[1:] for outcome in outcomes(drift)),
        Outcome("The mask's recall lift stays above half of that at rest at every drift.", each(HALF.values(), "above")),
    ),
)

STUDY = Study(
    name="camera",
    title="Camera motion, mask and gain",
    paper="a finding",
    claims=(),
    rows=tuple(row for drift in DRIFTS for row in twins.world(SAID[drift], drift, {"camera": drift})),
    measures=(*twins.MEASURES, *twins.MASK_MEASURES),
    note="The masks are those of the row's videos, whichever method stands beside them.",
    curve="camera drift, pixels a frame",
    question=QUESTION,
)
