"""Was the learning rate kinder to one of the two? Three rates, a third, once and three times the scale's, for both methods.

The scale's rate was chosen by the baseline alone. An answer is equal tuning per method: the best rate of each by the balanced
head (never by deranged scenes) and the difference between those two rows. It should have the sign, and lie within the interval, of
the difference at the scale's rate; else that difference is a matter of tuning. The balanced head's accuracy is that on its
validation videos.
"""

from studies.findings import twins
from studies.findings.contrasts import Best, Contrast, Finding, difference, less
from studies.study import Measure

FACTORS = (("1/3", 1 / 3), ("1", 1.0), ("3", 3.0))
COLUMNS = tuple(f"{label}x learning rate" for label, _ in FACTORS)
VALIDATION = Measure("balanced/val/balanced/top1", "probe", "A", "A validation, balanced head", kind="mechanism")
BEST = {method: Best(tuple((method, column) for column in COLUMNS), VALIDATION) for method in (twins.FAME, twins.BASELINE)}
TUNED_TERMS = difference(BEST[twins.FAME], BEST[twins.BASELINE])
TUNED, AS_IT_IS = "FAME - baseline, each at its best rate", f"FAME - baseline at {COLUMNS[1]}"
CHANGE = "what equal tuning changes of that"

CONTRASTS = (
    *(Contrast(f"FAME - baseline at {column}", twins.gain(column)) for column in COLUMNS),
    Contrast(TUNED, TUNED_TERMS),
    Contrast(CHANGE, less(TUNED_TERMS, twins.gain(COLUMNS[1]))),
)

STUDY = Finding(
    name="learning_rates",
    title="Learning rates: equal tuning per method",
    paper="a finding",
    claims=(),
    rows=(
        *(row for label, times in FACTORS for row in twins.optim(f"{label}x learning rate", times, {"lr_times": times})),
        twins.START,
    ),
    measures=twins.MEASURES,
    curve="learning rate, times the scale's",
    question="Was the learning rate kinder to one of the two?",
    contrasts=CONTRASTS,
)
