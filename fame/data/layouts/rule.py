"""`splits.toml` in a data set's folder: how its splits are to be made, where nobody has made them.

    by = "group"              # whole groups together; "class": each class's videos one by one; "seed": all videos, whatever class
    group = "_(tape[0-9]+)_"  # what names a group: a regular expression, its first parenthesis; without it _gNN, as in UCF101
    test = 0.2                # shares, of groups or of videos
    val = 0.1
    seed = 1                  # another draw; without it the fold alone decides

Every line may be left out. The file needs no place in a cell's identity: what it decides is in the manifest, video by video.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from fame.data.layouts.groups import VAL_SHARE, Naming, group_of
from fame.data.layouts.listing import read_text
from fame.errors import FameError

FILE = "splits.toml"
By = Literal["group", "class", "seed"]


@dataclass(frozen=True)
class Rule:
    """The shares of groups (`by` group) or videos that go to `test` and `val`, and what draws them."""

    by: By = "group"
    test: float = 0.2
    val: float = VAL_SHARE
    seed: int | None = None
    group: str | None = None

    def unit(self) -> Naming:
        """From a video's path to the name of what is never divided: its group, or the video itself."""
        if self.by != "group":
            return lambda path: path
        if self.group is None:
            return group_of
        pattern = re.compile(self.group)

        def named(path: str) -> str:
            found = pattern.search(path)
            return (found[1] or path) if found else path

        return named


def read_rule(root: Path, kind: str, allowed: tuple[str, ...], **defaults: Any) -> Rule:
    """The rule in `root`, of which only the keys in `allowed` may be set; `defaults` where it has none. FameError for a bad one."""
    file = root / FILE
    if not file.is_file():
        return Rule(**defaults)
    try:
        value = tomllib.loads(read_text(kind, file))
    except tomllib.TOMLDecodeError as error:
        raise FameError(f"{kind}: {file} is not TOML ({error}); mend it, or delete it") from None
    unknown = [key for key in value if key not in allowed]
    if unknown:
        raise FameError(f"{kind}: {file} sets {', '.join(unknown)}; what may be set here is {', '.join(allowed)}")
    fault = _fault(value)
    rule = Rule(**(defaults | value)) if fault is None else Rule()
    if fault is None and rule.test + rule.val >= 1:
        fault = f"test and val are {rule.test + rule.val:g} together: nothing would be left to train on"
    if fault is None and rule.group is not None and rule.by != "group":
        fault = f'group goes with by = "group", not with by = "{rule.by}"'
    if fault is not None:
        raise FameError(f"{kind}: {file}: {fault}; mend it, or delete it")
    return rule


def _fault(value: dict[str, Any]) -> str | None:
    """What is wrong with a single value, or None."""
    for key in {"test", "val"} & value.keys():
        if type(value[key]) not in (int, float) or not 0 <= value[key] < 1:
            return f"{key} is {value[key]!r}, which is no share from 0 to below 1"
    if value.get("by", "group") not in get_args(By):
        return f"by is {value['by']!r}; it may be {', '.join(get_args(By))}"
    if type(value.get("seed", 0)) is not int:
        return f"seed is {value['seed']!r}, which is no whole number"
    if "group" in value:
        try:
            parts = re.compile(value["group"]).groups
        except (re.error, TypeError) as error:
            return f"group is {value['group']!r}, which is no regular expression ({error})"
        if not parts:
            return f"group is {value['group']!r}, which has no parenthesis around what names the group"
    return None
