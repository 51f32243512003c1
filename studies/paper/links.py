"""Define claims and what they consist of: links, comparisons of two sides, each a method and a measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fame.config import Flavour, Variant
from studies.study import Measure, Method

Named = tuple[str, Method | None]
Relation = Literal["greater", "equal"]

GATE_POINTS = 10.0  # of the positive control above random initialisation, and of the baseline's background gap
POINTS = 2.0  # margin of accuracies and recalls, in points
SHARE = 0.02  # margin of shares, AUROCs and ratios
ALL_SUPPORTED = (
    "reproduced if every link's 95 % interval lies above 0; "
    "not reproduced if one, Holm-adjusted, does not and lies below the margin m"
)


@dataclass(frozen=True)
class RealMask:
    """Choose from studies/real_masks/sequences.csv: `measure` is a column, `camera` which sequences count, `size` in pixels."""

    variant: Variant
    measure: str
    said: str
    camera: Literal["all", "still", "moving"] = "all"
    size: int = 112
    beta: float = 0.5
    flavour: Flavour = "paper"

    @property
    def label(self) -> str:
        cameras = "all cameras" if self.camera == "all" else f"{self.camera} cameras"
        return f"{self.said}, {self.size} px, {cameras}"


@dataclass(frozen=True)
class Side:
    """Declare a measure of a method (None: of masks in the unchanged world), or with `minus` its difference to another side."""

    name: str
    method: Method | None
    measure: Measure | RealMask
    minus: Side | None = None

    @property
    def parts(self) -> tuple[Side, ...]:
        """Return this side and those that are subtracted from it."""
        return (self, *self.minus.parts) if self.minus else (self,)

    @property
    def encoders(self) -> tuple[Method, ...]:
        """Return the methods whose encoders it depends on; a mask depends on none."""
        runs = (side for side in self.parts if isinstance(side.measure, Measure) and side.measure.protocol != "masks")
        return tuple(side.method for side in runs if side.method)


@dataclass(frozen=True)
class Link:
    """Declare `greater` above `lesser` or, by `relation` "equal", within the claim's delta of it; `margin` replaces the test's."""

    greater: Side
    lesser: Side
    relation: Relation = "greater"
    margin: float | None = None

    @property
    def text(self) -> str:
        """Return it in words: "FAME > baseline, A finetuned"."""
        sign = ">" if self.relation == "greater" else "="
        greater, lesser = self.greater.measure.label, self.lesser.measure.label
        of = greater if greater == lesser else f"{greater}; {lesser}"
        return f"{self.greater.name} {sign} {self.lesser.name}, {of}"


@dataclass(frozen=True)
class Test:
    """Declare one way of judging a claim: all of its `links` have to hold; those `beside` are shown and decide nothing."""

    __test__ = False  # not a pytest class

    kind: Literal["as published", "mechanism", "real video", "real video, small scale"]
    metric: str
    links: tuple[Link, ...]
    rule: str = ALL_SUPPORTED
    margin: float = POINTS
    beside: tuple[Link, ...] = ()
    needs: str = ""  # the finding that has to be run for it, where the paper's own studies do not suffice

    def margin_of(self, link: Link) -> float:
        """Return the link's own margin, or the test's."""
        return self.margin if link.margin is None else link.margin

    @property
    def source(self) -> Literal["runs", "real video"]:
        """Return where its numbers come from: runs of a study, a value a replicate; or real video, a value a sequence."""
        return "real video" if self.kind == "real video" else "runs"


@dataclass(frozen=True)
class Claim:
    """Declare a sentence of the paper, and how it is judged."""

    id: str
    text: str
    where: str
    tests: tuple[Test, ...]


def links(pairs: Iterable[tuple[Named, Named]], *measures: Measure, relation: Relation = "greater") -> tuple[Link, ...]:
    """Return a link for each pair of methods and each measure."""
    return tuple(Link(Side(*high, measure), Side(*low, measure), relation) for high, low in pairs for measure in measures)
