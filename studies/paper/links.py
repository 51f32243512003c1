"""Define what a claim consists of: links, comparisons of two sides, each a method and a measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fame.config import Flavour, Variant
from studies.study import Measure, Method

Named = tuple[str, Method | None]
Relation = Literal["greater", "equal"]


@dataclass(frozen=True)
class RealMask:
    """How one kind of mask covers the object in real video: not run in a study, but kept as measured (reports/ledger.py).

    `measure` is a column of studies/real_masks/sequences.csv; `camera` which sequences count; `size` of the crop in pixels.
    """

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
    """Declare one number of a comparison: a measure of a method or, with `minus`, its difference to another side (a gain).

    `method` is None for masks of the unchanged world. Where a mask's side has a method, it says in which world.
    """

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
    """Declare that `greater` is above `lesser`; with `relation` "equal", that they differ by no more than the claim's delta.

    `margin`: where a test mixes units, the link's own instead of the test's.
    """

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


def links(pairs: Iterable[tuple[Named, Named]], *measures: Measure, relation: Relation = "greater") -> tuple[Link, ...]:
    """Return a link for each pair of methods and each measure."""
    return tuple(Link(Side(*high, measure), Side(*low, measure), relation) for high, low in pairs for measure in measures)
