"""Anybody's own videos: a list of splits, splits by group, class or seed, kept on disk; groups are never divided."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.data.layouts import Entry, group_of, hold_out_groups, hold_out_sources, read_class_folders
from fame.data.layouts.folder import _split
from fame.data.layouts.groups import place_by_hash
from fame.data.layouts.rule import Rule
from fame.errors import FameError
from tests.miniatures import put


def own(root: Path, groups: int = 10, name: str = "v_{c}_g{g:02d}_c{n:02d}.mp4") -> Path:
    """Two classes of `groups` groups of two videos."""
    for c in ("run", "walk"):
        for g in range(groups):
            for n in (1, 2):
                put(root / c / name.format(c=c, g=g, n=n))
    return root


def splits_of(root: Path, cache: Path, fold: int = 1) -> dict[str, str]:
    return {entry.path: entry.split for entry in read_class_folders(root, fold, cache).entries}


# ---------------------------------------------------------------- splits.csv


def test_a_list_of_splits_is_obeyed(tmp_path: Path) -> None:
    root = own(tmp_path / "set", 2)
    put(
        root / "splits.csv",
        "path,split\nrun/v_run_g00_c01.mp4,train\nwalk/v_walk_g00_c01.mp4,val\nrun/v_run_g01_c01.mp4,test\nrun/gone.mp4,train\n",
    )
    listing = read_class_folders(root, 1, tmp_path / "cache")
    assert listing.classes == ["run", "walk"] and listing.missing == ["run/gone.mp4"]
    assert listing.entries == [
        Entry("run/v_run_g00_c01.mp4", 0, "train"),
        Entry("walk/v_walk_g00_c01.mp4", 1, "val"),
        Entry("run/v_run_g01_c01.mp4", 0, "test"),
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


def test_split_folders_before_the_class_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "train/run/a.mp4")
    put(tmp_path / "test/run/b.mp4")
    put(tmp_path / "splits.csv", "path,split\ntrain/run/a.mp4,train\ntest/run/b.mp4,val\n")
    assert read_class_folders(tmp_path, 1, tmp_path).classes == ["run"]


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
    ],
)
def test_a_bad_list_is_named(text: str, told: str, tmp_path: Path) -> None:
    put(tmp_path / "run/a.mp4")
    put(tmp_path / "splits.csv", text)
    with pytest.raises(FameError, match=told):
        read_class_folders(tmp_path, 1, tmp_path)


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
        ('by = "person"', "by is 'person'; it may be group, class, seed"),
        ("test = 20", "test is 20, which is no share"),
        ('val = "0.1"', "val is '0.1', which is no share"),
        ("val = true", "val is True, which is no share"),
        ("test = 0.5\nval = 0.5", "test and val are 1 together"),
        ("seed = 0.5", "seed is 0.5, which is no whole number"),
        ('group = "("', "which is no regular expression"),
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
    first = _split(entries, 1, rule, file)
    grown = _split([*entries, *(entry for entry in later if entry.path not in {e.path for e in entries})], 1, rule, file)
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
