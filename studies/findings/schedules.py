"""Does the baseline catch up? Full schedules (cosine to the end) of half, once, twice and four times the scale's epochs.

An answer: the background gap and the deranged-scene difference as curves over the schedule. If FAME's advantage at four times the
epochs is below half of that at once, with intervals apart, merging was a matter of speed; if it stays, of what is learnt.
"""

from studies.findings import twins
from studies.study import Study

FACTORS = (0.5, 1.0, 2.0, 4.0)

STUDY = Study(
    name="schedules",
    title="Longer schedules: does the baseline catch up?",
    paper="a finding",
    claims=(),
    rows=tuple(row for times in FACTORS for row in twins.optim(f"{times:g}x epochs", times, {"epochs_times": times})),
    measures=twins.MEASURES,
    note="Each schedule is a run of its own, annealed to its end.",
    curve="epochs, times the scale's",
)
