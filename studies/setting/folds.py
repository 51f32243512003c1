"""Folds: the official splits of one set. `--fold all` runs every one, and a number is then their mean, as the field reports it.

A fold is another split of the same videos, so a cell of another fold is the same cell with other data all along its chain: what is
pretrained on UCF101 is pretrained on that fold's train list. A set with one published split is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from fame.config import VideoData
from fame.errors import FameError
from studies.setting.cell import Stage

ALL: Literal["all"] = "all"
Folds = int | Literal["all"]
MANY = 3  # folds of a set that has several; of class folders, as many are drawn
ONE_SPLIT = ("kinetics400", "diving48")


def parse_folds(text: str | int) -> Folds:
    """`1`, `2`, `3` or `all`; FameError for anything else."""
    word = str(text).strip().lower()
    if word == ALL:
        return ALL
    if word not in {str(number) for number in range(1, MANY + 1)}:
        raise FameError(f"--fold {text}: write 1, 2, 3 or all")
    return int(word)


def folds_of(kind: str, asked: Folds, *, lenient: bool = False) -> tuple[int, ...]:
    """The folds to run of a set, the first that stands for the others first.

    A set with one split has fold 1; `lenient` takes it for whatever fold was asked for, as beside other sets.
    """
    single = kind in ONE_SPLIT
    if asked == ALL:
        return (1,) if single else tuple(range(1, MANY + 1))
    return (1,) if single and lenient else (asked,)


def counterpart(stage: Stage, other: Mapping[VideoData, VideoData]) -> Stage:
    """The same stage with other data in place of some, all along its chain; the very stage where none of it is among them."""
    upstream = counterpart(stage.upstream, other) if stage.upstream else None
    data = getattr(stage.config, "data", None)
    if isinstance(data, VideoData) and data in other:
        return Stage(stage.config.model_copy(update={"data": other[data]}), upstream)
    return stage if upstream == stage.upstream else Stage(stage.config, upstream)
