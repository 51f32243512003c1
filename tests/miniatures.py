"""Miniature copies of the published layouts: folders, lists, a few files as videos."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from fame.data.layouts import Listing

HMDB_CLASSES = ("brush_hair", "kick", "kick_ball")
DIVES = [["Back", "15som", "05Twis", "FREE"], ["Inward", "35som", "NoTwis", "TUCK"], ["Forward", "15som", "NoTwis", "PIKE"]]


def put(path: Path, content: bytes | str = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def hmdb_names(name: str) -> list[str]:
    """Thirty clips of fifteen films, two of each, cut from its parts 1 and 2."""
    return [f"film{chr(65 + s)}_-_(uncut)!_{c}_{name}_f_nm_np1_fr_med_{s}.avi" for s in range(15) for c in (1, 2)]


def hmdb51(root: Path, content: bytes = b"", videos: str = "HMDB51", lists: str = "testTrainMulti_7030_splits") -> Path:
    """Three classes of the same films, thirty clips each: two unused, twenty to train on, eight for tests."""
    for name in HMDB_CLASSES:
        lines = []
        for index, clip in enumerate(hmdb_names(name)):
            put(root / videos / name / clip, content)
            lines.append(f"{clip} {0 if index < 2 else 2 if index >= 22 else 1} ")
        for fold in (1, 2, 3):
            put(root / lists / f"{name}_test_split{fold}.txt", "\n".join(lines) + "\n")
    return root


def kinetics_id(index: int) -> str:
    return f"_{index:04d}-ab_{index % 10}x"  # eleven characters, as on YouTube


def kinetics(root: Path, content: bytes = b"", lists: str | None = "", spaces: bool = True, videos: int = 8) -> Path:
    """Two classes; `videos` clips of each in train, two in val; the csv files in `lists`."""
    rows: dict[str, list[str]] = {"train": [], "val": []}
    index = 0
    for split, many in (("train", videos), ("val", 2)):
        for name in ("massaging person's head", "abseiling"):
            folder = name if spaces else name.replace(" ", "_").replace("'", "_")
            for _ in range(many):
                index += 1
                put(root / split / folder / f"{kinetics_id(index)}_{index:06d}_{index + 10:06d}.mp4", content)
                rows[split].append(f"{name},{kinetics_id(index)},{index},{index + 10},{split}")
    if lists is not None:
        head = "label,youtube_id,time_start,time_end,split"
        put(root / lists / "train.csv", "\r\n".join([head, *rows["train"]]) + "\r\n")
        put(root / lists / "validate.csv", "\n".join([head, *rows["val"]]) + "\n")
    return root


def diving48(root: Path, content: bytes = b"", videos: str = "rgb", vocabulary: bool = True, broadcasts: int = 12) -> Path:
    """`broadcasts` training videos of six dives each, two a class, and one test video of six."""
    lists: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    for number in range(broadcasts + 1):
        for clip in range(6):
            name = f"_8Vy3dl{number:02d}-w_{clip:05d}"
            put(root / videos / f"{name}.mp4", content)
            item = {"vid_name": name, "label": clip % 3, "start_frame": 0, "end_frame": 6}
            lists["test" if number == broadcasts else "train"].append(item)
    for split, items in lists.items():
        put(root / f"Diving48_V2_{split}.json", json.dumps(items))
    if vocabulary:
        put(root / "Diving48_vocab.json", json.dumps(DIVES))
    return root


def ucf101(root: Path, content: bytes = b"", groups: int = 10, videos: str = "UCF-101", lists: str = "ucfTrainTestlist") -> Path:
    """Three classes, groups 1 and 2 are the test list; class 3 has the case quirk of HandstandPushups."""
    classes = {"Diving": "Diving", "Archery": "Archery", "HandstandPushups": "HandStandPushups"}
    train, test = [], []
    for name, stem in classes.items():
        for group in range(1, groups + 3):
            for take in (1, 2):
                listed = f"{name}/v_{stem}_g{group:02d}_c{take:02d}.avi"
                put(root / videos / listed, content)
                (test if group <= 2 else train).append(listed)
    label = {name: index for index, name in enumerate(classes, 1)}
    put(root / lists / "classInd.txt", "\r\n".join(f"{label[name]} {name}" for name in classes))
    put(root / lists / "trainlist01.txt", "".join(f"{line} {label[line.split('/')[0]]}\n" for line in train))
    put(root / lists / "testlist01.txt", "\n".join(test) + "\n\n")
    return root


def folder(root: Path, content: bytes = b"", videos: int = 12) -> Path:
    """Two class folders, nothing said of splits."""
    for index in range(videos):
        put(root / f"class{index % 2}" / f"{index:02d}.avi", content)
    return root


def counts(listing: Listing) -> dict[str, int]:
    """Videos of each split."""
    return dict(Counter(entry.split for entry in listing.entries))


def of(listing: Listing, split: str) -> list[str]:
    """Paths of one split."""
    return [entry.path for entry in listing.entries if entry.split == split]
