"""Was the learning rate kinder to one of the two? Three rates, a third, once and three times the scale's, for both methods.

The scale's rate was chosen by the baseline alone. An answer is equal tuning per method: the best rate of each by the balanced
head (never by deranged scenes) and the difference between those two rows. It should have the sign, and lie within the interval, of
the difference at the scale's rate; else that difference is a matter of tuning.
"""

from studies.findings import twins
from studies.study import Study

FACTORS = (("1/3", 1 / 3), ("1", 1.0), ("3", 3.0))

STUDY = Study(
    name="learning_rates",
    title="Learning rates: equal tuning per method",
    paper="a finding",
    claims=(),
    rows=tuple(row for label, times in FACTORS for row in twins.optim(f"{label}x learning rate", times, {"lr_times": times})),
    measures=twins.MEASURES,
    curve="learning rate, times the scale's",
)
