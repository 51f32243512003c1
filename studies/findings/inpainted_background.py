"""Can FAME take the other video's figure out by itself? What its mask keeps of the background's video, filled in from around it.

`other_figure` shows what the figure in the background costs, by true masks, which no real video has. Here nothing is told: FAME
makes a mask of every clip of the batch anyway, and that of the background's clip says what to take out of it. If this gains what
the empty scene gains, whoever has other videos can have it, too; if not, the mask is what falls short. A smaller beta takes less of
the scene along with the figure, and leaves more of the figure.

Declared after other_figure had been seen (eight replicates; FAME on the empty scene minus on the moving video +10.5 points, minus
the baseline +6.3, biased head in deranged scenes), before any run on an inpainted background.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference
from studies.study import Row, fame, moco

MOVING, INPAINTED, EMPTY = "the moving video", "inpainted by FAME's own mask", "its empty scene"
BETAS = (0.5, 0.3)
ROWS = {beta: f"FAME {beta:g}" for beta in BETAS}
GAINS = {beta: f"{ROWS[beta]}, {INPAINTED} - baseline" for beta in BETAS}
HELPS = {beta: f"{ROWS[beta]}: {INPAINTED} - on {MOVING}" for beta in BETAS}
SHORT = f"{ROWS[0.5]}: {INPAINTED} - on {EMPTY}"

CONTRASTS = (
    *(Contrast(GAINS[beta], difference((ROWS[beta], INPAINTED), (twins.BASELINE, ""))) for beta in BETAS),
    *(Contrast(HELPS[beta], difference((ROWS[beta], INPAINTED), (ROWS[beta], MOVING))) for beta in BETAS),
    Contrast(SHORT, difference((ROWS[0.5], INPAINTED), (ROWS[0.5], EMPTY))),
)

STUDY = Finding(
    name="inpainted_background",
    title="A background without what FAME's mask finds in it",
    paper="a finding",
    claims=(),
    rows=(
        Row(twins.BASELINE, moco()),
        *(Row(ROWS[beta], fame(beta), MOVING) for beta in BETAS),
        *(Row(ROWS[beta], fame(beta, background="inpainted"), INPAINTED) for beta in BETAS),
        Row(ROWS[0.5], fame(background="empty"), EMPTY),
        twins.START,
    ),
    measures=twins.MEASURES,
    note="The column says what of the other video lies behind. Needs no true masks, but for the row on the empty scene.",
    question="Can FAME take the other video's figure out by itself?",
    contrasts=CONTRASTS,
)
