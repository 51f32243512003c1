"""UCF101: as distributed (`UCF-101/CLASS/*.avi`, `ucfTrainTestlist/`), or as the released code keeps it (`data/`, `anno/`)."""

from __future__ import annotations

from pathlib import Path

from fame.data.layouts.listing import Entry, Listing, find_listed, first_folder, list_once, read_lines
from fame.data.layouts.splits import hold_out_groups
from fame.errors import FameError


def read_ucf101(root: Path, fold: int) -> Listing:
    """Read a fold: its test list is the test split, and a share of each class's groups in its train list validates."""
    videos = first_folder("ucf101", root, ("UCF-101", "data"), "the videos")
    lists = first_folder("ucf101", root, ("ucfTrainTestlist", "anno"), "the split files")
    names = [_class_of(lists / "classInd.txt", line) for line in read_lines("ucf101", lists / "classInd.txt")]
    label = {name.lower(): index for index, name in enumerate(names)}  # files have HandStand, classInd.txt Handstand
    listed: dict[str, Entry] = {}
    for split in ("train", "test"):
        file = lists / f"{split}list{fold:02d}.txt"
        for line in read_lines("ucf101", file):
            path = line.split()[0].replace("\\", "/")
            *_, name, video = f"/{path}".split("/")
            if name.lower() not in label:
                raise FameError(f"ucf101: {file} lists {path}, whose class is not in {lists / 'classInd.txt'}; mend the split file")
            list_once("ucf101", listed, Entry(f"{name}/{video}", label[name.lower()], split), file)
    return find_listed("ucf101", root, names, hold_out_groups(listed.values(), fold), lists, videos)


def _class_of(file: Path, line: str) -> str:
    try:
        return line.split()[1]
    except IndexError:
        raise FameError(f"ucf101: {file} has the line {line!r}, which is not NUMBER CLASS; get the official file again") from None
