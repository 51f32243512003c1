"""Videos that belong together (one person in one place, one source film) go to one split: how a validation split is made.

A network that has seen a scene in training is better on other clips of that scene than on new ones, so a validation split that
cuts through groups flatters it, and the more so the more it looks at backgrounds. Whole groups are held out, and the test list is
left alone. Which ones is decided by a hash of their names: the same on every machine, with nothing drawn.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from fame.data.layouts.listing import Entry

VAL_SHARE = 0.1  # of a class's training groups, rounded: a class with fewer than five groups gives none

Naming = Callable[[str], str]  # from a path to the name of its group


def group_of(path: str) -> str:
    """The group of a video: CLASS/gNN where the name has it as in UCF101 (`v_Diving_g03_c07`), else the video itself."""
    name = Path(path)
    found = re.search(r"_g(\d+)(?:_|$)", name.stem)
    return f"{name.parent.name}/g{found[1]}" if found else path


def hold_out_groups(
    entries: Iterable[Entry], fold: int, group: Naming = group_of, share: float = VAL_SHARE, seed: int | None = None
) -> list[Entry]:
    """Move whole groups from train to val: about `share` of each class's groups, the first by hash. For groups within a class."""
    entries = list(entries)
    held = set()
    for groups in groups_by_label((entry for entry in entries if entry.split == "train"), group).values():
        held |= set(by_hash(groups, fold, seed)[: int(share * len(groups) + 0.5)])
    return [e._replace(split="val") if e.split == "train" and group(e.path) in held else e for e in entries]


def hold_out_sources(
    entries: Iterable[Entry], fold: int, source: Naming, share: float = VAL_SHARE, most: float = 0.5, seed: int | None = None
) -> list[Entry]:
    """Move whole sources from train to val, where one source (a film, a competition) has clips of several classes.

    Sources are taken in order of hash; one is passed over where val would then have more than `share` of all training videos, or
    more than `most` of a class's (of one with two or three: one; of one with a single video: none).
    """
    entries = list(entries)
    train = [entry for entry in entries if entry.split == "train"]
    contents: dict[str, Counter[int]] = defaultdict(Counter)
    for entry in train:
        contents[source(entry.path)][entry.label] += 1
    of_class = Counter(entry.label for entry in train)
    room = {label: max(1 if count > 1 else 0, int(most * count + 1e-9)) for label, count in of_class.items()}
    left = int(share * len(train) + 0.5)
    held = set()
    for name in by_hash(contents, fold, seed):
        content = contents[name]
        if content.total() <= left and all(room[label] >= count for label, count in content.items()):
            held.add(name)
            left -= content.total()
            for label, count in content.items():
                room[label] -= count
    return [e._replace(split="val") if e.split == "train" and source(e.path) in held else e for e in entries]


def groups_by_label(entries: Iterable[Entry], group: Naming) -> dict[int, set[str]]:
    """The names of the groups of each class."""
    groups: dict[int, set[str]] = defaultdict(set)
    for entry in entries:
        groups[entry.label].add(group(entry.path))
    return groups


def by_hash(names: Iterable[str], fold: int, seed: int | None = None) -> list[str]:
    """`names` in an order that depends on each name, the fold and the seed alone; without a seed, on name and fold."""
    return sorted(names, key=lambda name: (_hash(name, fold, seed), name))


def place_by_hash(name: str, fold: int, seed: int | None = None) -> float:
    """A number from 0 to below 1 for a name, uniform over names, by the same hash."""
    return int.from_bytes(_hash(name, fold, seed)[:6]) / 2**48


def _hash(name: str, fold: int, seed: int | None) -> bytes:
    salt = f"{fold}" if seed is None else f"{fold}/{seed}"
    return hashlib.sha256(f"{salt}/{name}".encode()).digest()
