"""Do the released code's departures from the paper matter? One at a time, then all together.

Its hue angle, scaled by 2 pi twice; backgrounds that can be the clip's own; the symmetric loss, whose second query meets its own
clip's key among the negatives, and the same loss without that key; one view merged or both. A quirk matters where its row differs
from the row without it by more than the interval. Each FAME row is compared with the baseline of the same loss.
"""

from studies.findings import twins
from studies.study import Row, Study, fame, moco

ONE_TURN = {"symmetric": False}
SYMMETRIC = {"symmetric": True}
NO_OWN_KEY = {"symmetric": True, "own_key": False}
LOSSES = (("one turn", ONE_TURN), ("symmetric", SYMMETRIC), ("symmetric, without the own key", NO_OWN_KEY))

STUDY = Study(
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
        Row("both views merged", fame(flavour="paper", views="both", moco=ONE_TURN), "one turn"),
        Row("hue angle scaled twice", fame(flavour="official", partners="others", moco=ONE_TURN), "one turn"),
        Row("background can be the clip's own", fame(flavour="paper", partners="any", moco=ONE_TURN), "one turn"),
        Row("all of them, as released", fame(flavour="official", moco=SYMMETRIC), "symmetric"),
    ),
    measures=twins.MEASURES,
    note="Columns: the turns of the loss. FAME merges one view, as released, but where a row says both.",
)
