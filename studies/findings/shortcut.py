"""How much of FAME's gain hangs on the shortcut? The share rho of videos whose scene goes with their action, in target A.

At 1/8, one in eight actions, the scene says nothing of the action (0 would mean never its own scene, which says something again);
at 1 it says everything. An answer: the gain in deranged scenes as a curve over rho. A method against background bias has its gain
grow with rho and loses nothing where there is no bias; a gain at 1/8 would be of another kind (augmentation, for instance).

Test videos of the own scene are drawn with the same rho, so at 1/8 the gap of any method is near 0 by construction.
"""

from studies.findings import twins
from studies.findings.contrasts import Contrast, Finding, less

CHANCE = 1 / 8  # of the eight actions
RHOS = (CHANCE, 0.5, 0.8, 0.95, 1.0)
NONE, FULL = (f"rho {rho:g}" for rho in (RHOS[0], RHOS[-1]))
UNBIASED, GROWTH = f"FAME - baseline at {NONE}", f"gain at {FULL} - gain at {NONE}"

CONTRASTS = (
    *(Contrast(f"FAME - baseline at rho {rho:g}", twins.gain(f"rho {rho:g}")) for rho in RHOS),
    Contrast(GROWTH, less(twins.gain(FULL), twins.gain(NONE))),
)

STUDY = Finding(
    name="shortcut",
    title="Strength of the scene shortcut",
    paper="a finding",
    claims=(),
    rows=tuple(row for rho in RHOS for row in twins.world(f"rho {rho:g}", rho, {"rho": rho})),
    measures=twins.MEASURES,
    note="At rho 1/8 the scene says nothing of the action.",
    curve="share of videos in the scene of their action, rho",
    question="How much of FAME's gain hangs on the shortcut?",
    contrasts=CONTRASTS,
)
