"""Do mask and gain suffer where figure and background share their colours? The paper's stated limit (conclusion), claim C10.

Likeness 0: figures never wear the backdrop's colours; 1: both draw on the same ones. The limit shows if the FAME mask's recall lift
and the gain over the baseline are lower at 1 than at 0, by intervals; the Seed mask, which has no colour step, is the contrast.
The claim (studies/paper/links.py, `likeness`) is about 0 and 1; the third place tells a slope from a step, and is all that the
claim's
study has beyond its need.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, difference, less
from studies.study import deranged, fame, moco

LIKENESS = (0.0, 0.5, 1.0)
FAME_AT = {likeness: fame(world={"likeness": likeness}) for likeness in LIKENESS}
BASELINE_AT = {likeness: moco(world={"likeness": likeness}) for likeness in LIKENESS}
MASK, SEED_MASK = twins.MASK_LIFT, twins.SEED_LIFT  # recall lift; of a method only its world counts, not its encoder
SCENES = deranged("A")

ALIKE, APART = "likeness 1", "likeness 0"
MASK_LOSS, SEED_LOSS, GAIN_LOSS = (f"{what} at {APART} - at {ALIKE}" for what in ("FAME mask", "Seed mask", "gain"))
ENDS = difference((twins.FAME, APART), (twins.FAME, ALIKE))
CONTRASTS = (
    Contrast(MASK_LOSS, ENDS, MASK),
    Contrast(SEED_LOSS, ENDS, SEED_MASK),
    *(Contrast(f"FAME - baseline at likeness {at:g}", twins.gain(f"likeness {at:g}")) for at in LIKENESS),
    Contrast(GAIN_LOSS, less(twins.gain(APART), twins.gain(ALIKE))),
)

STUDY = Finding(
    name="likeness",
    title="Likeness of figure and background, mask and gain",
    paper="conclusion",
    claims=("C10",),
    rows=tuple(row for likeness in LIKENESS for row in twins.world(f"likeness {likeness:g}", likeness, {"likeness": likeness})),
    measures=(*twins.MEASURES, *twins.MASK_MEASURES),
    note="The masks are those of the row's videos, whichever method stands beside them.",
    curve="likeness of colours",
    question="Do mask and gain suffer where figure and background share their colours?",
    contrasts=CONTRASTS,
)
