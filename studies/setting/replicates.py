"""Numbers of replicates: those of a study, those that a part of it names, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fame.errors import FameError
from fame.seeds import SELECTION_REPLICATES
from studies.paper.registry import SELECTION
from studies.setting.scales import Scale
from studies.study import Study


def numbered(sized: Scale, chosen: tuple[Study, ...], asked: int | None) -> tuple[int, ...]:
    """The study's replicates: as many as asked for, else as the scale fixed. The study `selection` has the worlds of selection."""
    apart = any(study.name == SELECTION for study in chosen)
    first, many = (SELECTION_REPLICATES, sized.selected) if apart else (sized.first, sized.replicates)
    return tuple(range(first, first + (asked or many)))


def part_of(text: str | None, replicates: Sequence[int]) -> tuple[int, ...]:
    """Return the replicates that `text` names ("3", "2-4", "1,5"), in order and once each; None names all.

    FameError where one is none of `replicates`.
    """
    if text is None:
        return tuple(replicates)
    study = f"the study's replicates are {listed(replicates)}"
    chosen: set[int] = set()
    for word in map(str.strip, text.split(",")):
        match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", word, re.ASCII)
        if not match:
            raise FameError(f"--part {text}: {word!r} is no replicate; write 3, 2-4 or 1,5 ({study})")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise FameError(f"--part {text}: {word!r} runs backwards; write {high}-{low} ({study})")
        if outside := {low, high} - set(replicates):
            raise FameError(f"--part {text}: there is no replicate {max(outside)}; {study} (--replicates sets how many)")
        chosen |= {number for number in replicates if low <= number <= high}
    return tuple(sorted(chosen))


def listed(numbers: Sequence[int]) -> str:
    """`1-6`, `1-3, 5`: for the eye."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
