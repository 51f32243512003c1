"""Anybody's own videos: a list of splits, splits by group, class or seed, kept on disk; groups are never divided."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.data.layouts import Entry, group_of, hold_out_groups, hold_out_sources, read_class_folders
from fame.data.layouts.folder import split_by_rule
from fame.data.layouts.splits import Rule, place_by_hash
from fame.data.video import SUFFIXES
from fame.errors import FameError
from tests.miniatures import counts, put


def own(root: Path, groups: int = 10, name: str = "v_{c}_g{g:02d}_c{n:02d}.mp4") -> Path:
    """Two classes of `groups` groups of two videos."""
    for c in ("run", "walk"):
        for g in range(groups):
            for n in (1, 2):
                put(root / c / name.format(c=c, g=g, n=n))
    return root


def splits_of(root: Path, cache: Path, fold: int = 1) -> dict[str, str]:
    return {entry.path: entry.split for entry in read_class_folders(root, fold, cache).entries}


# ---------------------------------------------------------------- split folders


def made(root: Path, *paths: str) -> Path:
    for path in paths:
        put(root / path)
    return root


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Train", "Validation", "Test"), ("training", "valid", "testing"), ("TRAIN", "dev", "eval")],
)
def test_split_folders_by_any_usual_name(train: str, val: str, test: str, tmp_path: Path) -> None:
    root = made(tmp_path, f"{train}/run/deep/a.MKV", f"{val}/run/b.mp4", f"{test}/run/c.mp4", f"{test}/jump/d.webm")
    put(root / "notes" / "of the test.txt")
    listing = read_class_folders(root, 1, tmp_path / "cache")
    assert listing.classes == ["jump", "run"] and not listing.notes and not (tmp_path / "cache").exists()
    assert listing.entries == [
        Entry(f"{train}/run/deep/a.MKV", 1, "train"),
        Entry(f"{val}/run/b.mp4", 1, "val"),
        Entry(f"{test}/jump/d.webm", 0, "test"),
        Entry(f"{test}/run/c.mp4", 1, "test"),
    ]


def test_a_class_may_be_called_as_a_split_is_and_what_may_be_either_is_asked(tmp_path: Path) -> None:
    classes = made(tmp_path / "classes", "train/a.mp4", "car/b.mp4", "bus/c.mp4")
    assert read_class_folders(classes, 1, tmp_path / "cache").classes == ["bus", "car", "train"]
    either = made(tmp_path / "either", "train/s1/a.mp4", "car/s1/b.mp4")
    with pytest.raises(FameError, match=r"is .*/train a split or a class\? car lies beside it; rename it, or say the splits in"):
        read_class_folders(either, 1, tmp_path / "cache")
    for nothing in (tmp_path / "cache", made(tmp_path / "no classes", "train/a.mp4", "test/b.mp4")):
        with pytest.raises(FameError, match=r"no video in .*CLASS"):
            read_class_folders(nothing, 1, tmp_path / "cache")


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (
            ["train/a/1.mp4", "train/b/2.mp4", "test/a/3.mp4", "extra/a/4.mp4", "5.mp4"],
            "2 videos .* they lie in no class folder .*: 5",
        ),
        (
            ["videos/a/1.mp4", "videos/b/2.mp4"],
            r"has one class, videos, so there is nothing to tell apart: is .*/videos the data set",
        ),
        (["a/1.mp4", "a/2.mp4"], "has one class, a, so there is nothing to tell apart$"),
        (["a/1.mp4", "b/2.mp4", "b/3.movie"], r"1 videos on disk are left out: videos of such a name are not read \(first: b/3"),
    ],
)
def test_what_is_odd_about_a_folder_is_told(paths: list[str], told: str, tmp_path: Path) -> None:
    (note,) = read_class_folders(made(tmp_path, *paths), 1, tmp_path / "cache").notes
    assert re.search(told, note)


def test_every_kind_of_video_is_read_and_what_a_system_leaves_is_no_class(tmp_path: Path) -> None:
    names = [f"{'ab'[index % 2]}/{index}{suffix}" for index, suffix in enumerate(SUFFIXES)]
    root = made(tmp_path / "set", *names, "a/notes.txt", "a/._1.mp4")
    for name in ("@eaDir", "$RECYCLE.BIN", "__MACOSX", ".trash", "System Volume Information"):
        put(root / name / "deep" / "1.mp4")
    (root / "loop").symlink_to(root)
    listing = read_class_folders(root, 1, tmp_path / "cache")
    assert sorted(entry.path for entry in listing.entries) == sorted(names) and not listing.notes


# ---------------------------------------------------------------- splits.csv


def test_a_list_of_splits_is_obeyed(tmp_path: Path) -> None:
    root = own(tmp_path / "set", 2)
    put(root / "walk" / unicodedata.normalize("NFC", "é.mp4"))
    lines = ["run/v_run_g00_c01.mp4,train", "./walk/v_walk_g00_c01.mp4,val", "run/v_run_g01_c01.mp4,test", "gone/x.mp4,train"]
    put(root / "splits.csv", "\n".join(["path,split", *lines, unicodedata.normalize("NFD", "walk/é.mp4,test")]))
    listing = read_class_folders(root, 1, tmp_path / "cache")
    assert listing.classes == ["gone", "run", "walk"] and listing.missing == ["gone/x.mp4"]
    assert listing.entries == [
        Entry("run/v_run_g00_c01.mp4", 1, "train"),
        Entry("walk/v_walk_g00_c01.mp4", 2, "val"),
        Entry("run/v_run_g01_c01.mp4", 1, "test"),
        Entry(unicodedata.normalize("NFC", "walk/é.mp4"), 2, "test"),
    ]
    assert listing.notes == ["5 videos on disk are left out: splits.csv does not name them (first: run/v_run_g00_c02.mp4)"]
    assert not (tmp_path / "cache").exists()


def test_a_list_may_name_the_classes_and_leave_validation_to_us(tmp_path: Path) -> None:
    root = tmp_path / "set"
    lines = [f'"a, {index}.mp4",{"jump" if index % 2 else "spin"},{"test" if index > 40 else "train"}' for index in range(44)]
    for index in range(44):
        put(root / f"a, {index}.mp4")
    put(root / "splits.csv", b"\xef\xbb\xbf" + "\r\n".join(["path,label,split", *lines]).encode())  # as spreadsheets write it
    listing = read_class_folders(root, 1, tmp_path)
    assert Counter(entry.split for entry in listing.entries) == {"train": 37, "val": 4, "test": 3}
    assert {(entry.path, listing.classes[entry.label]) for entry in listing.entries} >= {("a, 1.mp4", "jump"), ("a, 2.mp4", "spin")}
    put(root / "splits.toml", "val = 0\n")
    assert Counter(splits_of(root, tmp_path).values()) == {"train": 41, "test": 3}


def test_split_folders_before_the_class_are_passed_over_and_names_may_break_lines(tmp_path: Path) -> None:
    made(tmp_path, "Train/run/a.mp4", "test/run/b\nc.mp4")
    put(tmp_path / "splits.csv", 'path,split\nTrain/run/a.mp4,train\n"test/run/b\nc.mp4",val\n')
    listing = read_class_folders(tmp_path, 1, tmp_path)
    assert listing.classes == ["run"] and not listing.missing


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run/a.mp4,train\n", "splits.csv begins with run/a.mp4,train; its first line is path,split or path,label,split"),
        ("path,split\nrun/a.mp4,training\n", "line 2 of .* has the split 'training'"),
        ("path,split\nrun/a.mp4\n", "line 2 of .* has the split ''"),
        ("path,split\nrun/a.mp4,train\n\nrun/a.mp4,test\n", "line 4 of .* lists run/a.mp4 a second time"),
        ("path,split\na.mp4,train\n", "'a.mp4' lies in no class folder; add a column label"),
        ("path,label,split\na.mp4,,train\n", "has no label for a.mp4"),
        ("path,split\n../run/a.mp4,train\n", "stay in it"),
        ("path,split\nrun/b.mp4,train\n", "none of the 1 videos"),
        ("path,split\n", "none of the 0 videos"),
        ('path,split\n"' + "x" * 140_000, "line 2 of .*splits.csv is not csv"),
        ("path,split\nrun\\a.mp4,train\n", "lies in no class folder"),
    ],
)
def test_a_bad_list_is_named(text: str, told: str, tmp_path: Path) -> None:
    put(made(tmp_path, "run/a.mp4") / "splits.csv", text)
    with pytest.raises(FameError, match=told):
        read_class_folders(tmp_path, 1, tmp_path)


# ---------------------------------------------------------------- splits made here


def test_plain_folders_are_split_by_group_and_the_split_is_kept(tmp_path: Path) -> None:
    root = own(tmp_path / "set")
    first = read_class_folders(root, 1, tmp_path / "cache")
    assert first.classes == ["run", "walk"] and counts(first) == {"train": 28, "val": 4, "test": 8}
    assert len({(group_of(e.path), e.split) for e in first.entries}) == 20  # no group in two splits
    (file,) = (tmp_path / "cache").glob("split-*-fold1.json")
    assert json.loads(file.read_text()) == {group_of(e.path): e.split for e in first.entries}
    for g in range(10, 15):  # more videos move no old one
        put(root / "run" / f"v_run_g{g:02d}_c01.mp4")
    second = splits_of(root, tmp_path / "cache")
    assert all(second[e.path] == e.split for e in first.entries)
    assert sum(split == "test" for split in second.values()) == 9


@pytest.mark.parametrize("text", ['{"run/3.mp4": "training"}', '{"run/3.mp4": ["train"]}', "[]"])
def test_an_edited_split_file_is_obeyed_and_a_bad_one_named(text: str, tmp_path: Path) -> None:
    root = made(tmp_path / "set", *(f"run/{index}.mp4" for index in range(10)))
    splits_of(root, tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("split-*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"run/3.mp4": "val"}))
    assert splits_of(root, tmp_path / "cache")["run/3.mp4"] == "val"
    file.write_text(text)
    with pytest.raises(FameError, match=rf"^{file}: a split file maps groups to train, val or test"):
        splits_of(root, tmp_path / "cache")
    file.write_text("{")
    with pytest.raises(FameError, match="the split cannot be read"):
        splits_of(root, tmp_path / "cache")


# ---------------------------------------------------------------- splits.toml


def test_without_a_rule_the_split_is_the_one_by_group(tmp_path: Path) -> None:
    root = own(tmp_path / "set")
    before = splits_of(root, tmp_path / "cache")
    put(root / "splits.toml", 'by = "group"\ntest = 0.2\nval = 0.1\n')
    assert splits_of(root, tmp_path / "cache") == before
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the same file: the rule is the default


def test_by_class_and_by_seed_count_videos(tmp_path: Path) -> None:
    root = own(tmp_path / "set")
    for index in range(20):
        put(root / "run" / f"more{index}.mp4")  # 40 of run, 20 of walk
    put(root / "splits.toml", 'by = "class"\ntest = 0.25\nval = 0.15\n')
    split = splits_of(root, tmp_path / "cache")
    assert Counter((path.split("/")[0], split) for path, split in split.items()) == {
        ("run", "test"): 10, ("run", "val"): 6, ("run", "train"): 24,
        ("walk", "test"): 5, ("walk", "val"): 3, ("walk", "train"): 12,
    }  # fmt: skip
    assert len({(group_of(path), split) for path, split in split.items()}) > len({group_of(path) for path in split})  # groups cut
    put(root / "splits.toml", 'by = "seed"\ntest = 0.25\nval = 0.15\nseed = 3\n')
    drawn = splits_of(root, tmp_path / "cache")
    assert Counter(drawn.values()) == {"train": 36, "test": 15, "val": 9}
    put(root / "splits.toml", 'by = "seed"\ntest = 0.25\nval = 0.15\nseed = 4\n')
    assert Counter(splits_of(root, tmp_path / "cache").values()) == Counter(drawn.values())
    assert splits_of(root, tmp_path / "cache") != drawn
    assert len(list((tmp_path / "cache").iterdir())) == 3  # each rule has its own file


def test_groups_by_a_pattern(tmp_path: Path) -> None:
    """Two cameras' views of one performance stay together, in whatever class they are filed."""
    root = own(tmp_path / "set", 20, "{n}_tape{g:02d}.mp4")
    put(root / "splits.toml", 'group = "_(tape[0-9]+)"\n')
    split = splits_of(root, tmp_path / "cache")
    assert len({(path[-10:], split) for path, split in split.items()}) == 20
    assert Counter(split.values()) == {"train": 56, "test": 16, "val": 8}
    (file,) = (tmp_path / "cache").iterdir()
    assert set(json.loads(file.read_text())) == {f"tape{index:02d}" for index in range(20)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("by group", "splits.toml is not TOML"),
        ('by = "person"', "by is 'person': .*'group', 'class' or 'seed'"),
        ("test = 20", "test is 20: .*less than 1"),
        ('val = "0.1"', "val is '0.1': .*valid number"),
        ("val = true", "val is True: .*valid number"),
        ("test = 0.5\nval = 0.5", "test and val are 1 together"),
        ("seed = 0.5", "seed is 0.5: .*valid integer"),
        ('group = "("', "no regular expression"),
        ('group = "tape"', "no parenthesis"),
        ('by = "class"\ngroup = "(a)"', 'group goes with by = "group"'),
        ("folds = 3", "splits.toml sets folds; what may be set here is by, group, test, val, seed"),
    ],
)
def test_a_bad_rule_is_named(text: str, told: str, tmp_path: Path) -> None:
    put(tmp_path / "run/a.mp4")
    put(tmp_path / "splits.toml", text)
    with pytest.raises(FameError, match=told) as caught:
        read_class_folders(tmp_path, 1, tmp_path)
    assert "\n" not in str(caught.value)


def test_where_splits_are_given_a_rule_only_holds_out(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for index in range(20):
        put(root / "train/run" / f"{index}.mp4")
    put(root / "test/run/x.mp4")
    put(root / "splits.toml", "val = 0.25\nseed = 5\n")
    first = splits_of(root, tmp_path)
    assert Counter(first.values()) == {"train": 15, "val": 5, "test": 1}
    put(root / "splits.toml", "val = 0.25\nseed = 6\n")
    assert splits_of(root, tmp_path) != first
    put(root / "splits.toml", "test = 0.25\n")
    with pytest.raises(FameError, match="sets test; what may be set here is group, val, seed"):
        read_class_folders(root, 1, tmp_path)


# ---------------------------------------------------------------- properties


videos = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 99), st.sampled_from(["train", "test"])),
    min_size=1,
    max_size=120,
    unique_by=lambda video: video[:3],
).map(lambda rows: [Entry(f"c{c}/s{s}_{n}", c, split) for c, s, n, split in rows])


def source(path: str) -> str:
    return path.split("/")[1].split("_")[0]


@settings(deadline=None)
@given(entries=videos, fold=st.integers(1, 3), share=st.floats(0, 0.5), most=st.floats(0, 0.6))
def test_sources_are_held_out_whole_and_within_bounds(entries: list[Entry], fold: int, share: float, most: float) -> None:
    out = hold_out_sources(entries, fold, source, share, most)
    assert [entry._replace(split="") for entry in out] == [entry._replace(split="") for entry in entries]
    assert all(new.split == old.split or (old.split, new.split) == ("train", "val") for old, new in zip(entries, out, strict=True))
    where = {split: {source(entry.path) for entry in out if entry.split == split} for split in ("train", "val")}
    assert not where["train"] & where["val"]
    listed = Counter(entry.label for entry in entries if entry.split == "train")
    held = Counter(entry.label for entry in out if entry.split == "val")
    assert held.total() <= int(share * listed.total() + 0.5)
    assert all(held[label] < count and held[label] <= max(1, most * count + 1e-6) for label, count in listed.items())
    assert {e.path: e.split for e in hold_out_sources(reversed(entries), fold, source, share, most)} == {
        e.path: e.split for e in out
    }


@settings(deadline=None)
@given(entries=videos, fold=st.integers(1, 3), share=st.floats(0, 0.9))
def test_groups_are_never_in_train_and_val(entries: list[Entry], fold: int, share: float) -> None:
    out = hold_out_groups(entries, fold, source, share)
    where = {split: {source(entry.path) for entry in out if entry.split == split} for split in ("train", "val")}
    assert not where["train"] & where["val"]
    assert [e for e in out if e.split == "test"] == [e for e in entries if e.split == "test"]


@settings(deadline=None, max_examples=40)
@given(entries=videos, later=videos, by=st.sampled_from(["group", "class", "seed"]), seed=st.none() | st.integers(-9, 9))
def test_a_split_that_was_made_stays_when_videos_are_added(
    entries: list[Entry], later: list[Entry], by: str, seed: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("kept") / "split.json"
    rule = Rule(by=by, seed=seed, group="/(s[0-9]+)_" if by == "group" else None)  # type: ignore[arg-type]
    first = split_by_rule(entries, 1, rule, file)
    grown = split_by_rule([*entries, *(entry for entry in later if entry.path not in {e.path for e in entries})], 1, rule, file)
    assert grown[: len(first)] == first
    units = {(rule.unit()(entry.path), entry.split) for entry in grown}
    assert len(units) == len({unit for unit, _ in units})  # a unit is in one split


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.integers(1, 3))
def test_a_place_by_hash_is_a_number_from_0_to_1_and_a_fixed_one(names: list[str], fold: int) -> None:
    places = [place_by_hash(name, fold) for name in names]
    assert all(0 <= place < 1 for place in places) and places == [place_by_hash(name, fold) for name in names]
    assert len(set(places)) == len(names)


def test_places_are_uniform() -> None:
    below = sum(place_by_hash(f"video{index}", 1) < 0.1 for index in range(5000))
    assert 420 < below < 580  # 500 +- 3.8 standard deviations of a binomial
