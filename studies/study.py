"""The words in which a study is declared: method, row, measure, study. Nothing here knows how big; that is a scale's to say.

STUDY = Study(
    name="area_ratio", title="Area ratio of the foreground region", paper="table 1", claims=("C1", "C5"),
    rows=(Row("1.0 (baseline)", moco()), Row("0.5", fame(beta=0.5), column="single"), ...),
    measures=(top1("A", "finetune"), top1("B", "finetune"), deranged("A")),
)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fame.config import Background, BackgroundErasing, Flavour, Merge, Variant

Part = Literal["source", "A", "B", "C"]
Protocol = Literal["finetune", "probe", "retrieval", "kernels", "activation", "masks"]


@dataclass(frozen=True)
class Method:
    """How the encoder comes about: what is pretrained, how clips are merged or erased, on which part."""

    kind: Literal["moco", "supervised", "random"] = "moco"
    merge: Merge | None = None
    erasing: BackgroundErasing | None = None
    on: Literal["A", "source"] = "A"  # UCF101's twin, Kinetics' twin


def moco(on: Literal["A", "source"] = "A") -> Method:
    """The baseline: contrast without merging, beta = 1.0."""
    return Method(on=on)


def fame(
    beta: float = 0.5,
    *,
    variant: Variant = "fame",
    background: Background = "inter",
    views: Literal["single", "both"] = "single",
    flavour: Flavour = "paper",
    on: Literal["A", "source"] = "A",
) -> Method:
    """MoCo on merged clips. The Gaussian and the grid masks go through here as variants."""
    if variant == "gauss":
        beta = 0.5  # the soft mask ignores it; one value, so that one cell stands for it
    return Method(merge=Merge(variant=variant, beta=beta, background=background, views=views, flavour=flavour), on=on)


def background_erasing(on: Literal["A", "source"] = "A") -> Method:
    return Method(erasing=BackgroundErasing(), on=on)


def supervised() -> Method:
    return Method(kind="supervised")


def random_init() -> Method:
    return Method(kind="random")


@dataclass(frozen=True)
class Row:
    """One line of the table. `column` tells apart twin columns of one row, as single and both in table 1."""

    label: str
    method: Method | None = None  # None: the masks study, which needs no encoder
    column: str = ""


@dataclass(frozen=True)
class Measure:
    """A number of a row: `metric` of `protocol` on `target`. `published` names the paper's column for it, if it has one."""

    metric: str
    protocol: Protocol
    target: Part
    label: str
    published: str = ""
    kind: Literal["as published", "mechanism"] = "as published"


PUBLISHED_NAMES = {"A": "UCF101", "B": "HMDB51", "C": "Diving48"}


def top1(target: Part, protocol: Literal["finetune", "probe"] = "finetune") -> Measure:
    """Test videos drawn like the training ones, as the paper measures."""
    short = {"finetune": "finetuned", "probe": "linear"}[protocol]
    paper = f"{PUBLISHED_NAMES[target]} {short}"
    return Measure("top1", protocol, target, f"{target} {short}", published=paper)


def deranged(target: Part, protocol: Literal["finetune", "probe"] = "probe") -> Measure:
    """The same performances in a scene that goes with another action: the mechanism."""
    short = {"finetune": "finetuned", "probe": "linear"}[protocol]
    return Measure("top1/deranged", protocol, target, f"{target} deranged scenes, {short}", kind="mechanism")


def balanced(target: Part) -> Measure:
    """Deranged scenes again, by a head trained on scene-balanced videos: what the features contain."""
    return Measure("balanced/top1/deranged", "probe", target, f"{target} deranged scenes, balanced head", kind="mechanism")


def gap(target: Part) -> Measure:
    return Measure("background_gap", "probe", target, f"{target} background gap", kind="mechanism")


def recall_at(k: int, target: Part, condition: str = "") -> Measure:
    metric = f"R@{k}" + (f"/{condition}" if condition else "")
    published = f"UCF101 R@{k}" if target == "A" and not condition else ""
    label = f"{target} R@{k}" + (f" {condition} scenes" if condition else "")
    return Measure(metric, "retrieval", target, label, published, "mechanism" if condition else "as published")


@dataclass(frozen=True)
class Study:
    """One table or figure of the paper: its rows, its measures and the claims it tests."""

    name: str
    title: str
    paper: str
    claims: tuple[str, ...]
    rows: tuple[Row, ...]
    measures: tuple[Measure, ...]
    note: str = ""
