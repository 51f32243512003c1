"""UCF101: as distributed (`UCF-101/CLASS/*.avi`, `ucfTrainTestlist/`), or as the released code keeps it (`data/`, `anno/`)."""

from __future__ import annotations

from pathlib import Path

from fame.data.layouts.groups import hold_out_groups
from fame.data.layouts.listing import Entry, Listing, first_folder, none_found, read_lines
from fame.errors import FameError


def read_ucf101(root: Path, fold: int) -> Listing:
    """The official test list of the fold is the test split; a share of the train list's groups on disk is the validation split."""
    videos = first_folder("ucf101", root, ("UCF-101", "data"), "the videos")
    lists = first_folder("ucf101", root, ("ucfTrainTestlist", "anno"), "the split files")
    names = [_word(lists / "classInd.txt", line, 1) for line in read_lines("ucf101", lists / "classInd.txt")]
    label = {name.lower(): index for index, name in enumerate(names)}
    # Names are compared without case: classInd.txt has HandstandPushups, its files v_HandStandPushups, and copies mix the two.
    on_disk = {path.relative_to(videos).as_posix().lower(): path for path in sorted(videos.rglob("*.avi"))}
    by_base = {path.rpartition("/")[2]: found for path, found in on_disk.items()}  # v_CLASS_gNN_cNN.avi is unique in the set
    entries, missing = [], []
    for split in ("train", "test"):
        file = lists / f"{split}list{fold:02d}.txt"
        for line in read_lines("ucf101", file):
            listed = line.split()[0]
            name, _, base = listed.rpartition("/")
            found = on_disk.get(listed.lower()) or by_base.get(base.lower())
            if name.lower() not in label:
                raise FameError(
                    f"ucf101: {file} lists {listed}, whose class is not in {lists / 'classInd.txt'}; mend the split file"
                )
            if found is None:
                missing.append(listed)
            else:
                entries.append(Entry(found.relative_to(root).as_posix(), label[name.lower()], split))
    if not entries:
        raise none_found("ucf101", len(missing), lists, videos, missing[0] if missing else "none listed")
    return Listing(names, hold_out_groups(entries, fold), missing)


def _word(file: Path, line: str, index: int) -> str:
    words = line.split()
    if len(words) <= index:
        raise FameError(f"ucf101: {file} has the line {line!r}, which is not NUMBER CLASS; mend it, or get the official file again")
    return words[index]
