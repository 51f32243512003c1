"""HMDB51: class folders of clips, and 51 x 3 split files `CLASS_test_splitN.txt` (1 train, 2 test, 0 in neither).

Clips are named SOURCE_CLASS_BODY_CAMERA_PEOPLE_VIEW_QUALITY_N.avi. Many are cut from one film, often for several classes, so
validation holds out whole sources. The official train and test lists themselves share sources; they are left as they are.
"""

from __future__ import annotations

import re
from pathlib import Path

from fame.data.layouts.listing import Entry, Listing, find_listed, left_out, list_once, read_lines, videos_below
from fame.data.layouts.splits import VAL_SHARE, hold_out_sources
from fame.errors import FameError

VIDEOS = ("HMDB51", "hmdb51_org", "hmdb51", "videos")  # else the class folders lie in the root itself
LISTS = ("testTrainMulti_7030_splits", "hmdb51_splits", "test_train_splits", "testTrainMulti", "splits", "annotations", ".")
MOST = VAL_SHARE  # of each class: val is 332, 337 and 343 clips of folds 1 to 3 then, of all classes, 7 of most and 1 of the fewest
_IDS = {"0": "", "1": "train", "2": "test"}
_TAIL = re.compile(r"_[a-z]_(?:nm|cm)_np\d+_[a-z]{2}_(?:bad|med|goo)_\d+$")  # the meta labels of a clip's name


def read_hmdb51(root: Path, fold: int) -> Listing:
    """The fold's test clips are the test split. Validation is chosen on the lists, so a clip that is missing moves no other."""
    lists = _lists(root, fold)
    videos = next((root / name for name in VIDEOS if (root / name).is_dir()), root)
    suffix = f"_test_split{fold}.txt"
    classes = sorted(file.name.removesuffix(suffix) for file in _of_fold(lists, fold))
    listed: dict[str, Entry] = {}
    for label, name in enumerate(classes):
        file = lists / f"{name}{suffix}"
        for line in read_lines("hmdb51", file):
            clip, split = _parse(file, line)
            list_once("hmdb51", listed, f"{name}/{Path(clip).stem}", Entry(f"{name}/{clip}", label, split), file)
    folders = {path.name.lower(): path for path in sorted(videos.iterdir())}  # names are compared without case
    of_class = {name: folders.get(name.lower(), videos / name) for name in classes}
    on_disk = {(name, path.stem): path for name in classes for path in reversed(videos_below(of_class[name]))}

    def key(entry: Entry) -> tuple[str, str]:
        return classes[entry.label], Path(entry.path).stem

    used = hold_out_sources((entry for entry in listed.values() if entry.split), fold, source_of, most=MOST)
    entries, missing = find_listed("hmdb51", root, used, key, on_disk, lists, videos)
    for entry in listed.values():
        on_disk.pop(key(entry), None)
    return Listing(classes, entries, missing, left_out(root, on_disk.values(), f"no split file of fold {fold} names them"))


def source_of(path: str) -> str:
    """What `CLASS/CLIP.avi` was cut from: the clip's name before its class, without a number at the end (parts of one film).

    `kiss/The_Matrix_4_kiss_h_cm_np2_le_goo_0.avi` is of `The_Matrix`; a name that is not built so is its own source.
    """
    name = Path(path)
    before = _TAIL.sub("", name.stem)
    if before == name.stem:
        return path
    source = before.removesuffix(f"_{name.parent.name}")
    return re.sub(r"[_-]*\d+$", "", source) or source


def _lists(root: Path, fold: int) -> Path:
    for name in LISTS:
        if _of_fold(root / name, fold):
            return root / name
    raise FameError(
        f"hmdb51: {root} has no split files CLASS_test_split{fold}.txt in {', '.join(LISTS[:-1])} or beside them; "
        "unpack the official three splits there"
    )


def _of_fold(folder: Path, fold: int) -> list[Path]:
    """The split files of a fold; what is hidden (`._CLASS_...`, as archives from a Mac have) is none."""
    return [file for file in folder.glob(f"*_test_split{fold}.txt") if not file.name.startswith(".")]


def _parse(file: Path, line: str) -> tuple[str, str]:
    """(name, split) of a line `NAME ID`; the name may hold any character. "" is in neither split."""
    name, _, number = line.strip().replace("\t", " ").rpartition(" ")
    if not name.strip() or number not in _IDS:
        raise FameError(f"hmdb51: {file} has the line {line.strip()!r}, which is not NAME.avi and 0, 1 or 2; get the file again")
    return name.strip(), _IDS[number]
