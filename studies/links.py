"""The links of the claims: comparisons of two sides, each a declared method and a measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from studies.study import Measure, Method, background_erasing, deranged, fame, moco, random_init, recall_at, supervised, top1
from studies.temporal_kernels import LAYERS

Kind = Literal["as published", "mechanism"]
BETAS = (0.7, 0.5, 0.3)


@dataclass(frozen=True)
class Side:
    """One number of a comparison. `method` is None where no encoder is needed (masks)."""

    name: str
    method: Method | None
    measure: Measure


@dataclass(frozen=True)
class Link:
    """`greater` is above `lesser`; with `relation` "equal" they differ by no more than the claim's delta."""

    greater: Side
    lesser: Side
    relation: Literal["greater", "equal"] = "greater"

    @property
    def text(self) -> str:
        """As a reader says it: "FAME > baseline, A finetuned"."""
        sign = ">" if self.relation == "greater" else "="
        greater, lesser = self.greater.measure.label, self.lesser.measure.label
        of = greater if greater == lesser else f"{greater}; {lesser}"
        return f"{self.greater.name} {sign} {self.lesser.name}, {of}"


def above(greater: tuple[str, Method | None], lesser: tuple[str, Method | None], measures: Iterable[Measure]) -> tuple[Link, ...]:
    """`greater > lesser` by each measure."""
    return tuple(Link(Side(*greater, measure), Side(*lesser, measure)) for measure in measures)


def ordered(methods: Iterable[tuple[str, Method | None]], measures: Iterable[Measure]) -> tuple[Link, ...]:
    """Each method above the next, by each measure."""
    chain, kept = list(methods), tuple(measures)
    return tuple(link for high, low in pairwise(chain) for link in above(high, low, kept))


PUBLISHED = (top1("A"), top1("B"))
SCENES = (deranged("A"),)
BASELINE = ("baseline", moco())
FAME = ("FAME", fame())
MASKS = {"Gauss": fame(variant="gauss"), "Seed": fame(variant="seed"), "Grid": fame(variant="grid"), "FAME": fame()}


def area_ratio(measures: tuple[Measure, ...]) -> tuple[Link, ...]:
    grid = [(f"beta {beta} {views}", fame(beta, views=views)) for views in ("single", "both") for beta in BETAS]  # type: ignore[arg-type]
    return tuple(link for method in grid for link in above(method, BASELINE, measures))


def masks(measures: tuple[Measure, ...]) -> tuple[Link, ...]:
    beat_baseline = [above(mask, BASELINE, measures) for mask in MASKS.items()]
    order = [(("Seed", MASKS["Seed"]), ("Gauss", MASKS["Gauss"]))]
    order += [((name, MASKS[name]), ("Seed", MASKS["Seed"])) for name in ("Grid", "FAME")]
    return tuple(link for links in (*beat_baseline, *(above(high, low, measures) for high, low in order)) for link in links)


def views(measures: tuple[Measure, ...]) -> tuple[Link, ...]:
    return tuple(
        Link(Side(f"beta {beta} single", fame(beta), measure), Side("both", fame(beta, views="both"), measure), "equal")
        for beta in BETAS
        for measure in measures
    )


def transfer() -> tuple[Link, ...]:
    links: list[Link] = []
    for on, said in (("A", ""), ("source", ", on the source")):
        for lesser in ((f"BE{said}", background_erasing(on)), ("random init", random_init())):  # type: ignore[arg-type]
            links += above((f"FAME{said}", fame(on=on)), lesser, (top1("C"),))  # type: ignore[arg-type]
    return tuple(links)


def kernels(measure: str, label: str, kind: Kind) -> tuple[Link, ...]:
    measures = tuple(Measure(f"{measure}/{layer}", "kernels", "A", f"{layer} {label}", kind=kind) for layer in LAYERS)
    contrastive = ("contrastive", moco())
    return (*above(("supervised", supervised()), contrastive, measures), *above(FAME, contrastive, measures))


def activation() -> tuple[Link, ...]:
    auroc = Measure("auroc", "activation", "A", "AUROC against the figure", kind="mechanism")
    ratio = Measure("exchange_ratio", "activation", "A", "scene exchanged / figure exchanged", kind="mechanism")
    contrastive = ("vanilla contrastive", moco())
    return (*above(FAME, contrastive, (auroc,)), *above(contrastive, FAME, (ratio,)))


def retrieval(condition: str = "") -> tuple[Link, ...]:
    measure = (recall_at(1, "A", condition),)
    if condition:
        return above(FAME, ("MoCo", moco()), measure)
    source = above(("FAME, on the source", fame(on="source")), ("MoCo, on the source", moco("source")), measure)
    return (*above(FAME, ("MoCo", moco()), measure), *source)


def covers() -> tuple[Link, ...]:
    def of(variant: str, measure: str, label: str) -> Side:
        return Side(
            variant.capitalize() if variant == "seed" else "FAME",
            None,
            Measure(f"{variant}/0.5/paper/{measure}", "masks", "A", label),
        )

    named = (("recall_still", "recall on figure pixels that do not move"), ("recall_lift", "recall lift"))
    return tuple(Link(of("fame", measure, label), of("seed", measure, label)) for measure, label in named)
