"""Which beta is best for which figure? Standing heights of 0.4, 0.6 and 0.8 of the frame, each at beta 0.3, 0.5 and 0.7.

If beta has to match the figure's area, larger figures want larger beta: the best beta, by deranged scenes, then moves with the
size. If one beta is best at all sizes, or the differences lie within their intervals, beta need not be tuned per data set.
"""

from studies.findings import twins
from studies.study import Row, Study, fame, moco

SIZES = (0.4, 0.6, 0.8)  # of the frame's height
BETAS = (0.3, 0.5, 0.7)

STUDY = Study(
    name="figure_size",
    title="Size of the figure and area ratio",
    paper="a finding",
    claims=(),
    rows=tuple(
        row
        for size in SIZES
        for row in (
            Row(twins.BASELINE, moco(world={"figure": size}), f"height {size:g}", size),
            *(Row(f"FAME {beta:g}", fame(beta, world={"figure": size}), f"height {size:g}", size) for beta in BETAS),
        )
    ),
    measures=twins.MEASURES,
    curve="figure's height, share of the frame",
)
