"""Declare the findings on training: the length of the schedule, alone and with a perfect mask, and the learning rate."""

from studies.findings import twins
from studies.findings.backgrounds import EMPTY
from studies.findings.contrasts import Best, Contrast, Finding, difference, less, times
from studies.findings.masks import TRUE
from studies.study import Measure, Row, fame

# If FAME's advantage at four times the epochs is below half of that at once, by an interval of the two's own
# difference, merging was a matter of speed; if it stays, of what is learnt.
EPOCHS = {f"{factor:g}x epochs": factor for factor in (0.5, 1.0, 2.0, 4.0)}
ONCE, LONG = "1x epochs", "4x epochs"
HALVED = "half of the gain at 1x - the gain at 4x"

SCHEDULES = Finding(
    name="schedules",
    title="Longer schedules: does the baseline catch up?",
    question="Does the baseline catch up?",
    rows=(*(row for column, factor in EPOCHS.items() for row in twins.optim("epochs_times", column, factor)), twins.START),
    contrasts=(*twins.gains(EPOCHS), Contrast(HALVED, less(times(0.5, twins.gain(ONCE)), twins.gain(LONG)))),
    note="Each schedule is a run of its own, annealed to its end.",
    curve="epochs, times the scale's",
)

# At the scale's own schedule a perfect mask is not shown to be above the baseline, nor shown not to be
# (positive_control), and the baseline has only begun to see the motion there (schedules). If the perfect mask gains at
# four times the epochs, the benchmark has room for what the paper claims, and FAME's own mask falls short of it; if
# not, no verdict on a mechanism speaks of the mask.
ALONE = f"{TRUE}, on {EMPTY}"

LONGER_CONTROL = Finding(
    name="longer_control",
    title="Positive control over longer schedules",
    question="Can this benchmark show a gain at all when there is time to learn?",
    rows=(
        *(
            row
            for column, by in ((ONCE, 1.0), (LONG, 4.0))
            for row in (
                *twins.optim("epochs_times", column, by),
                Row(TRUE, fame(variant="true", optim={"epochs_times": by}), column, by),
                Row(ALONE, fame(variant="true", background="empty", optim={"epochs_times": by}), column, by),
            )
        ),
        twins.START,
    ),
    contrasts=(
        *(Contrast(f"{row} - baseline at {LONG}", twins.gain(LONG, row)) for row in (TRUE, twins.FAME, ALONE)),
        Contrast(f"{TRUE} - FAME at {LONG}", difference((TRUE, LONG), (twins.FAME, LONG))),
        Contrast(f"gain of the {TRUE}, at {LONG} - at {ONCE}", less(twins.gain(LONG, TRUE), twins.gain(ONCE, TRUE))),
    ),
    note="Needs true masks, so it runs on the embedded benchmark alone. Each schedule is a run of its own, annealed to its end.",
    curve="epochs, times the scale's",
)

# The scale's rate was chosen by the baseline alone. An answer is equal tuning per method: the best rate of each by the
# balanced head on its validation videos (never by deranged scenes) and the difference between those two rows. It should
# have the sign, and lie within the interval, of the difference at the scale's rate; else that difference is a matter of
# tuning.
RATES = {f"{label}x learning rate": factor for label, factor in (("1/3", 1 / 3), ("1", 1.0), ("3", 3.0))}
VALIDATION = Measure("balanced/val/balanced/top1", "probe", "A", "A validation, balanced head", kind="mechanism")
TUNED = difference(*(Best(tuple((method, rate) for rate in RATES), VALIDATION) for method in (twins.FAME, twins.BASELINE)))

LEARNING_RATES = Finding(
    name="learning_rates",
    title="Learning rates: equal tuning per method",
    question="Was the learning rate kinder to one of the two?",
    rows=(*(row for column, factor in RATES.items() for row in twins.optim("lr_times", column, factor)), twins.START),
    contrasts=(
        *twins.gains(RATES),
        Contrast("FAME - baseline, each at its best rate", TUNED),
        Contrast("what equal tuning changes of that", less(TUNED, twins.gain("1x learning rate"))),
    ),
    curve="learning rate, times the scale's",
)
