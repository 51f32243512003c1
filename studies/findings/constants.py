"""Declare the findings on what the paper leaves open: the colour posterior's constants, and quirks of the released code."""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference, less
from studies.study import Row, fame, moco

# The paper takes equal priors P(F), and samples P(x|F) and P(x|B) from the 50 % and 10 % of pixels that move most and
# least. A prior keeps the order of colours and acts through the smoothing alone, so little should change; unequal
# answers to the shares would say that they were tuned. All differences to the paper's constants negligible: the
# constants are no hidden knobs.
PAPER = "P(F) = 0.5"
PRIORS = {f"P(F) = {prior:g}": fame(prior=prior) for prior in (0.3, 0.5, 0.7)}
SHARES = {f"{100 * f:g} % and {100 * b:g} %": fame(sampled=(f, b)) for f, b in ((0.3, 0.3), (0.25, 0.1), (0.5, 0.5))}

SAMPLING = Finding(
    name="sampling",
    title="Prior and samples of the colour posterior",
    question="Do the colour posterior's constants matter?",
    rows=(Row(twins.BASELINE, moco()), *(Row(label, method) for label, method in (PRIORS | SHARES).items()), twins.START),
    contrasts=(
        Contrast(f"{PAPER} - baseline", difference((PAPER, ""), (twins.BASELINE, ""))),
        *(
            Contrast(f"{other} - the paper's", difference((other, ""), (PAPER, "")))
            for other in (PRIORS | SHARES)
            if other != PAPER
        ),
    ),
    note="P(F) = 0.5 with 50 % and 10 % is the paper's FAME.",
)

# The released code's hue angle, scaled by 2 pi twice; backgrounds that can be the clip's own; the symmetric loss, whose
# second query meets its own clip's key among the negatives, and the same loss without that key; one view merged or
# both. A quirk matters where its row differs from the row without it by more than the interval. Each FAME row is
# compared with the baseline of the same loss, so where the loss differs between two rows their gains are compared.
ONE, TWO, WITHOUT = "one turn", "symmetric", "symmetric, without the own key"  # turns of the loss: the columns
LOSSES = {ONE: {"symmetric": False}, TWO: {"symmetric": True}, WITHOUT: {"symmetric": True, "own_key": False}}
ALL = "all of them, as released"
QUIRK_ROWS = (
    Row("both views merged", fame(flavour="paper", views="both", moco=LOSSES[ONE]), ONE),
    Row("hue angle scaled twice", fame(flavour="official", partners="others", moco=LOSSES[ONE]), ONE),
    Row("background can be the clip's own", fame(flavour="paper", partners="any", moco=LOSSES[ONE]), ONE),
)

QUIRKS = Finding(
    name="quirks",
    title="Quirks of the released code",
    question="Do the released code's departures from the paper matter?",
    rows=(
        *(
            row
            for loss, how in LOSSES.items()
            for row in (Row(twins.BASELINE, moco(moco=how), loss), Row(twins.FAME, fame(flavour="paper", moco=how), loss))
        ),
        *QUIRK_ROWS,
        Row(ALL, fame(flavour="official", moco=LOSSES[TWO]), TWO),
        twins.START,
    ),
    contrasts=(
        *(Contrast(quirk.label, difference((quirk.label, ONE), (twins.FAME, ONE))) for quirk in QUIRK_ROWS),
        Contrast("symmetric loss", less(twins.gain(TWO), twins.gain(ONE))),
        Contrast("own key among the negatives", less(twins.gain(TWO), twins.gain(WITHOUT))),
        Contrast(ALL, less(twins.gain(TWO, ALL), twins.gain(ONE))),
    ),
    note="Columns: the turns of the loss. FAME merges one view, as released, but where a row says both.",
)
