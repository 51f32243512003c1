"""Declare the protocols as data: what is done with videos in training and in tests, where the released code and ours differ.

`corrected` is the default: faults of the released code are mended, no video is left out. `official` is what the released code
does, faults included, for comparison with numbers made by it. A protocol is a list of choices, each a field of fame/config/ with
its value and its source; studies/setting/resolve.py puts them in. docs/datasets.md has both sides of each choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Group = Literal["data", "clip", "augment", "merge"]
CODE, OURS = "released code", "our choice"


@dataclass(frozen=True)
class Choice:
    """A field (`group`.`field` of the configuration) at the value that a protocol gives it; `does` says what that means."""

    group: Group
    field: str
    value: Any
    does: str
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
            "Frames are kept at the size of the files, and random crops are cut from them.",
            CODE,
        ),
        Choice(
            "clip", "resize", False,
            "A test crops the centre of the frame as it is: 112 pixels see about 16 % of 240 x 320.",
            CODE,
        ),
        Choice(
            "clip", "short", "dropped",
            "It is left out of tests, galleries, finetuning and probe; in pretraining the next video of the list stands in for it. "
            f"The stand-in's clips are drawn at random, and the last video's stand-in is the first ({OURS}).",
            CODE,
        ),
        Choice(
            "merge", "flavour", "official",
            "The hue's angle is scaled by 2 pi twice, and a clip may be its own background. Rows that name a flavour keep it.",
            CODE,
        ),
    ),
)  # fmt: skip

PROTOCOLS = {one.name: one for one in (CORRECTED, OFFICIAL)}
