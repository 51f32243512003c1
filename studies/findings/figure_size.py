"""Which beta is best for which figure? Standing heights of 0.4, 0.6 and 0.8 of the frame, each at beta 0.3, 0.5 and 0.7.

If beta has to match the figure's area, larger figures want larger beta: the best beta, by deranged scenes, then moves with the
size. If one beta is best at all sizes, or all differences between betas are negligible, beta need not be tuned per data set.
"""

from itertools import combinations

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, Terms, difference, less
from studies.study import Row, fame, moco, random_init

SIZES = (0.4, 0.6, 0.8)  # of the frame's height
BETAS = (0.3, 0.5, 0.7)
PAIRS = tuple(combinations(BETAS[::-1], 2))  # the larger beta first


def at(size: float) -> str:
    return f"height {size:g}"


def between(high: float, low: float, size: float) -> Terms:
    return difference((f"FAME {high:g}", at(size)), (f"FAME {low:g}", at(size)))


def named(high: float, low: float, size: float) -> str:
    return f"beta {high:g} - beta {low:g} at {at(size)}"


TREND = f"(beta {BETAS[-1]:g} - beta {BETAS[0]:g}) at {at(SIZES[-1])} - the same at {at(SIZES[0])}"
CONTRASTS = (
    *(Contrast(named(*pair, size), between(*pair, size)) for size in SIZES for pair in PAIRS),
    Contrast(TREND, less(between(BETAS[-1], BETAS[0], SIZES[-1]), between(BETAS[-1], BETAS[0], SIZES[0]))),
)

STUDY = Finding(
    name="figure_size",
    title="Size of the figure and area ratio",
    paper="a finding",
    claims=(),
    rows=tuple(
        row
        for size in SIZES
        for row in (
            Row(twins.BASELINE, moco(world={"figure": size}), at(size), size),
            *(Row(f"FAME {beta:g}", fame(beta, world={"figure": size}), at(size), size) for beta in BETAS),
            Row(twins.RANDOM, random_init(world={"figure": size}), at(size), size, gate=True),
        )
    ),
    measures=twins.MEASURES,
    curve="figure's height, share of the frame",
    question="Which beta is best for which figure?",
    contrasts=CONTRASTS,
)
