"""Make splits: hold out whole groups for validation, and read the rule in a set's `splits.toml`, whose keys are all optional.

A split that cuts through groups (one person in one place, one film) flatters a network. A hash of names chooses those held out.

    by = "group"              # whole groups together; "class": each class's videos one by one; "seed": all videos, whatever class
    group = "_(tape[0-9]+)_"  # what names a group: a regular expression, its first parenthesis; without it _gNN, as in UCF101
    test = 0.2                # shares, of groups or of videos
    val = 0.1
    seed = 1                  # another draw; without it the fold alone decides
    folds = 10                # of a target: cross-validation by unit, in place of test and val
    hold_out = true           # of a target: split once by test and val, which pretraining then does not see
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from fame.data.layouts.listing import Entry, read_text
from fame.data.manifest import FOLD
from fame.errors import FameError, own_words

VAL_SHARE = 0.1  # of a class's training groups, rounded: a class with fewer than five groups gives none
RULE = "splits.toml"

Naming = Callable[[str], str]  # from a path to the name of its group


def group_of(path: str) -> str:
    """Return the group of a video: CLASS/gNN of a name as UCF101's `v_Diving_g03_c07`, else the video itself."""
    folder, _, name = path.rpartition("/")
    found = re.search(r"_g(\d+)(?:_|$)", name.rsplit(".", 1)[0])
    return f"{folder.rpartition('/')[2]}/g{found[1]}" if found else path


def hold_out_groups(
    entries: Iterable[Entry],
    fold: int,
    group: Naming = group_of,
    share: float = VAL_SHARE,
    seed: int | None = None,
) -> list[Entry]:
    """Move whole groups from train to val: about `share` of each class's groups, the first by hash."""
    entries = list(entries)
    held = set()
    for groups in groups_by_label((entry for entry in entries if entry.split == "train"), group).values():
        held |= set(by_hash(groups, fold, seed)[: int(share * len(groups) + 0.5)])
    return _moved(entries, held, group)


def hold_out_sources(
    entries: Iterable[Entry],
    fold: int,
    source: Naming,
    share: float = VAL_SHARE,
    most: float = 0.5,
) -> list[Entry]:
    """Move whole sources (a film, a competition), which have clips of several classes, from train to val, in order of hash.

    One is skipped where val would exceed `share` of all training videos, or `most` of a class (at least one video, if it has two).
    """
    entries = list(entries)
    train = [entry for entry in entries if entry.split == "train"]
    contents: dict[str, Counter[int]] = defaultdict(Counter)
    for entry in train:
        contents[source(entry.path)][entry.label] += 1
    of_class = Counter(entry.label for entry in train)
    room = Counter({label: max(1 if count > 1 else 0, int(most * count + 1e-9)) for label, count in of_class.items()})
    left = int(share * len(train) + 0.5)
    held = set()
    for name in by_hash(contents, fold):
        content = contents[name]
        if content.total() <= left and content <= room:
            held.add(name)
            left -= content.total()
            room.subtract(content)
    return _moved(entries, held, source)


def _moved(entries: list[Entry], held: set[str], group: Naming) -> list[Entry]:
    return [e._replace(split="val") if e.split == "train" and group(e.path) in held else e for e in entries]


def groups_by_label(entries: Iterable[Entry], group: Naming) -> dict[int, set[str]]:
    """Return the names of the groups of each class."""
    groups: dict[int, set[str]] = defaultdict(set)
    for entry in entries:
        groups[entry.label].add(group(entry.path))
    return groups


def by_hash(names: Iterable[str], fold: int, seed: int | None = None) -> list[str]:
    """Sort `names` in an order that depends on each name, the fold and the seed alone."""
    return sorted(names, key=lambda name: (_hash(name, fold, seed), name))


def place_by_hash(name: str, fold: int, seed: int | None = None) -> float:
    """Return a number from 0 to below 1 for a name, uniform over names, by the same hash."""
    return int.from_bytes(_hash(name, fold, seed)[:6]) / 2**48


def _hash(name: str, fold: int, seed: int | None) -> bytes:
    salt = f"{fold}" if seed is None else f"{fold}/{seed}"
    return hashlib.sha256(f"{salt}/{name}".encode()).digest()


def cross_validated(entries: list[Entry], rule: Rule, where: str) -> list[Entry]:
    """Give each video a fold, whole units (groups or videos) together, each class spread evenly; FameError for a single unit."""
    unit = rule.unit()
    contents: dict[str, Counter[int]] = defaultdict(Counter)
    for entry in entries:
        contents[unit(entry.path)][entry.label] += 1
    count = min(rule.folds, len(contents))
    if count < 2:
        raise FameError(f"{where} is one group, {next(iter(contents))}, so it cannot be tested by folds: name groups in {RULE}")
    held = [Counter[int]() for _ in range(count)]
    fold_of = {}
    for name in sorted(by_hash(contents, 1, rule.seed), key=lambda name: -contents[name].total()):
        content = contents[name]
        fold_of[name] = min(
            range(count),
            key=lambda fold: (sum(n * held[fold][c] for c, n in content.items()), held[fold].total()),
        )
        held[fold_of[name]] += content
    return [entry._replace(split=f"{FOLD}/{fold_of[unit(entry.path)]}") for entry in entries]


# ---------------------------------------------------------------- the rule in splits.toml


def _names_a_group(pattern: str) -> str:
    try:
        parts = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"no regular expression ({error})") from None
    if not parts:
        raise ValueError("it has no parenthesis around what names the group")
    return pattern


Share = Annotated[float, Field(ge=0, lt=1)]


class Rule(BaseModel, frozen=True, extra="forbid", strict=True):
    """The shares of groups (`by` group) or videos that go to `test` and `val`, and what draws them."""

    by: Literal["group", "class", "seed"] = "group"
    test: Share = 0.2
    val: Share = VAL_SHARE
    seed: int | None = None
    group: Annotated[str, AfterValidator(_names_a_group)] | None = None
    folds: Annotated[int, Field(ge=0, le=10)] = 0
    hold_out: bool = False

    def unit(self) -> Naming:
        """Return the function from a video's path to its group, or to itself where videos are drawn."""
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
    """Read the rule in `root`, which may set the keys in `allowed`; `defaults` where it has none. FameError."""
    file = root / RULE
    if not file.is_file():
        return Rule(**defaults)
    try:
        value = tomllib.loads(read_text(kind, file))
        if unknown := [key for key in value if key not in allowed]:
            raise FameError(f"{kind}: {file} sets {', '.join(unknown)}; what may be set here is {', '.join(allowed)}")
        rule = Rule(**(defaults | value))
    except tomllib.TOMLDecodeError as error:
        raise FameError(f"{kind}: {file} is not TOML ({error}); mend it, or delete it") from None
    except ValidationError as error:
        (first, *_) = error.errors()
        raise FameError(
            f"{kind}: {file}: {first['loc'][0]} is {first['input']!r}: {own_words(first)}; mend it, or delete it"
        ) from None
    if rule.test + rule.val >= 1:
        raise FameError(f"{kind}: {file}: test and val are {rule.test + rule.val:g} together; leave something to train on")
    if rule.group is not None and rule.by != "group":
        raise FameError(f'{kind}: {file}: group goes with by = "group", not with by = "{rule.by}"; mend it')
    return rule
