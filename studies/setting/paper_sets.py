"""The paper's own sets, several in one folder: which subfolder stands for which part of the studies (`--dataset paper`).

    DIR/ucf101 or UCF-101        part A, the target that the ablations are about; required
    DIR/hmdb51                   part B
    DIR/diving48                 part C
    DIR/kinetics400, k400, ...   source

Names are compared without case, hyphens, underscores, blanks. A part without a folder is absent: its cells are not in this dataset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fame.errors import FameError
from studies.study import Part

PAPER = "paper"  # as --dataset says it; no kind of `VideoData`, but one such kind for each part
Kind = Literal["ucf101", "hmdb51", "diving48", "kinetics400"]


@dataclass(frozen=True)
class PaperSet:
    """One of the paper's sets. `lists`: folders of split files that may lie beside the videos' folder, in DIR itself."""

    part: Part
    kind: Kind
    title: str
    spellings: tuple[str, ...]  # the first is the one that messages name
    gigabytes: int  # of its videos, about (docs/datasets.md)
    lists: tuple[str, ...] = ()


SETS = (
    PaperSet("A", "ucf101", "UCF101", ("ucf101",), 7, ("ucfTrainTestlist",)),
    PaperSet("B", "hmdb51", "HMDB51", ("hmdb51", "hmdb51org", "hmdb"), 2, ("testTrainMulti_7030_splits", "hmdb51_splits")),
    PaperSet("C", "diving48", "Diving48", ("diving48", "diving48v2"), 10),
    PaperSet("source", "kinetics400", "Kinetics-400", ("kinetics400", "k400", "kinetics"), 400),
)


def find_sets(root: Path) -> dict[PaperSet, Path]:
    """Return the sets below `root` and their folders; FameError where UCF101 is missing, or two folders could be the same set."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    found: dict[PaperSet, Path] = {}
    for one in SETS:
        matching = [path for path in folders if re.sub(r"[\W_]", "", path.name.casefold()) in one.spellings]
        if len(matching) > 1:
            names = " and ".join(path.name for path in matching)
            raise FameError(f"--data-root {root}: {names} may both be {one.title}; rename the one that is not meant")
        if matching:
            found[one] = _unpacked(root, matching[0], one)
    if not any(one.part == "A" for one in found):
        there = ", ".join(path.name for path in folders) or "no folder"
        raise FameError(
            f"--data-root {root}: has no UCF101, which --dataset {PAPER} needs (found {there}); name its folder ucf101 or UCF-101, "
            "with the videos and the split files in it, or name a single set with --dataset"
        )
    return found


def _unpacked(root: Path, folder: Path, one: PaperSet) -> Path:
    """The set's own folder; `root` where the archives were unpacked side by side (`DIR/UCF-101`, `DIR/ucfTrainTestlist`)."""
    beside = any((root / name).is_dir() for name in one.lists) and not any((folder / name).is_dir() for name in one.lists)
    return root if beside else folder


def sets_of(dataset: str) -> dict[Part, PaperSet]:
    """Return the published sets that --dataset names, by the part that each stands for; none for videos of one's own."""
    return {one.part if dataset == PAPER else "A": one for one in SETS if dataset in (PAPER, one.kind)}


def wanted(dataset: str) -> str:
    """Return a line on where the videos of --dataset have to lie, and how much disk they take."""
    sets = sets_of(dataset).values()
    folders = [f"DIR/{one.spellings[0]}" if dataset == PAPER else "DIR" for one in sets]
    places = ", ".join(f"{folder} ({one.title}, {one.gigabytes} GB)" for folder, one in zip(folders, sets, strict=True))
    return f"No --data-root was given, so sizes are as published. A run needs {places}; docs/datasets.md says where they come from."


def absent(parts: Iterable[str]) -> str:
    """A line that names the sets of which there is no folder, given the parts that are there; "" where all are."""
    there = set(parts)
    gone = [f"{one.title} (part {one.part}, folder {one.spellings[0]})" for one in SETS if one.part not in there]
    return f"Absent: {', '.join(gone)}; what needs {'it' if len(gone) == 1 else 'them'} is not in this dataset." if gone else ""
