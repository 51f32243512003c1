"""Does the baseline catch up? Full schedules (cosine to the end) of half, once, twice and four times the scale's epochs.

An answer: the background gap and the deranged-scene difference as curves over the schedule. If FAME's advantage at four times the
epochs is below half of that at once, by an interval of the two's own difference, merging was a matter of speed; if it stays, of
what is learnt.
"""

from studies.findings import twins
from studies.findings.contrasts import NOT_ABOVE, Contrast, Outcome, Question, each, less, times
from studies.study import Study

FACTORS = (0.5, 1.0, 2.0, 4.0)
GAIN = {factor: f"FAME - baseline at {factor:g}x epochs" for factor in FACTORS}
ONCE, LONG = GAIN[1.0], GAIN[4.0]
HALVED = "half of the gain at 1x - the gain at 4x"

QUESTION = Question(
    contrasts=(
        *(Contrast(name, twins.gain(f"{factor:g}x epochs")) for factor, name in GAIN.items()),
        Contrast(HALVED, less(times(0.5, twins.gain("1x epochs")), twins.gain("4x epochs"))),
    ),
    outcomes=(
        Outcome("The baseline catches up: FAME's advantage at 4x epochs is below half of that at 1x, a matter of speed.",
                each([ONCE, HALVED], "above")),
        Outcome("The baseline does not catch up: FAME keeps half of its advantage or more, a matter of what is learnt.",
                (*each([ONCE, LONG], "above"), (HALVED, NOT_ABOVE))),
        Outcome("FAME has no advantage at 1x epochs, and one at 4x.", ((ONCE, NOT_ABOVE), (LONG, ("above",)))),
        Outcome("There is nothing to catch up with: FAME has no advantage at 1x epochs, nor at 4x.",
                each([ONCE, LONG], *NOT_ABOVE)),
    ),
)  # fmt: skip

STUDY = Study(
    name="schedules",
    title="Longer schedules: does the baseline catch up?",
    paper="a finding",
    claims=(),
    rows=(*(row for by in FACTORS for row in twins.optim(f"{by:g}x epochs", by, {"epochs_times": by})), twins.START),
    measures=twins.MEASURES,
    note="Each schedule is a run of its own, annealed to its end.",
    curve="epochs, times the scale's",
    question=QUESTION,
)
