"""How splits are made: by group, class or seed, kept on disk; groups are never divided."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.data.layouts import Entry
from fame.data.layouts.folder import read_class_folders, split_by_rule
from fame.data.layouts.splits import Rule, group_of, hold_out_groups, hold_out_sources
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


def made(root: Path, *paths: str) -> Path:
    for path in paths:
        put(root / path)
    return root


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
        ('val = "0.1"', "val is '0.1': it must be a number"),
        ("val = true", "val is True: it must be a number"),
        ("test = 0.5\nval = 0.5", "test and val are 1 together"),
        ("seed = 0.5", "seed is 0.5: it must be a whole number"),
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


@pytest.mark.parametrize(("groups", "held"), [(1, 0), (4, 0), (5, 1), (14, 1), (18, 2)])
def test_validation_groups_only_where_there_are_enough(groups: int, held: int) -> None:
    entries = [Entry(f"UCF-101/Diving/v_Diving_g{g:02d}_c{c:02d}.avi", 0, "train") for g in range(groups) for c in (1, 2, 3)]
    out = hold_out_groups(entries, 1)
    assert sum(e.split == "val" for e in out) == 3 * held
    assert [e.path for e in out] == [e.path for e in entries]


def test_the_choice_of_groups_is_fixed_and_differs_by_fold() -> None:
    entries = [Entry(f"UCF-101/Diving/v_Diving_g{g:02d}_c01.avi", 0, "train") for g in range(18)]
    chosen = {fold: [group_of(e.path) for e in hold_out_groups(entries, fold) if e.split == "val"] for fold in (1, 2, 3)}
    assert chosen[1] == ["Diving/g01", "Diving/g06"]
    assert len({tuple(groups) for groups in chosen.values()}) == 3


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
