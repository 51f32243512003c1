"""Declare a study: methods, rows, measures, as studies/paper/tables.py does. Sizes and schedules are the scale's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypedDict, Unpack

from fame.config import Background, BackgroundErasing, Flavour, Merge, Objective, Scenery, Variant

Part = str  # "source", "A", "B", "C"; or one of the user's own targets, by its folder's name
Protocol = Literal["finetune", "probe", "retrieval", "kernels", "activation", "masks"]
Value = float | str | bool | tuple[float, ...] | tuple[str, ...]
Pairs = tuple[tuple[str, Value], ...]


class Overrides(TypedDict, total=False):
    world: Mapping[str, Value]
    optim: Mapping[str, Value]
    moco: Mapping[str, Value]
    augment: Mapping[str, Value]


@dataclass(frozen=True)
class Changes:
    """Hold the fields in which a method differs from the scale, by group, sorted, so that equal changes are equal. Empty: none.

    world    of `StagedWorld`, for pretraining and every test; "rho" is target A's own ("A.rho" and "source.rho" are any part's)
    optim    of the pretraining's `Optim`; "lr_times" and "epochs_times" multiply what the scale has
    moco     of `MoCo`
    augment  of the pretraining's `Augment`; the evaluations keep the scale's
    """

    world: Pairs = ()
    optim: Pairs = ()
    moco: Pairs = ()
    augment: Pairs = ()

    @classmethod
    def of(cls, **overrides: Unpack[Overrides]) -> Changes:
        """Make it from mappings. A factor of 1 is no change: the method is then equal to the one without it."""
        told: dict[str, Mapping[str, Value]] = dict(overrides)  # type: ignore[arg-type]
        return cls(
            **{
                group: tuple(sorted((name, value) for name, value in found.items() if not (name.endswith("_times") and value == 1)))
                for group, found in told.items()
            }
        )

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


UNCHANGED = Changes()
NAMES = {"random": "random_init"}  # of functions below, where they are not the kind's


@dataclass(frozen=True)
class Method:
    """Declare how an encoder is made: objective, merging or erasing, pretraining set, and what differs from the scale."""

    kind: str = "moco"  # or supervised, random, a plugin's
    merge: Merge | None = None
    erasing: BackgroundErasing | None = None
    on: Literal["A", "source"] = "A"  # UCF101's twin, Kinetics' twin
    changes: Changes = UNCHANGED
    objective: Objective | None = None  # of a plugin
    flavoured: bool = False  # whether the row names the flavour of its mask; else the protocol does

    @property
    def text(self) -> str:
        """Return it as `--row` reads it, `fame(beta=0.5, on='source')`: what is given, no default. Its runs are found by it."""
        name = "fame" if self.merge else "background_erasing" if self.erasing else NAMES.get(self.kind, self.kind)
        own = self.merge or self.objective
        given: dict[str, Any] = own.model_dump(exclude_unset=True, exclude={"plugin", "kind"}) if own else {}
        given |= {"on": self.on} if self.on != "A" else {}
        given |= {group.name: dict(pairs) for group in fields(self.changes) if (pairs := getattr(self.changes, group.name))}
        return f"{name}({', '.join(f'{field}={value!r}' for field, value in given.items())})"


def moco(on: Literal["A", "source"] = "A", **overrides: Unpack[Overrides]) -> Method:
    """Declare the baseline: momentum contrast without merging, beta = 1.0."""
    return Method(on=on, changes=Changes.of(**overrides))


def fame(
    beta: float | None = None,
    *,
    variant: Variant | None = None,
    background: Background | Scenery | None = None,
    views: Literal["single", "both"] | None = None,
    flavour: Flavour | None = None,
    prior: float | None = None,
    sampled: tuple[float, float] | None = None,
    partners: Literal["others", "any"] | None = None,
    on: Literal["A", "source"] = "A",
    **overrides: Unpack[Overrides],
) -> Method:
    """Declare MoCo on merged clips. What is None is left to `--set`, the protocol (flavour) or the defaults of `Merge`."""
    if variant in ("gauss", "true"):
        beta = 0.5  # the soft mask and the true one ignore it; one value, so that one cell stands for it
    given: dict[str, Any] = {
        "variant": variant,
        "beta": beta,
        "background": background,
        "views": views,
        "flavour": flavour,
        "prior": prior,
        "sampled": sampled,
        "partners": partners,
    }
    merge = Merge(**{name: value for name, value in given.items() if value is not None})  # its model_fields_set: the row's own
    return Method(merge=merge, on=on, changes=Changes.of(**overrides), flavoured=flavour is not None)


def background_erasing(on: Literal["A", "source"] = "A") -> Method:
    """Declare MoCo with background erasing (BE) in the place of merging."""
    return Method(erasing=BackgroundErasing(), on=on)


def pretext(objective: Objective, on: Literal["A", "source"] = "A", **overrides: Unpack[Overrides]) -> Method:
    """Train by a plugin's objective, as `fame.plugins.pretraining` registered it."""
    return Method(kind=objective.kind, objective=objective, on=on, changes=Changes.of(**overrides))


def supervised() -> Method:
    """Declare training with labels on target A, the bound of figure 3."""
    return Method(kind="supervised")


def random_init(**overrides: Unpack[Overrides]) -> Method:
    """Declare the untrained network; changes of the world apply to its tests."""
    return Method(kind="random", changes=Changes.of(**overrides))


Reads = Literal["mean_frame", "frame_difference", "file_facts"]
FLOORS: tuple[Reads, ...] = ("mean_frame", "frame_difference", "file_facts")


def floor(reads: Reads) -> Method:
    """Declare a descriptor without a network in the place of an encoder; a linear probe reads it."""
    return Method(kind=reads)


@dataclass(frozen=True)
class Row:
    """Declare one line of the table. `column` tells apart rows of one label, as single and both in table 1."""

    label: str
    method: Method | None = None  # None: the masks study, which needs no encoder
    column: str = ""
    at: float | None = None  # place on the axis of `Finding.curve`
    gate: bool = False  # it only serves the gate (docs/rules.md)


@dataclass(frozen=True)
class Measure:
    """Declare a number of each row: `metric` of `protocol` on `target`. `published` names the paper's column for it, if any."""

    metric: str
    protocol: Protocol
    target: Part
    label: str
    published: str = ""
    kind: Literal["as published", "mechanism"] = "as published"


PUBLISHED_NAMES = {"A": "UCF101", "B": "HMDB51", "C": "Diving48"}


def top1(target: Part, protocol: Literal["finetune", "probe"] = "finetune") -> Measure:
    """Measure top-1 accuracy on test videos drawn like the training ones, as the paper does."""
    short = {"finetune": "finetuned", "probe": "linear"}[protocol]
    paper = f"{PUBLISHED_NAMES[target]} {short}"
    return Measure("top1", protocol, target, f"{target} {short}", published=paper)


def deranged(target: Part, protocol: Literal["finetune", "probe"] = "probe") -> Measure:
    """Measure top-1 accuracy in deranged scenes: the same performances in a scene of another action."""
    short = {"finetune": "finetuned", "probe": "linear"}[protocol]
    return Measure("top1/deranged", protocol, target, f"{target} deranged scenes, {short}", kind="mechanism")


def balanced(target: Part) -> Measure:
    """Measure top-1 accuracy in deranged scenes by the balanced head, trained on scene-balanced videos."""
    return Measure("balanced/top1/deranged", "probe", target, f"{target} deranged scenes, balanced head", kind="mechanism")


def gap(target: Part) -> Measure:
    """Measure the background gap: accuracy in own minus in deranged scenes, in points."""
    return Measure("background_gap", "probe", target, f"{target} background gap", kind="mechanism")


def recall_at(k: int, target: Part, condition: str = "") -> Measure:
    """Measure retrieval: the share of test videos with a video of their class among the k nearest training videos, in percent."""
    metric = f"R@{k}" + (f"/{condition}" if condition else "")
    published = f"UCF101 R@{k}" if target == "A" and not condition else ""
    label = f"{target} R@{k}" + (f" {condition} scenes" if condition else "")
    return Measure(metric, "retrieval", target, label, published, "mechanism" if condition else "as published")


PICTURED = ("activation", "masks")  # protocols that keep pictures, and numbers where true masks are known
MEAN = "targets"  # in a target's place: the mean over all targets of the user's


def on_targets(measure: Measure, targets: Sequence[str]) -> tuple[Measure, ...]:
    """Return a measure on each of the user's targets and on their mean; itself where there are none.

    Features stay frozen: a linear probe replaces finetuning. What needs counterfactual scenes or true masks is left out, but
    for the pictures of figures 1 and 4, on the first target.
    """
    if not targets:
        return (measure,)
    if measure.protocol in PICTURED:
        return (replace(measure, target=targets[0]),)
    if measure.protocol == "kernels":
        return (replace(measure, target="source"),)
    if measure.kind == "mechanism":
        return ()
    finetuned = measure.protocol == "finetune"
    said = "linear" if finetuned else measure.label.removeprefix(measure.target).strip()
    own = replace(measure, protocol="probe") if finetuned else measure
    names = {name: name for name in targets} | ({MEAN: "mean of targets,"} if len(targets) > 1 else {})
    return tuple(replace(own, target=target, label=f"{name} {said}") for target, name in names.items())


@dataclass(frozen=True)
class Study:
    """Declare a table or figure of the paper, or a finding: its rows, its measures and the claims it tests."""

    name: str
    title: str
    paper: str
    claims: tuple[str, ...]
    rows: tuple[Row, ...]
    measures: tuple[Measure, ...]
    note: str = ""
    replicates: int = 0  # it has the first so many of those of all studies together; 0: all of them
    leads: bool = False  # the headline is read off it, so it has as many replicates as that takes (Scale.decided_by)
