"""Protocols, as data: what is done with videos, in training and in tests, where the released code and this project differ.

    python -m studies.setting.protocols docs/datasets.md        # writes the tables there; a test fails when they differ

`corrected` is the default, and what every kept number was made by: faults of the released code are mended, no video is left out.
`official` is what the released code does, faults included, for whoever compares with numbers made by it. A protocol is a list of
choices, each a field of fame/config/ with its value and its source; studies/setting/resolve.py puts them in. So two protocols
differ in
their cells' ids, and a protocol's version says which list a report was made by.

Schedules of pretraining are data of the same kind. They go with either protocol.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fame.config import Optim
from fame.errors import FameError

Group = Literal["data", "clip", "augment", "merge", "pretrain", "finetune", "probe", "probe.augment", "retrieval"]
CODE, README, SUPPLEMENT, OURS = "released code", "README", "supplement", "our choice"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean, std


@dataclass(frozen=True)
class Choice:
    """A field (`group`.`field` of the configuration) at the value that a protocol gives it, unlike `corrected`."""

    group: Group
    field: str
    value: Any
    corrected: str  # what is done by default
    does: str  # what this protocol does
    source: str


@dataclass(frozen=True)
class Protocol:
    """A named list of choices. `version` is raised with every change of the list."""

    name: str
    version: int
    about: str
    choices: tuple[Choice, ...] = ()

    def changes(self, group: Group) -> tuple[tuple[str, Any], ...]:
        """(field, value) of one group, as `studies.setting.changes.changed` takes them."""
        return tuple((choice.field, choice.value) for choice in self.choices if choice.group == group)

    @property
    def said(self) -> str:
        """`protocol official, version 1`; "" for the default."""
        return "" if self == CORRECTED else f"protocol {self.name}, version {self.version}"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version}


CORRECTED = Protocol(
    name="corrected",
    version=1,
    about="Faults of the released code are mended, every video is used, and nothing is chosen on the test split.",
)

OFFICIAL = Protocol(
    name="official",
    version=1,
    about="What the released code does with videos, faults included. Numbers are for comparison with numbers made by that code.",
    choices=(
        Choice(
            "data", "short_side", None,
            "Frames are stored with their short side at 128 pixels (64 at small scales; at least the clip's size).",
            "Frames are kept at the size of the files, and random crops are cut from them.",
            CODE,
        ),
        Choice(
            "clip", "resize", False,
            "A test resizes the short side to the clip's size, then crops the centre.",
            "A test crops the centre of the frame as it is: 112 pixels see about 16 % of 240 x 320.",
            CODE,
        ),
        Choice(
            "clip", "short", "dropped",
            "A video shorter than the window (frames x stride) is looped.",
            "It is left out of tests, galleries, finetuning and probe; in pretraining the next video of the list stands in for it. "
            f"The stand-in's clips are drawn at random, and the last video's stand-in is the first ({OURS}).",
            CODE,
        ),
        Choice(
            "augment", "blur_once", True,
            "The sigma of the Gaussian blur is drawn for each clip, uniform in 0.1 to 2 pixels.",
            "It is drawn once a process, for all its clips.",
            CODE,
        ),
        Choice(
            "merge", "flavour", "official",
            "The mask's hue is an angle, and no clip is its own background.",
            "The hue's angle is scaled by 2 pi twice, and a clip may be its own background. Rows that name a flavour keep it.",
            CODE,
        ),
        Choice(
            "pretrain", "sampling", "released",
            "Every video is seen once an epoch, on several GPUs too.",
            "Each of several GPUs draws its own order and takes its share of it: an epoch of 8 sees about 66 % of the videos, "
            "some of them often. `--sampling once` mends this alone.",
            CODE,
        ),
        Choice(
            "finetune", "test_every", 10,
            "The last epoch is reported; the test split is not looked at before.",
            "The test split is looked at after epochs 1, 11, 21, ... too. `top1` is the last epoch still; the best look, which is "
            f"what the released code keeps, is beside it as `test_best/top1` ({OURS}: never in its place).",
            CODE,
        ),
        Choice(
            "probe", "normalised", False,
            "Training clips are normalised by mean and std, as test clips are.",
            "Training clips are not, test clips are: a fault.",
            CODE,
        ),
        Choice(
            "probe.augment", "grayscale", 0.0,
            "Training clips are made grey at random, as in finetuning.",
            "They are not: the step that would normalise them would do this, and is skipped.",
            CODE,
        ),
        Choice(
            "probe.augment", "jitter", 0.0,
            "Training clips have their colours jittered, as in finetuning.",
            "They have not, for the same reason.",
            CODE,
        ),
        Choice(
            "probe", "unfrozen", ("i3d",),
            "The backbone is frozen, whichever it is.",
            "I3D's weights are not frozen: all train at the probe's learning rate, which may diverge; the cell then says failed. "
            "Other backbones are frozen. By SGD only: `lbfgs`, the solver of the small scales, trains a head alone.",
            CODE,
        ),
        Choice(
            "retrieval", "mean", IMAGENET[0],
            "Clips are normalised by the mean of training.",
            "By ImageNet's mean, unlike training.",
            CODE,
        ),
        Choice(
            "retrieval", "std", IMAGENET[1],
            "Clips are normalised by the std of training.",
            "By ImageNet's std, unlike training.",
            CODE,
        ),
    ),
)  # fmt: skip

PROTOCOLS = {one.name: one for one in (CORRECTED, OFFICIAL)}


def protocol(name: str) -> Protocol:
    """The named protocol; an unknown name is a FameError that lists the known ones."""
    if name not in PROTOCOLS:
        raise FameError(f"unknown protocol {name!r}; the protocols are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def kept_protocol(value: Mapping[str, Any] | None) -> Protocol:
    """The protocol of a setting.json (None: it names none, so it is the default). TypeError where it is of another version."""
    if value is None:
        return CORRECTED
    found = PROTOCOLS.get(value["name"])
    if found is None or found.version != value["version"]:
        raise TypeError(f"protocol {value['name']}, version {value['version']}")
    return found


# ---------------------------------------------------------------- schedules of pretraining


@dataclass(frozen=True)
class Schedule:
    """How the learning rate falls in pretraining: by half a cosine, or to a tenth at each of `milestones` of `epochs`."""

    name: str
    about: str
    source: str
    milestones: tuple[int, ...] = ()
    epochs: int = 200

    def applied(self, optim: Optim) -> Optim:
        """The optimiser on this schedule; milestones scaled to its own number of epochs, rounded."""
        if not self.milestones:
            return optim
        steps = tuple(round(milestone * optim.epochs / self.epochs) for milestone in self.milestones)
        return optim.model_copy(update={"schedule": "step", "milestones": steps})


SCHEDULES = {
    one.name: one
    for one in (
        Schedule("cosine", "half a cosine, stepped per epoch; the default", README),
        Schedule("supplement", "a tenth at epochs 120 and 180 of 200", f"{SUPPLEMENT}, as quoted in official issue 4", (120, 180)),
        Schedule("released_step", "a tenth at epochs 120 and 160 of 200", f"{CODE}: the default without `--cos`", (120, 160)),
    )
}


def schedule(name: str) -> Schedule:
    """The named schedule; an unknown name is a FameError that lists the known ones."""
    if name not in SCHEDULES:
        raise FameError(f"unknown schedule {name!r}; the schedules are {', '.join(SCHEDULES)}")
    return SCHEDULES[name]


# ---------------------------------------------------------------- docs/datasets.md

BEGIN, END = "<!-- begin: protocols, written by studies/setting/protocols.py -->", "<!-- end: protocols -->"


def tables() -> str:
    """What stands between BEGIN and END in docs/datasets.md."""
    lines = [f"- `{one.name}`, version {one.version}: {one.about[0].lower()}{one.about[1:]}" for one in PROTOCOLS.values()]
    lines += ["", "| field | `corrected` | `official` | source |", "| --- | --- | --- | --- |"]
    lines += [f"| `{one.group}.{one.field}` | {one.corrected} | {one.does} | {one.source} |" for one in OFFICIAL.choices]
    lines += ["", "| `--schedule` | learning rate of pretraining | source |", "| --- | --- | --- |"]
    lines += [f"| `{one.name}` | {one.about} | {one.source} |" for one in SCHEDULES.values()]
    return "\n".join(lines)


def written_into(text: str) -> str:
    """The document with its tables anew."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + tables() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(written_into(document.read_text(encoding="utf-8")), encoding="utf-8")
