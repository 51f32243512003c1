"""Do the colour posterior's constants matter? The prior P(F), and the shares of the frame sampled for P(x|F) and P(x|B).

The paper takes equal priors and the 50 % and 10 % of pixels that move most and least. A prior keeps the order of colours and acts
through the smoothing alone, so little should change; unequal answers to the shares would say that they were tuned. All differences
to the paper's constants negligible: the constants are no hidden knobs.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference
from studies.study import Row, fame, moco

PRIORS = (0.3, 0.5, 0.7)
SHARES = ((0.5, 0.1), (0.3, 0.3), (0.25, 0.1), (0.5, 0.5))  # foreground, background; the first is the paper's
PAPER = "P(F) = 0.5"
OTHERS = (*(f"P(F) = {prior:g}" for prior in PRIORS if prior != 0.5), *(f"{100 * f:g} % and {100 * b:g} %" for f, b in SHARES[1:]))

CONTRASTS = (
    Contrast(f"{PAPER} - baseline", difference((PAPER, ""), (twins.BASELINE, ""))),
    *(Contrast(f"{other} - the paper's", difference((other, ""), (PAPER, ""))) for other in OTHERS),
)
NAMES = tuple(contrast.name for contrast in CONTRASTS[1:])

STUDY = Finding(
    name="sampling",
    title="Prior and samples of the colour posterior",
    paper="a finding",
    claims=(),
    rows=(
        Row("baseline", moco()),
        *(Row(f"P(F) = {prior:g}", fame(prior=prior)) for prior in PRIORS),
        *(Row(f"{100 * front:g} % and {100 * back:g} %", fame(sampled=(front, back))) for front, back in SHARES[1:]),
        twins.START,
    ),
    measures=twins.MEASURES,
    note="P(F) = 0.5 with 50 % and 10 % is the paper's FAME.",
    question="Do the colour posterior's constants matter?",
    contrasts=CONTRASTS,
)
