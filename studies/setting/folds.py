"""Folds: the official splits of one set. `--fold all` runs every one, and a number is then their mean, as the field reports it.

A fold is another split of the same videos, so a cell of another fold is the same cell with other data all along its chain: what is
pretrained on UCF101 is pretrained on that fold's train list. A set with one published split is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from fame.config import VideoData
from studies.setting.cell import Stage

ALL = "all"
MANY = 3  # folds of a set that has several; of class folders, as many are drawn
ONE_SPLIT = ("kinetics400", "diving48")


def folds_of(kind: str, asked: str, *, lenient: bool = False) -> tuple[int, ...]:
    """The folds to run of a set, the first that stands for the others first.

    A set with one split has fold 1; `lenient` takes it for whatever fold was asked for, as beside other sets.
    """
    single = kind in ONE_SPLIT
    if asked == ALL:
        return (1,) if single else tuple(range(1, MANY + 1))
    return (1,) if single and lenient else (int(asked),)


def counterpart(stage: Stage, other: Mapping[VideoData, VideoData]) -> Stage:
    """The same stage with other data in place of some, all along its chain; the very stage where none of it is among them."""
    upstream = counterpart(stage.upstream, other) if stage.upstream else None
    data = getattr(stage.config, "data", None)
    if isinstance(data, VideoData) and data in other:
        return Stage(stage.config.model_copy(update={"data": other[data]}), upstream)
    return stage if upstream == stage.upstream else Stage(stage.config, upstream)
