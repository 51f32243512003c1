"""What is fixed on selection worlds, which no verdict looks at: the spread of the headline, the gate, the delta of "about equal".

It is run beside the claims (`run_study.py run selection`) on worlds of its own; the ledger reads the equality's delta from what
of it lies in the same folder. The spread that `plan` uses stands in spread.toml, as it has to be known before anything runs.
"""

from studies.study import Row, Study, balanced, deranged, fame, moco, random_init, top1

STUDY = Study(
    name="selection",
    title="Selection worlds: what is fixed before the claims",
    paper="",
    claims=(),
    rows=(Row("random init", random_init()), Row("baseline", moco()), Row("FAME 0.5", fame())),
    measures=(top1("A"), top1("B"), deranged("A"), balanced("A")),
)
