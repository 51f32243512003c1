"""Do the released code's departures from the paper matter? One at a time, then all together.

Its hue angle, scaled by 2 pi twice; backgrounds that can be the clip's own; the symmetric loss, whose second query meets its own
clip's key among the negatives, and the same loss without that key; one view merged or both. A quirk matters where its row differs
from the row without it by more than the interval. Each FAME row is compared with the baseline of the same loss, so where the loss
differs between two rows their gains are compared.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference, less
from studies.study import Row, fame, moco

ONE_TURN = {"symmetric": False}
SYMMETRIC = {"symmetric": True}
NO_OWN_KEY = {"symmetric": True, "own_key": False}
LOSSES = (("one turn", ONE_TURN), ("symmetric", SYMMETRIC), ("symmetric, without the own key", NO_OWN_KEY))
ONE, TWO, WITHOUT = (loss for loss, _ in LOSSES)
BOTH, HUE, OWN, ALL = "both views merged", "hue angle scaled twice", "background can be the clip's own", "all of them, as released"

CONTRASTS = (
    *(Contrast(quirk, difference((quirk, ONE), (twins.FAME, ONE))) for quirk in (BOTH, HUE, OWN)),
    Contrast("symmetric loss", less(twins.gain(TWO), twins.gain(ONE))),
    Contrast("own key among the negatives", less(twins.gain(TWO), twins.gain(WITHOUT))),
    Contrast(ALL, less(twins.gain(TWO, ALL), twins.gain(ONE))),
)
NAMES = tuple(contrast.name for contrast in CONTRASTS)

STUDY = Finding(
    name="quirks",
    title="Quirks of the released code",
    paper="a finding",
    claims=(),
    rows=(
        *(
            row
            for loss, how in LOSSES
            for row in (Row("baseline", moco(moco=how), loss), Row("FAME", fame(flavour="paper", moco=how), loss))
        ),
        Row(BOTH, fame(flavour="paper", views="both", moco=ONE_TURN), ONE),
        Row(HUE, fame(flavour="official", partners="others", moco=ONE_TURN), ONE),
        Row(OWN, fame(flavour="paper", partners="any", moco=ONE_TURN), ONE),
        Row(ALL, fame(flavour="official", moco=SYMMETRIC), TWO),
        twins.START,
    ),
    measures=twins.MEASURES,
    note="Columns: the turns of the loss. FAME merges one view, as released, but where a row says both.",
    question="Do the released code's departures from the paper matter?",
    contrasts=CONTRASTS,
)
