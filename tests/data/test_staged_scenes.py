"""Who acts where in the embedded benchmark: classes coupled to scenes, balanced and deranged; rooms and likeness."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest

from fame.config import StagedData
from fame.data.staged.actions import Manner
from fame.data.staged.plan import Planned, couple, plan
from fame.seeds import Seeds
from tests.data.test_staged import BASE, part_a, world


@pytest.mark.parametrize("rho", [0.125, 0.5, 0.95, 1.0])
def test_rho_is_the_share_of_each_class_in_its_own_scene(rho: float) -> None:
    videos = [v for v in plan(part_a(train=160, rho=rho, actions=BASE), Seeds(1003)) if v.split == "train"]
    for label in range(8):
        own = [video.scene_action == label for video in videos if video.label == label]
        assert len(own) == 20 and sum(own) == round(rho * 20)


def test_the_other_scenes_come_equally_often() -> None:
    videos = [v for v in plan(part_a(train=640, rho=0.125, actions=BASE), Seeds(1003)) if v.split == "train"]
    counts = Counter((video.label, video.scene_action) for video in videos)
    assert len(counts) == 64 and max(counts.values()) - min(counts.values()) <= 2


def test_the_balanced_split_is_balanced_disjoint_and_as_large() -> None:
    videos = plan(part_a(train=128, actions=BASE), Seeds(1004))
    split = {name: [video for video in videos if video.split == name] for name in ("train", "balanced", "val", "val/balanced")}
    assert len(split["train"]) == len(split["balanced"]) and len(split["val"]) == len(split["val/balanced"])
    assert set(Counter((video.label, video.scene) for video in split["balanced"]).values()) == {2}
    seen = [{(v.recipe.motion, v.recipe.scene) for v in videos} for videos in split.values()]
    assert not any(a & b for a, b in itertools.combinations(seen, 2))


def test_a_deranged_scene_is_never_its_own_nor_the_one_shown() -> None:
    for replicate in range(5):
        videos = plan(part_a(test=80, rho=0.5, actions=BASE), Seeds(replicate))
        own = {video.performance: video for video in videos if video.split == "test"}
        deranged = [video for video in videos if video.split == "test/deranged"]
        assert len(deranged) == len(own) == 80
        for video in deranged:
            assert video.scene_action != video.label
            assert video.scene != own[video.performance].scene
            assert video.recipe.scene != own[video.performance].recipe.scene  # palette and objects are new as well
        counts = Counter(video.scene for video in deranged)
        assert set(counts) == set(couple(BASE, Seeds(replicate))) and max(counts.values()) - min(counts.values()) <= 3


def test_parts_with_the_same_actions_share_the_coupling() -> None:
    for name in ("A", "source"):
        videos = plan(StagedData(part=name, world=world(rho=1.0)), Seeds(1000))  # type: ignore[arg-type]
        pairs = {(v.scene_action, v.scene) for v in videos if v.scene is not None}
        assert pairs == set(enumerate(couple(BASE[:4], Seeds(1000))))


def backdrops(videos: list[Planned], split: str) -> dict[int, Counter[int]]:
    """For each family of scenes, how many videos of the split have each backdrop."""
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for video in videos:
        if video.split == split:
            assert video.scene is not None
            found[video.scene][video.recipe.scene] += 1
    return found


@pytest.mark.parametrize("room", [1, 3, 100])
def test_a_room_is_shared_by_so_many_videos_of_a_family_and_by_no_others(room: int) -> None:
    families = backdrops(plan(part_a(train=64, room=room), Seeds(1000)), "train")
    for counts in families.values():
        sizes = sorted(counts.values(), reverse=True)
        assert all(size == room for size in sizes[:-1])
        assert sizes[-1] <= room
    rooms = [room for counts in families.values() for room in counts]
    assert len(rooms) == len(set(rooms))


def test_heads_are_trained_and_tested_before_backdrops_of_their_own() -> None:
    """A backdrop that several videos of split balanced or test shared would tell a head which videos they are."""
    videos = plan(part_a(train=64, room=100), Seeds(1000))
    for split in ("balanced", "test", "test/deranged"):
        assert all(set(counts.values()) == {1} for counts in backdrops(videos, split).values()), split


def test_figures_alike_share_posture_and_size_and_keep_their_motion() -> None:
    drawn = [[Manner.draw(np.random.default_rng(seed), alike) for seed in range(8)] for alike in (0.0, 0.5, 1.0)]
    for name in ("scale", "shoulder", "elbow", "hip", "knee", "lean"):
        spreads = [np.ptp([getattr(manner, name) for manner in manners], axis=0).max() for manners in drawn]
        assert spreads[1] == pytest.approx(spreads[0] / 2)
        assert spreads[2] == 0
    for name in ("period", "phase", "amplitude", "rhythm", "mirror", "place", "idle"):
        free, _, same = ([getattr(manner, name) for manner in manners] for manners in drawn)
        assert free == same
