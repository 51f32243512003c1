"""Can this benchmark show a gain at all when there is time to learn? The positive control at four times the epochs.

At the scale's own schedule a perfect mask is not shown to be above the baseline, nor shown not to be (positive_control.py), and the
baseline has only begun to see the motion there (schedules.py). If the perfect mask gains at four times the epochs, the benchmark
has room for what the paper claims, and FAME's own mask falls short of it; if it does not, no verdict on a mechanism speaks of the
mask. Declared after positive_control (eight replicates) and schedules (three: FAME minus baseline at four times the epochs -19.8
points in deranged scenes) had been seen, and before the perfect mask had been trained for more than once the epochs anywhere. Its
rows on empty scenes (other_figure.py) were added after three replicates of the others had been seen (perfect mask minus baseline at
four times the epochs -11.5, -29.0 and -3.3 points), before any of them was run. Twice the epochs are left out: what they take is
better spent on replicates.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference, less
from studies.findings.other_figure import EMPTY
from studies.findings.true_mask import TRUE
from studies.study import Row, fame

FACTORS = (1.0, 4.0)
ONCE, LONG = (f"{factor:g}x epochs" for factor in FACTORS)
ALONE = f"{TRUE}, on {EMPTY}"
PERFECT, OWN, IDEA = (f"{row} - baseline at {LONG}" for row in (TRUE, "FAME", ALONE))

CONTRASTS = (
    Contrast(PERFECT, twins.gain(LONG, TRUE)),
    Contrast(OWN, twins.gain(LONG)),
    Contrast(IDEA, twins.gain(LONG, ALONE)),
    Contrast(f"{TRUE} - FAME at {LONG}", difference((TRUE, LONG), (twins.FAME, LONG))),
    Contrast(f"gain of the {TRUE}, at {LONG} - at {ONCE}", less(twins.gain(LONG, TRUE), twins.gain(ONCE, TRUE))),
)


def _rows(factor: float) -> tuple[Row, ...]:
    column, changes = f"{factor:g}x epochs", {"epochs_times": factor}
    perfect = Row(TRUE, fame(variant="true", optim=changes), column, factor)
    return (
        *twins.optim(column, factor, changes),
        perfect,
        Row(ALONE, fame(variant="true", background="empty", optim=changes), column, factor),
    )


STUDY = Finding(
    name="longer_control",
    title="Positive control over longer schedules",
    paper="a finding",
    claims=(),
    rows=(*(row for factor in FACTORS for row in _rows(factor)), twins.START),
    measures=twins.MEASURES,
    note="Needs true masks, so it runs on the embedded benchmark alone. Each schedule is a run of its own, annealed to its end.",
    curve="epochs, times the scale's",
    question="Can this benchmark show a gain at all when there is time to learn?",
    contrasts=CONTRASTS,
)
