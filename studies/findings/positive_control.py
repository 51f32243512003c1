"""Can this benchmark show a gain at all? FAME with a perfect mask: the true figure, at its own area, in the place of FAME's mask.

Merging with the true figure removes all of a clip's own background, which is what FAME's mask is for. If even this does not beat
the baseline where scenes mislead, then no verdict on a mechanism speaks against FAME's mask: it speaks of merging under this
benchmark's network and schedule. The rows are true_mask's; they run with the claims, in all of their replicates, since the claims
are read by them. Declared after three replicates of true_mask had been seen (balanced head, true figure minus baseline: -4.5, -20.3
and +8.8 points).
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference
from studies.findings.true_mask import TRUE
from studies.study import Row, fame, moco

PERFECT, OWN = f"{TRUE} - baseline", "FAME - baseline"

CONTRASTS = (
    Contrast(PERFECT, difference((TRUE, ""), (twins.BASELINE, ""))),
    Contrast(OWN, difference((twins.FAME, ""), (twins.BASELINE, ""))),
    Contrast(f"{TRUE} - FAME", difference((TRUE, ""), (twins.FAME, ""))),
)

STUDY = Finding(
    name="positive_control",
    title="Positive control: FAME with a perfect mask",
    paper="a finding",
    claims=(),
    rows=(Row(twins.BASELINE, moco()), Row(twins.FAME, fame()), Row(TRUE, fame(variant="true")), twins.START),
    measures=twins.MEASURES,
    note="Needs true masks, so it runs on the embedded benchmark alone. Crops and backgrounds are FAME's in every row.",
    question="Can this benchmark show a gain at all?",
    contrasts=CONTRASTS,
    with_claims=True,
)
