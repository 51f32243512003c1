"""The masks' quality on real video as it is kept in studies/real_masks/sequences.csv: what claim C11 is decided on.

`python -m studies.real_masks` measures it; the videos themselves are third-party and not there.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fame.errors import FameError
from studies.paper.links import RealMask
from studies.real_masks import SEQUENCES

MEASURE = "python -m studies.real_masks REAL OUT"
Values = dict[str, float]
Line = dict[str, str]


@dataclass(frozen=True)
class RealVideo:
    """Lines of sequences.csv: one a sequence, size and mask, measures averaged over the sequence's clips."""

    lines: tuple[Line, ...] = ()

    def values(self, asked: RealMask) -> Values:
        """The measure of every sequence that defines it, by the sequence's name."""
        found: Values = {}
        for line in self.lines:
            same = (
                (line["variant"], line["flavour"], line["size"]) == (asked.variant, asked.flavour, str(asked.size))
                and math.isclose(float(line["beta"]), asked.beta)
                and asked.camera in ("all", line["camera"])
            )
            if same and line[asked.measure]:
                found[line["sequence"]] = float(line[asked.measure])
        return found

    def differences(self, greater: RealMask, lesser: RealMask) -> Values:
        """greater - lesser of every sequence that has both."""
        high, low = self.values(greater), self.values(lesser)
        return {name: high[name] - low[name] for name in high if name in low}


@cache
def kept(path: Path = SEQUENCES) -> RealVideo:
    """What lies in the repository; empty where nothing does. FameError where the table lacks a column that is read here."""
    if not path.exists():
        return RealVideo()
    with path.open(newline="", encoding="utf-8") as file:
        lines = tuple(csv.DictReader(file))
    _check(lines, path)
    return RealVideo(lines)


def _check(lines: Sequence[Line], path: Path) -> None:
    read = ("sequence", "camera", "size", "variant", "beta", "flavour", "recall_still", "recall_lift", "box_recall_lift")
    for name in read:
        if lines and name not in lines[0]:
            raise FameError(f"{path.name}: no column {name!r}; measure again with {MEASURE}")
