"""Numbers of replicates: those of a study, those that a part of it names, and how they are written."""

from __future__ import annotations

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
    for word in text.split(","):
        low, dash, high = (end.strip() for end in word.partition("-"))
        if not low.isdecimal() or not (high.isdecimal() if dash else not high):
            raise FameError(f"--part {text}: {word.strip()!r} is no replicate; write 3, 2-4 or 1,5 ({study})")
        ends = int(low), int(high or low)
        if ends[0] > ends[1]:
            raise FameError(f"--part {text}: {word.strip()!r} runs backwards; write {ends[1]}-{ends[0]} ({study})")
        outside = next((end for end in ends if end not in replicates), None)
        if outside is not None:
            raise FameError(f"--part {text}: there is no replicate {outside}; {study} (--replicates sets how many)")
        chosen |= {number for number in replicates if ends[0] <= number <= ends[1]}
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
