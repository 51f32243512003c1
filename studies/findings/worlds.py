"""Declare the findings on changed worlds: the scene shortcut, camera motion, likeness of colours, the figure's size."""

from itertools import combinations

from studies.findings import twins
from studies.findings.contrasts import MEASURES, Contrast, Finding, Terms, difference, less, row, times

# The share rho of videos whose scene goes with their action, in target A. At 1/8, one in eight actions, the scene says
# nothing of the action (0 would mean never its own scene, which says something again); at 1 it says everything. A
# method against background bias has its gain in deranged scenes grow with rho and loses nothing where there is no bias;
# a gain at 1/8 would be of another kind (augmentation, for instance). Test videos of the own scene are drawn with the
# same rho, so at 1/8 any gap is near 0 by construction.
RHOS = {f"rho {rho:g}": rho for rho in (1 / 8, 0.5, 0.8, 0.95, 1.0)}
UNBIASED, BIASED = "rho 0.125", "rho 1"
GROWTH = f"gain at {BIASED} - gain at {UNBIASED}"

SHORTCUT = Finding(
    name="shortcut",
    title="Strength of the scene shortcut",
    question="How much of FAME's gain hangs on the shortcut?",
    rows=twins.worlds("rho", RHOS),
    contrasts=(*twins.gains(RHOS), Contrast(GROWTH, less(twins.gain(BIASED), twins.gain(UNBIASED)))),
    note="At rho 1/8 the scene says nothing of the action.",
    curve="share of videos in the scene of their action, rho",
)

# Frame differences find what moves against the picture; a moving camera moves every edge. An answer: the drift, in
# stored pixels, from which the mask's recall lift falls below half of its value at rest, and whether the gain falls
# with it. If it does not, the mask was not what helped.
DRIFTS = {f"{drift:g} px a frame": drift for drift in (0.0, 0.25, 0.5, 1.0, 2.0)}
REST, *DRIFTING = DRIFTS
HALVES = tuple(
    Contrast(
        f"mask at {drift} - half of it at rest",
        less(row((twins.FAME, drift)), times(0.5, row((twins.FAME, REST)))),
        twins.MASK_LIFT,
    )
    for drift in DRIFTING
)

CAMERA = Finding(
    name="camera",
    title="Camera motion, mask and gain",
    question="Does it need a still camera?",
    rows=twins.worlds("camera", DRIFTS),
    measures=(*MEASURES, *twins.MASK_MEASURES),
    contrasts=(
        *HALVES,
        *twins.gains(DRIFTS),
        Contrast(f"gain at rest - gain at {DRIFTING[-1]}", less(twins.gain(REST), twins.gain(DRIFTING[-1]))),
    ),
    note=twins.OF_VIDEOS,
    curve="camera drift, pixels a frame",
)

# The paper's stated limit (conclusion), claim C10. Likeness 0: figures never wear the backdrop's colours; 1: both draw
# on the same ones. The limit shows if the FAME mask's recall lift and the gain over the baseline are lower at 1 than at
# 0, by intervals; the Seed mask, which has no colour step, is the contrast. The claim (studies/paper/links.py) is about
# 0 and 1; the third place tells a slope from a step, and is all that the study has beyond the claim's need.
LIKENESSES = {f"likeness {likeness:g}": likeness for likeness in (0.0, 0.5, 1.0)}
APART, ALIKE = "likeness 0", "likeness 1"
ENDS = difference((twins.FAME, APART), (twins.FAME, ALIKE))

LIKENESS = Finding(
    name="likeness",
    title="Likeness of figure and background, mask and gain",
    question="Do mask and gain suffer where figure and background share their colours?",
    paper="conclusion",
    claims=("C10",),
    rows=twins.worlds("likeness", LIKENESSES),
    measures=(*MEASURES, *twins.MASK_MEASURES),
    contrasts=(
        Contrast(f"FAME mask at {APART} - at {ALIKE}", ENDS, twins.MASK_LIFT),
        Contrast(f"Seed mask at {APART} - at {ALIKE}", ENDS, twins.SEED_LIFT),
        *twins.gains(LIKENESSES),
        Contrast(f"gain at {APART} - at {ALIKE}", less(twins.gain(APART), twins.gain(ALIKE))),
    ),
    note=twins.OF_VIDEOS,
    curve="likeness of colours",
)

# If beta has to match the figure's area, larger figures want larger beta: the best beta, by deranged scenes, then moves
# with the size (standing height as a share of the frame's). If one beta is best at all sizes, or all differences
# between betas are negligible, beta need not be tuned per data set.
SIZES = {f"height {size:g}": size for size in (0.4, 0.6, 0.8)}
BETAS = (0.3, 0.5, 0.7)


def between(high: float, low: float, size: str) -> Terms:
    """Return FAME at one beta minus FAME at another, in the worlds of one size."""
    return difference((f"FAME {high:g}", size), (f"FAME {low:g}", size))


FIGURE_SIZE = Finding(
    name="figure_size",
    title="Size of the figure and area ratio",
    question="Which beta is best for which figure?",
    rows=twins.worlds("figure", SIZES, {f"FAME {beta:g}": beta for beta in BETAS}),
    contrasts=(
        *(
            Contrast(f"beta {high:g} - beta {low:g} at {size}", between(high, low, size))
            for size in SIZES
            for high, low in combinations(reversed(BETAS), 2)
        ),
        Contrast(
            "(beta 0.7 - beta 0.3) at height 0.8 - the same at height 0.4",
            less(between(0.7, 0.3, "height 0.8"), between(0.7, 0.3, "height 0.4")),
        ),
    ),
    curve="figure's height, share of the frame",
)
