"""Read plain class folders: anybody's own videos, at any depth below their class.

- `ROOT/splits.csv` (columns `path,split`, or `path,label,split`): what it lists, as it says.
- `ROOT/{train,val,test}/CLASS/*`: as the folders say, by any usual name of a split (`Training`, `valid`, `dev`, ...).
- `ROOT/CLASS/*`: splits are made by `ROOT/splits.toml`, else by group, and kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from pathlib import Path, PurePosixPath

from fame.data.disk import writing
from fame.data.layouts.listing import (
    SPLITS,
    Entry,
    Listing,
    left_out,
    like_videos_below,
    none_found,
    read_rows,
    videos_below,
)
from fame.data.layouts.splits import (
    RULE,
    Rule,
    by_hash,
    cross_validated,
    groups_by_label,
    hold_out_groups,
    read_rule,
)
from fame.errors import FameError
from fame.files import write_json

LIST = "splits.csv"
FOLDS_OF_TARGET = 10  # of a target that says no splits
SPLIT_OF = {  # a split folder's name, in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
Named = tuple[str, str, str]  # path below the root, class, split


def read_class_folders(root: Path, fold: int, cache: Path, folds: int = 0) -> Listing:
    """Read a folder; a split made here is kept in `cache`, as JSON. With `folds`, a folder without splits is cross-validated."""
    given = (root / LIST).is_file()
    videos, divided = (_listed_videos(root), True) if given else _videos_in_folders(root)
    missing = [path for path, _, _ in videos if given and not (root / path).is_file()]
    if len(missing) == len(videos):
        raise none_found("folder", missing, root / LIST, root)
    gone = set(missing)
    classes = sorted({name for _, name, _ in videos})
    label = {name: index for index, name in enumerate(classes)}
    entries = [Entry(path, label[name], split) for path, name, split in videos if path not in gone]
    if divided:  # only what is held out of train can be asked for
        rule = read_rule(root, "folder", ("group", "val", "seed"))
        if "val" not in {split for _, _, split in videos}:
            entries = hold_out_groups(entries, fold, rule.unit(), rule.val, rule.seed)
    else:
        allowed = ("by", "group", "test", "val", "seed", *(("folds", "hold_out") if folds else ()))
        rule = read_rule(root, "folder", allowed, folds=folds)
        if rule.folds and not rule.hold_out:
            entries = cross_validated(entries, rule, f"folder: {root}")
        else:
            entries = split_by_rule(entries, fold, rule, _kept_in(root, fold, rule, cache))
    notes = [*_strangers(root, entries, given), *_single_class(root, entries, classes), *_twins(root, classes)]
    notes += [] if given else _like_splits(root, entries, classes)
    notes += [] if divided else _like_lists(root)
    return Listing(classes, entries, missing, notes)


def _strangers(root: Path, entries: list[Entry], given: bool) -> list[str]:
    taken = {root / entry.path for entry in entries}
    why = f"{LIST} does not name them" if given else "they lie in no class folder"
    others = left_out(root, like_videos_below(root), "videos of such a name are not read")
    return left_out(root, set(videos_below(root)) - taken, why) + others


def _like_splits(root: Path, entries: list[Entry], classes: list[str]) -> list[str]:
    """A note on folders such as `train_set` and `test_set`, or CLASS/train and CLASS/test, which are not taken for splits."""

    def split_of(name: str) -> str:
        return SPLIT_OF.get(re.split("[^a-z]", name.lower())[0], "")

    below = {PurePosixPath(entry.path).parent.name for entry in entries if entry.path.count("/") > 1}
    alike = [sorted(filter(split_of, names)) for names in (classes, below)]
    told = "not taken for splits: name folders as ROOT/train/CLASS, or list the videos in"
    return [f"folder: {root}: {', '.join(names)} are {told} {LIST}" for names in alike if len(set(map(split_of, names))) > 1]


def _like_lists(root: Path) -> list[str]:
    """A note on files such as `Splits.csv` and `train.csv`, which are not read."""
    names = sorted(path.name for path in root.iterdir() if path.suffix.lower() in (".csv", ".toml") and path.name != RULE)
    return [f"folder: {root}: {', '.join(names)} not read: a list of the splits is {LIST}, a rule for them {RULE}"] if names else []


def _twins(root: Path, classes: list[str]) -> list[str]:
    plain = [unicodedata.normalize("NFC", name).strip().casefold() for name in classes]
    twins = [ascii(name) for name, key in zip(classes, plain, strict=True) if plain.count(key) > 1]
    return [f"folder: {root} has classes that differ in spelling alone: {', '.join(twins)}; are they one?"] if twins else []


def _single_class(root: Path, entries: list[Entry], classes: list[str]) -> list[str]:
    if len(classes) > 1:
        return []
    below = {PurePosixPath(entry.path).parts[1] for entry in entries if entry.path.count("/") > 1}
    hint = f": is {root / classes[0]} the data set's folder?" if len(below) > 1 and (root / classes[0]).is_dir() else ""
    return [f"folder: {root} has one class, {classes[0]}, so there is nothing to tell apart{hint}"]


# ---------------------------------------------------------------- splits that folders give


def _videos_in_folders(root: Path) -> tuple[list[Named], bool]:
    """The videos in class folders, and whether split folders say their splits."""
    found = [(path, path.relative_to(root).parts) for path in videos_below(root)]
    folders = {parts[0] for _, parts in found if len(parts) > 1}
    divided = sorted({parts[0] for _, parts in found if len(parts) > 2 and parts[0].lower() in SPLIT_OF})
    others = sorted(name for name in folders if name.lower() not in SPLIT_OF)
    if divided and others and len({SPLIT_OF[name.lower()] for name in divided}) == 1:
        either = f"is {root / divided[0]} a split or a class? {others[0]} lies beside it"
        raise FameError(f"folder: {either}; rename it, or say the splits in {LIST}")
    if divided:
        order = {split: index for index, split in enumerate(SPLITS)}
        videos = [(path, parts[1], SPLIT_OF[parts[0].lower()]) for path, parts in found if len(parts) > 2 and parts[0] in divided]
        videos.sort(key=lambda video: order[video[2]])
    else:
        videos = [(path, parts[0], "train") for path, parts in found if len(parts) > 1 and others]
    if not videos:
        raise FameError(f"folder: no video in {root}/CLASS or {root}/train/CLASS")
    return [(path.relative_to(root).as_posix(), name, split) for path, name, split in videos], bool(divided)


# ---------------------------------------------------------------- splits that a list gives


def _listed_videos(root: Path) -> list[Named]:
    """The videos that `splits.csv` names, by the paths that they have on disk where they are there."""
    file = root / LIST
    columns, rows = read_rows("folder", file)
    if not {"path", "split"} <= set(columns):
        raise FameError(f"folder: {file} begins with {','.join(columns)}; its first line is path,split or path,label,split")
    listed: dict[str, tuple[str, str]] = {}
    for line, row in rows:
        where = f"line {line} of {file}"
        path, split = row["path"], row["split"]
        path = path and PurePosixPath(path).as_posix()  # ./CLASS/NAME is CLASS/NAME
        if split not in SPLITS:
            raise FameError(f"folder: {where} has the split {split!r}; a split is train, val or test")
        if path in listed:
            raise FameError(f"folder: {where} lists {path} a second time; a video is in one split")
        listed[path] = row["label"] if "label" in columns else _class_in(path, where), split
        if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise FameError(f"folder: {where} has the path {path!r}; paths are relative to the data set's folder and stay in it")
        if not listed[path][0]:
            raise FameError(f"folder: {where} has no label for {path}; write the name of its class")
    paths = (path.relative_to(root).as_posix() for path in videos_below(root))
    composed = {unicodedata.normalize("NFC", path): path for path in paths}  # é has two spellings
    videos = []
    for path, (name, split) in listed.items():
        there = path if (root / path).is_file() else composed.get(unicodedata.normalize("NFC", path), path)
        videos.append((there, name, split))
    return videos


def _class_in(path: str, where: str) -> str:
    """The class folder of a path; a split folder before it is passed over."""
    parts = PurePosixPath(path).parts
    folders = parts[1:-1] if len(parts) > 2 and parts[0].lower() in SPLIT_OF else parts[:-1]
    if not folders:
        raise FameError(f"folder: {where}: {path!r} lies in no class folder; add a column label, or write CLASS/{path}")
    return folders[0]


# ---------------------------------------------------------------- splits made here


def split_by_rule(entries: list[Entry], fold: int, rule: Rule, file: Path) -> list[Entry]:
    """Move shares of the units (groups or videos) to test and val, by hash; what `file` knows stays."""
    unit = rule.unit()
    known = _read_kept(file)
    split = dict(known)
    strata = [e._replace(label=0) for e in entries] if rule.by == "seed" else entries
    for units in groups_by_label(strata, unit).values():
        for name, share in (("test", rule.test), ("val", rule.val)):
            wanted = int(share * len(units) + 0.5) - sum(split.get(one) == name for one in units)
            for one in by_hash((one for one in units if one not in split), fold, rule.seed)[: max(0, wanted)]:
                split[one] = name
    split = {unit(entry.path): split.get(unit(entry.path), "train") for entry in entries}
    if split != known:
        with writing(file, "the split"):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, known | split)
    return [entry._replace(split=split[unit(entry.path)]) for entry in entries]


def _kept_in(root: Path, fold: int, rule: Rule, cache: Path) -> Path:
    """One file for each root, fold and rule: asking for other shares makes a new split and leaves the old one."""
    shares, default = (one.model_dump(exclude={"folds", "hold_out"}) for one in (rule, Rule()))
    asked = "" if shares == default else "-" + _short_hash(json.dumps(shares, sort_keys=True))
    return cache / f"split-{_short_hash(str(root.resolve()))}{asked}-fold{fold}.json"


def _read_kept(file: Path) -> dict[str, str]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FameError(f"{file}: the split cannot be read ({error}); mend it, or delete it to have it made anew") from None
    if not isinstance(value, dict) or not all(split in SPLITS for split in value.values()):
        raise FameError(f"{file}: a split file maps groups to train, val or test; mend it, or delete it to have it made anew")
    return value


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
