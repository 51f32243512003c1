"""Does it help that the figure is taken out, or that less is seen? As much of the background filled elsewhere.

`inpainted_background` fills what FAME's mask keeps of the background's clip, and gains. But a third of that clip becomes smooth as
well, and no study before this one tells the two apart. Here the mask of a third clip says what is filled: as large, of the same
shapes, at places where other figures are. The figure of the background mostly stays. Mask, backgrounds, crops and colours are those
of the other rows at the same replicate.

Declared after inpainted_background had been seen (eight replicates; FAME .3 inpainted minus the baseline +10.9 points, minus the
moving video +12.2, biased head in deranged scenes), before any run that is filled elsewhere. At beta .3, where that gain was shown.
The row of FAME at the paper's beta came after the runs; nothing is asked of it.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference
from studies.findings.inpainted_background import INPAINTED, MOVING
from studies.study import Row, fame, moco

BETA = 0.3
FAME = f"FAME {BETA:g}"
ELSEWHERE = "as much filled elsewhere"
FIGURE = f"{FAME}: {INPAINTED} - {ELSEWHERE}"
SMOOTH = f"{FAME}: {ELSEWHERE} - on {MOVING}"
GAIN = f"{FAME}, {ELSEWHERE} - baseline"

CONTRASTS = (
    Contrast(FIGURE, difference((FAME, INPAINTED), (FAME, ELSEWHERE))),
    Contrast(SMOOTH, difference((FAME, ELSEWHERE), (FAME, MOVING))),
    Contrast(GAIN, difference((FAME, ELSEWHERE), (twins.BASELINE, ""))),
)

STUDY = Finding(
    name="filled_elsewhere",
    title="A background that is filled in another place",
    paper="a finding",
    claims=(),
    rows=(
        Row(twins.BASELINE, moco()),
        Row(twins.FAME, fame(), MOVING),
        Row(FAME, fame(BETA), MOVING),
        Row(FAME, fame(BETA, background="inpainted"), INPAINTED),
        Row(FAME, fame(BETA, background="elsewhere"), ELSEWHERE),
        twins.START,
    ),
    measures=twins.MEASURES,
    note="The column says what lies behind. FAME at the paper's beta stands there for orientation; no contrast asks for it.",
    question="Does it help that the figure is taken out, or that less is seen?",
    contrasts=CONTRASTS,
)
