"""Declare the links of the claims: comparisons of two sides, each a method and a measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from fame.config import Flavour, Variant
from studies.findings.twins import MASK_LIFT, SEED_LIFT
from studies.paper.temporal_kernels import LAYERS
from studies.study import Measure, Method, background_erasing, deranged, fame, moco, random_init, recall_at, supervised, top1

Kind = Literal["as published", "mechanism", "real video"]
Camera = Literal["all", "still", "moving"]
BETAS = (0.7, 0.5, 0.3)


@dataclass(frozen=True)
class RealMask:
    """How one kind of mask covers the object in real video: not run in a study, but kept as measured (reports/ledger.py).

    `measure` is a column of studies/real_masks/sequences.csv; `camera` which sequences count; `size` of the crop in pixels.
    """

    variant: Variant
    measure: str
    said: str
    camera: Camera = "all"
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

    `method` is None for masks of the unchanged world. Where a mask's side has a method, it says in which world; no encoder is used.
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
    def learnt(self) -> bool:
        """Return whether it depends on what an encoder learnt; a mask does not."""
        return bool(self.encoders)

    @property
    def encoders(self) -> tuple[Method, ...]:
        """Return the methods whose encoders it depends on."""
        runs = (side for side in self.parts if isinstance(side.measure, Measure) and side.measure.protocol != "masks")
        return tuple(side.method for side in runs if side.method)


@dataclass(frozen=True)
class Link:
    """Declare that `greater` is above `lesser`; with `relation` "equal", that they differ by no more than the claim's delta.

    `margin`: where a test mixes units, the link's own instead of the test's.
    """

    greater: Side
    lesser: Side
    relation: Literal["greater", "equal"] = "greater"
    margin: float | None = None

    @property
    def text(self) -> str:
        """Return it in words: "FAME > baseline, A finetuned"."""
        sign = ">" if self.relation == "greater" else "="
        greater, lesser = self.greater.measure.label, self.lesser.measure.label
        of = greater if greater == lesser else f"{greater}; {lesser}"
        return f"{self.greater.name} {sign} {self.lesser.name}, {of}"


def above(greater: tuple[str, Method | None], lesser: tuple[str, Method | None], measures: Iterable[Measure]) -> tuple[Link, ...]:
    """Return the links `greater > lesser`, one a measure."""
    return tuple(Link(Side(*greater, measure), Side(*lesser, measure)) for measure in measures)


def ordered(methods: Iterable[tuple[str, Method | None]], measures: Iterable[Measure]) -> tuple[Link, ...]:
    """Return the links that put each method above the next, by each measure."""
    chain, kept = list(methods), tuple(measures)
    return tuple(link for high, low in pairwise(chain) for link in above(high, low, kept))


PUBLISHED = (top1("A"), top1("B"))
SCENES = (deranged("A"),)
BASELINE = ("baseline", moco())
FAME = ("FAME", fame())
MASKS = {"Gauss": fame(variant="gauss"), "Seed": fame(variant="seed"), "Grid": fame(variant="grid"), "FAME": fame()}


def area_ratio(measures: tuple[Measure, ...]) -> tuple[Link, ...]:
    """Return C1's links: each beta, one view merged or both, above the baseline."""
    grid = [(f"beta {beta} {views}", fame(beta, views=views)) for views in ("single", "both") for beta in BETAS]  # type: ignore[arg-type]
    return tuple(link for method in grid for link in above(method, BASELINE, measures))


def masks(measures: tuple[Measure, ...]) -> tuple[Link, ...]:
    """Return C3's links: each mask above the baseline, and their order."""
    beat_baseline = [above(mask, BASELINE, measures) for mask in MASKS.items()]
    order = [(("Seed", MASKS["Seed"]), ("Gauss", MASKS["Gauss"]))]
    order += [((name, MASKS[name]), ("Seed", MASKS["Seed"])) for name in ("Grid", "FAME")]
    return tuple(link for links in (*beat_baseline, *(above(high, low, measures) for high, low in order)) for link in links)


def views(measures: tuple[Measure, ...]) -> tuple[Link, ...]:
    """Return C5's links: one view merged equals both, at each beta."""
    return tuple(
        Link(Side(f"beta {beta} single", fame(beta), measure), Side("both", fame(beta, views="both"), measure), "equal")
        for beta in BETAS
        for measure in measures
    )


def transfer() -> tuple[Link, ...]:
    """Return C6's links: FAME above background erasing and random initialisation on target C, from either pretraining set."""
    links: list[Link] = []
    for on, said in (("A", ""), ("source", ", on the source")):
        for lesser in ((f"BE{said}", background_erasing(on)), ("random init", random_init())):  # type: ignore[arg-type]
            links += above((f"FAME{said}", fame(on=on)), lesser, (top1("C"),))  # type: ignore[arg-type]
    return tuple(links)


def kernels(measure: str, label: str, kind: Literal["as published", "mechanism"]) -> tuple[Link, ...]:
    """Return C7's links, one a layer: supervised and FAME above contrastive."""
    measures = tuple(Measure(f"{measure}/{layer}", "kernels", "A", f"{layer} {label}", kind=kind) for layer in LAYERS)
    contrastive = ("contrastive", moco())
    return (*above(("supervised", supervised()), contrastive, measures), *above(FAME, contrastive, measures))


def activation() -> tuple[Link, ...]:
    """Return C8's links: AUROC against the figure, and the exchange ratio."""
    auroc = Measure("auroc", "activation", "A", "AUROC against the figure", kind="mechanism")
    ratio = Measure("exchange_ratio", "activation", "A", "scene exchanged / figure exchanged", kind="mechanism")
    contrastive = ("vanilla contrastive", moco())
    return (*above(FAME, contrastive, (auroc,)), *above(contrastive, FAME, (ratio,)))


def retrieval(condition: str = "") -> tuple[Link, ...]:
    """Return C9's links: R@1 of FAME above MoCo's, in own scenes (from both pretraining sets) or in a `condition`."""
    measure = (recall_at(1, "A", condition),)
    if condition:
        return above(FAME, ("MoCo", moco()), measure)
    source = above(("FAME, on the source", fame(on="source")), ("MoCo, on the source", moco("source")), measure)
    return (*above(FAME, ("MoCo", moco()), measure), *source)


def covers() -> tuple[Link, ...]:
    """Return C11's links on the benchmark: FAME's mask covers the figure better than Seed's."""

    def of(variant: str, measure: str, label: str) -> Side:
        return Side(
            variant.capitalize() if variant == "seed" else "FAME",
            None,
            Measure(f"{variant}/0.5/paper/{measure}", "masks", "A", label),
        )

    named = (("recall_still", "recall on figure pixels that do not move"), ("recall_lift", "recall lift"))
    return tuple(Link(of("fame", measure, label), of("seed", measure, label)) for measure, label in named)


def likeness(mask_margin: float) -> tuple[Link, ...]:
    """Return C10's links: where all colours are shared, the mask's recall and FAME's gain are lower than where none are."""
    return (_unlike(MASK_LIFT, mask_margin), Link(_gain(0.0), _gain(1.0)))


def likeness_beside(mask_margin: float) -> tuple[Link, ...]:
    """Return what is shown beside C10: FAME's gain at either end, and what Seed, which has no colour step, loses."""
    ends = [
        above((f"FAME at likeness {at:g}", fame(world={"likeness": at})), ("baseline", moco(world={"likeness": at})), SCENES)[0]
        for at in (0.0, 1.0)
    ]
    return (*ends, _unlike(SEED_LIFT, mask_margin))


def _unlike(measure: Measure, margin: float) -> Link:
    """Return the link of one kind of mask between both worlds; the method says which world."""
    high, low = (Side(f"likeness {at:g}", fame(world={"likeness": at}), measure) for at in (0.0, 1.0))
    return Link(high, low, margin=margin)


def _gain(at: float) -> Side:
    base = Side("baseline", moco(world={"likeness": at}), *SCENES)
    return Side(f"(FAME - baseline) at likeness {at:g}", fame(world={"likeness": at}), *SCENES, minus=base)


STILL_RECALL, LIFT = ("recall_still", "recall on the object's pixels that do not move"), ("recall_lift", "recall lift")
BOX_LIFT = ("box_recall_lift", "recall lift of the actor's box")


def covers_really() -> tuple[Link, ...]:
    """Return C11's links on real video: against true masks, at the paper's size and flavour, all cameras."""
    return tuple(_really(*measure) for measure in (STILL_RECALL, LIFT))


def covers_beside() -> tuple[Link, ...]:
    """Return what is shown beside them: still and moving cameras apart, the released flavour, 32 px, and actor boxes."""
    cameras: tuple[Camera, ...] = ("still", "moving")
    links = [_really(*measure, camera=camera) for measure in (STILL_RECALL, LIFT) for camera in cameras]
    links += [_really(*measure, flavour="official") for measure in (STILL_RECALL, LIFT)]
    links += [_really(*measure, size=32) for measure in (STILL_RECALL, LIFT)]
    return (*links, _really(*BOX_LIFT), *(_really(*BOX_LIFT, camera=camera) for camera in cameras))


def _really(measure: str, said: str, camera: Camera = "all", size: int = 112, flavour: Flavour = "paper") -> Link:
    name = "FAME" if flavour == "paper" else "FAME (released code's colours)"
    greater = RealMask("fame", measure, said, camera, size, flavour=flavour)
    return Link(Side(name, None, greater), Side("Seed", None, RealMask("seed", measure, said, camera, size)))
