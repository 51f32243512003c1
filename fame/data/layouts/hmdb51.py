"""HMDB51: class folders of clips, and 51 x 3 split files `CLASS_test_splitN.txt` (1 train, 2 test, 0 in neither).

Clips are named SOURCE_CLASS_BODY_CAMERA_PEOPLE_VIEW_QUALITY_N.avi. Validation holds out whole sources, such as films.
"""

from __future__ import annotations

import re
from pathlib import Path

from fame.data.layouts.listing import Entry, Listing, find_listed, list_once, read_lines
from fame.data.layouts.splits import VAL_SHARE, hold_out_sources
from fame.errors import FameError

VIDEOS = ("HMDB51", "hmdb51_org", "videos")  # else the class folders lie in the root itself
LISTS = ("testTrainMulti_7030_splits", "hmdb51_splits", "splits", ".")
MOST = VAL_SHARE  # of each class: val is 332, 337 and 343 clips of folds 1 to 3 then, of all classes, 7 of most and 1 of the fewest
_IDS = {"0": "", "1": "train", "2": "test"}
_TAIL = re.compile(r"_[a-z]_(?:nm|cm)_np\d+_[a-z]{2}_(?:bad|med|goo)_\d+$")  # the meta labels of a clip's name


def read_hmdb51(root: Path, fold: int) -> Listing:
    """Read a fold: its test clips are the test split, and whole sources of its train clips validate."""
    videos = next((root / name for name in VIDEOS if (root / name).is_dir()), root)
    suffix = f"_test_split{fold}.txt"
    found = ([path for path in (root / name).glob(f"[!.]*{suffix}")] for name in LISTS)
    files = {file.name.removesuffix(suffix): file for file in next(filter(None, found), [])}
    if not files:
        raise FameError(f"hmdb51: {root} has no split files CLASS{suffix} in {LISTS[0]}; unpack the official three splits there")
    listed: dict[str, Entry] = {}
    for label, name in enumerate(sorted(files)):
        for line in read_lines("hmdb51", files[name]):
            clip, _, number = line.strip().replace("\t", " ").rpartition(" ")  # a clip's name may hold any character
            if not clip.strip() or number not in _IDS:
                told = f"has the line {line.strip()!r}, which is not NAME.avi and 0, 1 or 2"
                raise FameError(f"hmdb51: {files[name]} {told}; get the file again")
            list_once("hmdb51", listed, Entry(f"{name}/{clip.strip()}", label, _IDS[number]), files[name])
    used = hold_out_sources(listed.values(), fold, source_of, most=MOST)
    return find_listed("hmdb51", root, sorted(files), used, next(iter(files.values())).parent, videos)


def source_of(path: str) -> str:
    """Return what a clip was cut from, else `path`: `kiss/The_Matrix_4_kiss_h_cm_np2_le_goo_0.avi` is of `The_Matrix`."""
    name = Path(path)
    before = _TAIL.sub("", name.stem)
    if before == name.stem:
        return path
    source = before.removesuffix(f"_{name.parent.name}")
    return re.sub(r"[_-]*\d+$", "", source) or source
