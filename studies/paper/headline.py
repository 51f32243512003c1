"""Declare the headline: FAME (beta 0.5, one view merged) against the baseline in scenes that go with another action."""

from studies.study import balanced, deranged, fame, gap, moco, random_init, top1

TEXT = "FAME (beta 0.5, single) minus baseline: linear probe on A, tested in deranged scenes"
METHODS = {"random init": random_init(), "baseline": moco(), "FAME": fame()}
# a perfect mask: can the benchmark show a gain at all? (studies/findings/controls.py)
CONTROLS = {
    "FAME with a perfect mask": fame(variant="true"),
    "FAME with a perfect mask, on empty scenes": fame(variant="true", background="empty"),
}
MEASURES = {"own": top1("A", "probe"), "deranged": deranged("A"), "gap": gap("A"), "balanced": balanced("A")}
