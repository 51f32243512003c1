"""Plain class folders: anybody's own videos, with split folders, with a list of splits, or with splits made here and kept.

- `ROOT/splits.csv` (columns `path,split`, or `path,label,split`): what it lists, as it says.
- `ROOT/{train,val,test}/CLASS/*`: as the folders say.
- `ROOT/CLASS/*`: splits are made by `ROOT/splits.toml` (rule.py), or by group where there is none, and written to disk.

Videos lie at any depth below their class. Where splits are given without a `val`, groups are held out of train as for UCF101.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from fame.data.disk import writing
from fame.data.layouts.groups import by_hash, groups_by_label, hold_out_groups
from fame.data.layouts.listing import SPLITS, Entry, Listing, left_out, none_found, read_rows, videos_below
from fame.data.layouts.rule import Rule, read_rule
from fame.data.video import SUFFIXES
from fame.errors import FameError
from fame.files import write_json

LIST = "splits.csv"


def read_class_folders(root: Path, fold: int, cache: Path) -> Listing:
    """What the folder has, split as the module says. A split made here is kept as JSON in `cache`, so that videos added later do
    not move the others; that file may be edited."""
    given = [split for split in SPLITS if (root / split).is_dir()]
    if (root / LIST).is_file():
        return _read_list(root, fold, _holding_out(root))
    if "train" in given:
        found = [(path, name, split) for split in given for path, name in _videos_by_class(root / split)]
    else:
        found = [(path, name, "train") for path, name in _videos_by_class(root)]
    if not found:
        raise FameError(f"folder: no video in {root}/CLASS or {root}/train/CLASS (looked for {', '.join(SUFFIXES)})")
    classes = sorted({name for _, name, _ in found})
    label = {name: index for index, name in enumerate(classes)}
    entries = [Entry(path.relative_to(root).as_posix(), label[name], split) for path, name, split in found]
    if "train" in given:
        rule = _holding_out(root)
        entries = entries if "val" in given else hold_out_groups(entries, fold, rule.unit(), rule.val, rule.seed)
    else:
        rule = read_rule(root, "folder", ("by", "group", "test", "val", "seed"))
        entries = _split(entries, fold, rule, _kept_in(root, fold, rule, cache))
    return Listing(classes, entries)


def _holding_out(root: Path) -> Rule:
    """The rule where splits are given: only what is held out of train can be asked for."""
    return read_rule(root, "folder", ("group", "val", "seed"))


def _videos_by_class(folder: Path) -> list[tuple[Path, str]]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [(path, name.name) for name in classes for path in videos_below(name)]


# ---------------------------------------------------------------- splits that a list gives


def _read_list(root: Path, fold: int, rule: Rule) -> Listing:
    file = root / LIST
    columns, rows = read_rows("folder", file)
    if not {"path", "split"} <= set(columns):
        raise FameError(f"folder: {file} begins with {','.join(columns)}; its first line is path,split or path,label,split")
    listed: dict[str, tuple[str, str]] = {}
    for line, row in rows:
        where = f"line {line} of {file}"
        path, split = row["path"] and PurePosixPath(row["path"]).as_posix(), row["split"]  # ./CLASS/NAME is CLASS/NAME
        if split not in SPLITS:
            raise FameError(f"folder: {where} has the split {split!r}; a split is train, val or test")
        if path in listed:
            raise FameError(f"folder: {where} lists {path} a second time; a video is in one split")
        listed[path] = row["label"] if "label" in columns else _class_in(path, where), split
        _check(path, listed[path][0], where)
    classes = sorted({name for name, _ in listed.values()})
    label = {name: index for index, name in enumerate(classes)}
    entries = [Entry(path, label[name], split) for path, (name, split) in listed.items() if (root / path).is_file()]
    missing = [path for path in listed if not (root / path).is_file()]
    if not entries:
        raise none_found("folder", len(missing), file, root, missing[0] if missing else "none listed")
    if "val" not in {split for _, split in listed.values()}:
        entries = hold_out_groups(entries, fold, rule.unit(), rule.val, rule.seed)
    strangers = sorted({path.relative_to(root).as_posix() for path in videos_below(root)} - listed.keys())
    return Listing(classes, entries, missing, left_out(strangers, f"{LIST} does not name them"))


def _class_in(path: str, where: str) -> str:
    """The class folder of a path; a split folder before it is passed over."""
    parts = PurePosixPath(path).parts
    folders = parts[1:-1] if len(parts) > 2 and parts[0] in SPLITS else parts[:-1]
    if not folders:
        raise FameError(f"folder: {where}: {path!r} lies in no class folder; add a column label, or write CLASS/{path}")
    return folders[0]


def _check(path: str, label: str, where: str) -> None:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts:
        raise FameError(f"folder: {where} has the path {path!r}; paths are relative to the data set's folder and stay in it")
    if not label:
        raise FameError(f"folder: {where} has no label for {path}; write the name of its class")


# ---------------------------------------------------------------- splits made here


def _split(entries: list[Entry], fold: int, rule: Rule, file: Path) -> list[Entry]:
    """Shares of the units to test and val, by hash; units that `file` knows stay where it says. A unit is a group or a video."""
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
    asked = "" if rule == Rule() else "-" + _short_hash(json.dumps(asdict(rule), sort_keys=True))
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
