"""Do the colour posterior's constants matter? The prior P(F), and the shares of the frame sampled for P(x|F) and P(x|B).

The paper takes equal priors and the 50 % and 10 % of pixels that move most and least. A prior keeps the order of colours and acts
through the smoothing alone, so little should change; unequal answers to the shares would say that they were tuned. All differences
within the interval of FAME's own: the constants are no hidden knobs.
"""

from studies.findings import twins
from studies.study import Row, Study, fame, moco

PRIORS = (0.3, 0.5, 0.7)
SHARES = ((0.5, 0.1), (0.3, 0.3), (0.25, 0.1), (0.5, 0.5))  # foreground, background; the first is the paper's

STUDY = Study(
    name="sampling",
    title="Prior and samples of the colour posterior",
    paper="a finding",
    claims=(),
    rows=(
        Row("baseline", moco()),
        *(Row(f"P(F) = {prior:g}", fame(prior=prior)) for prior in PRIORS),
        *(Row(f"{100 * front:g} % and {100 * back:g} %", fame(sampled=(front, back))) for front, back in SHARES[1:]),
    ),
    measures=twins.MEASURES,
    note="P(F) = 0.5 with 50 % and 10 % is the paper's FAME.",
)
