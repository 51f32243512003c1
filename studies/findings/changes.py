"""Declare the findings on what is fixed elsewhere: schedule, world, the posterior's constants, the released code's quirks."""

from itertools import combinations

from studies.findings.contrasts import (
    BASELINE,
    FAME,
    MASK_LIFT,
    MASK_MEASURES,
    MEASURES,
    SEED_LIFT,
    START,
    Best,
    Contrast,
    Finding,
    difference,
    gain,
    gains,
    in_schedules,
    in_worlds,
    less,
    times,
)
from studies.findings.controls import EMPTY, OF_TRUTH, TRUE
from studies.study import Measure, Row, fame, moco

# If FAME's advantage at four times the epochs is below half of that at once, by an interval of the two's own difference,
# merging was a matter of speed; if it stays, of what is learnt.
EPOCHS = {f"{factor:g}x epochs": factor for factor in (0.5, 1.0, 2.0, 4.0)}
ONCE, LONG = "1x epochs", "4x epochs"
HALVED = "half of the gain at 1x - the gain at 4x"

SCHEDULES = Finding(
    name="schedules",
    title="Longer schedules: does the baseline catch up?",
    question="Does the baseline catch up?",
    rows=(*in_schedules("epochs_times", EPOCHS), *START),
    contrasts=(*gains(EPOCHS), Contrast(HALVED, less(times(0.5, gain(ONCE)), gain(LONG)))),
    note="Each schedule is a run of its own, annealed to its end.",
    curve="epochs, times the scale's",
)

# At the scale's own schedule a perfect mask is not shown to be above the baseline, nor shown not to be (positive_control),
# and the baseline has only begun to see the motion there (schedules). If the perfect mask gains at four times the epochs,
# the benchmark has room for what the paper claims, and FAME's own mask falls short of it; if not, no verdict on a mechanism
# speaks of the mask.
ALONE = f"{TRUE}, on {EMPTY}"

LONGER_CONTROL = Finding(
    name="longer_control",
    title="Positive control over longer schedules",
    question="Can this benchmark show a gain at all when there is time to learn?",
    rows=(
        *(
            row
            for column, by in ((ONCE, 1.0), (LONG, 4.0))
            for row in (
                *in_schedules("epochs_times", {column: by}),
                Row(TRUE, fame(variant="true", optim={"epochs_times": by}), column, by),
                Row(ALONE, fame(variant="true", background="empty", optim={"epochs_times": by}), column, by),
            )
        ),
        *START[:1],  # the control stands above
    ),
    contrasts=(
        *(Contrast(f"{row} - baseline at {LONG}", gain(LONG, row)) for row in (TRUE, FAME, ALONE)),
        Contrast(f"{TRUE} - FAME at {LONG}", difference((TRUE, LONG), (FAME, LONG))),
        Contrast(f"gain of the {TRUE}, at {LONG} - at {ONCE}", less(gain(LONG, TRUE), gain(ONCE, TRUE))),
    ),
    note=f"{OF_TRUTH} {SCHEDULES.note}",
    curve=SCHEDULES.curve,
)

# The scale's rate was chosen without FAME. Equal tuning: the best rate of each method by the balanced head on its
# validation videos, and the difference between those two rows. If it has another sign than that at the scale's rate, or
# lies outside that one's interval, the latter is a matter of tuning.
RATES = {f"{label}x learning rate": factor for label, factor in (("1/3", 1 / 3), ("1", 1.0), ("3", 3.0))}
VALIDATION = Measure("balanced/val/balanced/top1", "probe", "A", "A validation, balanced head", kind="mechanism")
TUNED = difference(*(Best(tuple((method, rate) for rate in RATES), VALIDATION) for method in (FAME, BASELINE)))

LEARNING_RATES = Finding(
    name="learning_rates",
    title="Learning rates: equal tuning per method",
    question="Was the learning rate kinder to one of the two?",
    rows=(*in_schedules("lr_times", RATES), *START),
    contrasts=(
        *gains(RATES),
        Contrast("FAME - baseline, each at its best rate", TUNED),
        Contrast("what equal tuning changes of that", less(TUNED, gain("1x learning rate"))),
    ),
    curve="learning rate, times the scale's",
)

# The share rho of videos whose scene goes with their action, in target A: at 1/8, one in eight actions, the scene says
# nothing of the action; at 1 it says everything. A method against background bias has its gain in deranged scenes grow with
# rho; a gain at 1/8 would be of another kind (augmentation, for instance).
RHOS = {f"rho {rho:g}": rho for rho in (1 / 8, 0.5, 0.8, 0.95, 1.0)}
UNBIASED, BIASED = "rho 0.125", "rho 1"
GROWTH = f"gain at {BIASED} - gain at {UNBIASED}"

SHORTCUT = Finding(
    name="shortcut",
    title="Strength of the scene shortcut",
    question="How much of FAME's gain hangs on the shortcut?",
    rows=in_worlds("rho", RHOS),
    contrasts=(*gains(RHOS), Contrast(GROWTH, less(gain(BIASED), gain(UNBIASED)))),
    note="At rho 1/8 the scene says nothing of the action.",
    curve="share of videos in the scene of their action, rho",
)

# A moving camera moves every edge. An answer: the drift, in stored pixels, from which the mask's recall lift falls below
# half of its value at rest, and whether the gain falls with it. If it does not, the mask was not what helped.
DRIFTS = {f"{drift:g} px a frame": drift for drift in (0.0, 0.25, 0.5, 1.0, 2.0)}
REST, *DRIFTING = DRIFTS
HALVES = tuple(
    Contrast(f"mask at {drift} - half of it at rest", ((1.0, (FAME, drift)), (-0.5, (FAME, REST))), MASK_LIFT) for drift in DRIFTING
)

CAMERA = Finding(
    name="camera",
    title="Camera motion, mask and gain",
    question="Does it need a still camera?",
    rows=in_worlds("camera", DRIFTS),
    measures=(*MEASURES, *MASK_MEASURES),
    contrasts=(
        *HALVES,
        *gains(DRIFTS),
        Contrast(f"gain at rest - gain at {DRIFTING[-1]}", less(gain(REST), gain(DRIFTING[-1]))),
    ),
    note="The masks are those of the row's videos, whichever method stands beside them.",
    curve="camera drift, pixels a frame",
)

# The paper's stated limit, claim C10. Likeness 0: figures never wear the backdrop's colours; 1: both draw on the same ones.
# The limit shows if the FAME mask's recall lift and the gain are lower at 1 than at 0; the Seed mask, which has no colour
# step, is the contrast.
LIKENESSES = {f"likeness {likeness:g}": likeness for likeness in (0.0, 0.5, 1.0)}
APART, ALIKE = "likeness 0", "likeness 1"
ENDS = difference((FAME, APART), (FAME, ALIKE))

LIKENESS = Finding(
    name="likeness",
    title="Likeness of figure and background, mask and gain",
    question="Do mask and gain suffer where figure and background share their colours?",
    paper="conclusion",
    claims=("C10",),
    rows=in_worlds("likeness", LIKENESSES),
    measures=(*MEASURES, *MASK_MEASURES),
    contrasts=(
        Contrast(f"FAME mask at {APART} - at {ALIKE}", ENDS, MASK_LIFT),
        Contrast(f"Seed mask at {APART} - at {ALIKE}", ENDS, SEED_LIFT),
        *gains(LIKENESSES),
        Contrast(f"gain at {APART} - at {ALIKE}", less(gain(APART), gain(ALIKE))),
    ),
    note=CAMERA.note,
    curve="likeness of colours",
)

# If beta has to match the figure's area, the best beta moves with its size (standing height as a share of the frame's). If
# one beta is best at all sizes, or all differences between betas are negligible, beta need not be tuned per data set.
SIZES = {f"height {size:g}": size for size in (0.4, 0.6, 0.8)}
BETAS = (0.3, 0.5, 0.7)
BY_SIZE = {
    (high, low, size): difference((f"FAME {high:g}", size), (f"FAME {low:g}", size))
    for size in SIZES
    for high, low in combinations(reversed(BETAS), 2)
}

FIGURE_SIZE = Finding(
    name="figure_size",
    title="Size of the figure and area ratio",
    question="Which beta is best for which figure?",
    rows=in_worlds("figure", SIZES, {f"FAME {beta:g}": beta for beta in BETAS}),
    contrasts=(
        *(Contrast(f"beta {high:g} - beta {low:g} at {size}", terms) for (high, low, size), terms in BY_SIZE.items()),
        Contrast(
            "(beta 0.7 - beta 0.3) at height 0.8 - the same at height 0.4",
            less(BY_SIZE[0.7, 0.3, "height 0.8"], BY_SIZE[0.7, 0.3, "height 0.4"]),
        ),
    ),
    curve="figure's height, share of the frame",
)

# The paper takes equal priors P(F), and samples P(x|F) and P(x|B) from the 50 % and 10 % of pixels that move most and
# least. If all differences to these constants are negligible, they are no hidden knobs.
PAPER = "P(F) = 0.5"
POSTERIORS = {f"P(F) = {prior:g}": fame(prior=prior) for prior in (0.3, 0.5, 0.7)}
POSTERIORS |= {f"{100 * f:g} % and {100 * b:g} %": fame(sampled=(f, b)) for f, b in ((0.3, 0.3), (0.25, 0.1), (0.5, 0.5))}

SAMPLING = Finding(
    name="sampling",
    title="Prior and samples of the colour posterior",
    question="Do the colour posterior's constants matter?",
    rows=(Row(BASELINE, moco()), *(Row(label, method) for label, method in POSTERIORS.items()), *START),
    contrasts=(
        Contrast(f"{PAPER} - baseline", difference((PAPER, ""), (BASELINE, ""))),
        *(Contrast(f"{other} - the paper's", difference((other, ""), (PAPER, ""))) for other in POSTERIORS if other != PAPER),
    ),
    note="P(F) = 0.5 with 50 % and 10 % is the paper's FAME.",
)

# The released code's hue angle, scaled by 2 pi twice; backgrounds that can be the clip's own; one view merged or both; the
# symmetric loss, whose second query meets its own clip's key among the negatives, and the same loss without that key. Where
# the loss differs between two rows, their gains over the baseline of the same loss are compared.
ONE, TWO, WITHOUT = "one turn", "symmetric", "symmetric, without the own key"  # turns of the loss: the columns
LOSSES = {ONE: {"symmetric": False}, TWO: {"symmetric": True}, WITHOUT: {"symmetric": True, "own_key": False}}
ALL = "all of them, as released"
QUIRK_ROWS = (
    Row("both views merged", fame(flavour="paper", views="both", moco=LOSSES[ONE]), ONE),
    Row("hue angle scaled twice", fame(flavour="official", partners="others", moco=LOSSES[ONE]), ONE),
    Row("background can be the clip's own", fame(flavour="paper", partners="any", moco=LOSSES[ONE]), ONE),
)

QUIRKS = Finding(
    name="quirks",
    title="Quirks of the released code",
    question="Do the released code's departures from the paper matter?",
    rows=(
        *(
            row
            for loss, how in LOSSES.items()
            for row in (Row(BASELINE, moco(moco=how), loss), Row(FAME, fame(flavour="paper", moco=how), loss))
        ),
        *QUIRK_ROWS,
        Row(ALL, fame(flavour="official", moco=LOSSES[TWO]), TWO),
        *START,
    ),
    contrasts=(
        *(Contrast(quirk.label, difference((quirk.label, ONE), (FAME, ONE))) for quirk in QUIRK_ROWS),
        Contrast("symmetric loss", less(gain(TWO), gain(ONE))),
        Contrast("own key among the negatives", less(gain(TWO), gain(WITHOUT))),
        Contrast(ALL, less(gain(TWO, ALL), gain(ONE))),
    ),
    note="Columns: the turns of the loss. FAME merges one view, as released, but where a row says both.",
)
