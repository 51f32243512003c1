"""UCF101: as distributed (`UCF-101/CLASS/*.avi`, `ucfTrainTestlist/`), or as the released code keeps it (`data/`, `anno/`)."""

from __future__ import annotations

from pathlib import Path

from fame.data.layouts.groups import hold_out_groups
from fame.data.layouts.listing import Entry, Listing, first_folder, list_once, none_found, read_lines, videos_below
from fame.errors import FameError


def read_ucf101(root: Path, fold: int) -> Listing:
    """The fold's official test list is the test split, and a share of each class's groups in its train list the validation split.

    Validation is chosen on the list, so a video that is missing moves no other.
    """
    videos = first_folder("ucf101", root, ("UCF-101", "data"), "the videos")
    lists = first_folder("ucf101", root, ("ucfTrainTestlist", "anno"), "the split files")
    names = [_word(lists / "classInd.txt", line, 1) for line in read_lines("ucf101", lists / "classInd.txt")]
    label = {name.lower(): index for index, name in enumerate(names)}
    # Names are compared without case: classInd.txt has HandstandPushups, its files v_HandStandPushups, and copies mix the two.
    on_disk = {path.relative_to(videos).as_posix().lower(): path for path in videos_below(videos) if path.suffix.lower() == ".avi"}
    by_base = {path.rpartition("/")[2]: found for path, found in on_disk.items()}  # v_CLASS_gNN_cNN.avi is unique in the set
    listed: dict[str, Entry] = {}
    for split in ("train", "test"):
        file = lists / f"{split}list{fold:02d}.txt"
        for line in read_lines("ucf101", file):
            path = line.split()[0]
            name = path.rpartition("/")[0]
            if name.lower() not in label:
                raise FameError(f"ucf101: {file} lists {path}, whose class is not in {lists / 'classInd.txt'}; mend the split file")
            list_once("ucf101", listed, path.lower(), Entry(path, label[name.lower()], split), file)
    entries, missing = [], []
    for entry in hold_out_groups(listed.values(), fold):
        found = on_disk.get(entry.path.lower()) or by_base.get(entry.path.rpartition("/")[2].lower())
        if found is None:
            missing.append(entry.path)
        else:
            entries.append(entry._replace(path=found.relative_to(root).as_posix()))
    if not entries:
        raise none_found("ucf101", len(missing), lists, videos, missing[0] if missing else "none listed")
    return Listing(names, entries, missing)


def _word(file: Path, line: str, index: int) -> str:
    words = line.split()
    if len(words) <= index:
        raise FameError(f"ucf101: {file} has the line {line!r}, which is not NUMBER CLASS; mend it, or get the official file again")
    return words[index]
