"""Declare the headline: FAME (beta 0.5, one view merged) against the baseline in scenes that go with another action."""

from collections.abc import Iterable
from dataclasses import replace

from studies.study import UNCHANGED, Changes, Method, Row, Study, balanced, deranged, fame, gap, moco, random_init, top1

TEXT = "FAME (beta 0.5, single) minus baseline: linear probe on A, tested in deranged scenes"
METHODS = {"random init": random_init(), "baseline": moco(), "FAME": fame()}
# a perfect mask: can the benchmark show a gain at all? (studies/findings/controls.py)
CONTROL = "FAME with a perfect mask, on empty scenes"
CONTROLS = {
    "FAME with a perfect mask": fame(variant="true"),
    CONTROL: fame(variant="true", background="empty"),
}
MEASURES = {"own": top1("A", "probe"), "deranged": deranged("A"), "gap": gap("A"), "balanced": balanced("A")}
GATE = ((CONTROL, "balanced"), ("random init", "balanced"), ("baseline", "gap"))  # the numbers that say whether a world is fit


def methods(changes: Changes = UNCHANGED) -> dict[str, Method]:
    """Return the methods and controls by name, in a setting of their own."""
    return {name: replace(method, changes=changes) for name, method in (METHODS | CONTROLS).items()}


def headline(changes: Changes = UNCHANGED) -> Study:
    """Return the study of the headline and its positive control."""
    found = methods(changes)
    return Study(
        name="headline",
        title="FAME against its baseline, and a perfect mask",
        paper="beyond the paper",
        claims=(),
        rows=tuple(Row(name, found[name]) for name in (*METHODS, CONTROL)),
        measures=tuple(MEASURES.values()),
        leads=True,
    )


HEADLINE = headline()


def apart(studies: Iterable[Study]) -> bool:
    """Return whether the headline is among the studies, so that it is run in its own setting."""
    return any(study.leads for study in studies)
