"""The masks' quality on real video as it is kept in docs/results/real-masks, by sequence: what claim C11 is decided on.

`python -m benchmarks.real_masks` measures and writes it; the videos themselves are third-party and not there. A copy of the project
without that folder has no such evidence, and says so.
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

KEPT = Path(__file__).resolve().parents[1] / "docs" / "results" / "real-masks" / "sequences.csv"
SHOWN = "docs/results/real-masks"
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
def kept(path: Path = KEPT) -> RealVideo:
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
            raise FameError(f"{path.name}: no column {name!r}; measure anew with python -m benchmarks.real_masks REAL {SHOWN}")
