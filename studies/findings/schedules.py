"""Does the baseline catch up? Full schedules (cosine to the end) of half, once, twice and four times the scale's epochs.

An answer: the background gap and the deranged-scene difference as curves over the schedule. If FAME's advantage at four times the
epochs is below half of that at once, by an interval of the two's own difference, merging was a matter of speed; if it stays, of
what is learnt.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, less, times

FACTORS = (0.5, 1.0, 2.0, 4.0)
GAIN = {factor: f"FAME - baseline at {factor:g}x epochs" for factor in FACTORS}
ONCE, LONG = GAIN[1.0], GAIN[4.0]
HALVED = "half of the gain at 1x - the gain at 4x"

CONTRASTS = (
    *(Contrast(name, twins.gain(f"{factor:g}x epochs")) for factor, name in GAIN.items()),
    Contrast(HALVED, less(times(0.5, twins.gain("1x epochs")), twins.gain("4x epochs"))),
)

STUDY = Finding(
    name="schedules",
    title="Longer schedules: does the baseline catch up?",
    paper="a finding",
    claims=(),
    rows=(*(row for by in FACTORS for row in twins.optim(f"{by:g}x epochs", by, {"epochs_times": by})), twins.START),
    measures=twins.MEASURES,
    note="Each schedule is a run of its own, annealed to its end.",
    curve="epochs, times the scale's",
    question="Does the baseline catch up?",
    contrasts=CONTRASTS,
)
