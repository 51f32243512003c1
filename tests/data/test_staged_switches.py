"""Switches of the embedded benchmark's second version: shared backdrops, like figures, wandering."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from fame.data.staged import videos as staged
from fame.data.staged.actions import Manner
from fame.data.staged.plan import Planned, plan
from fame.data.staged.render import render_performance
from fame.seeds import Seeds
from tests.data.test_staged import part_a, world


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


def test_rooms_change_nothing_else() -> None:
    one, many = (plan(part_a(train=64, room=room), Seeds(1000)) for room in (1, 8))
    for a, b in zip(one, many, strict=True):
        assert (a.label, a.scene, a.performance, a.recipe.motion) == (b.label, b.scene, b.performance, b.recipe.motion)


def test_figures_alike_share_posture_and_size_and_keep_their_motion() -> None:
    drawn = [[Manner.draw(np.random.default_rng(seed), alike) for seed in range(8)] for alike in (0.0, 0.5, 1.0)]
    for name in ("scale", "shoulder", "elbow", "hip", "knee", "lean"):
        spreads = [np.ptp([getattr(manner, name) for manner in manners], axis=0).max() for manners in drawn]
        assert spreads[1] == pytest.approx(spreads[0] / 2)
        assert spreads[2] == 0
    for name in ("period", "phase", "amplitude", "rhythm", "mirror", "place", "idle", "stops"):
        free, _, same = ([getattr(manner, name) for manner in manners] for manners in drawn)
        assert free == same


def centre_of(wander: float, frames: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Where the figure's mask lies in each frame, (T, 2), and the mask, for an action that moves no limb far."""
    look = staged.look_of(world(frames=frames, wander=wander))
    video = next(v for v in plan(part_a(), Seeds(1000)) if v.recipe.action == "raise")
    _, _, mask = next(render_performance([video.recipe], look))
    ticks = np.arange(mask.shape[1])
    area = mask.sum((1, 2))
    return np.stack([(mask.sum(axis) * ticks).sum(1) / area for axis in (1, 2)], axis=1), mask


def test_a_wandering_figure_goes_about_smoothly_and_stays_in_the_frame() -> None:
    still, _ = centre_of(0.0)
    path, mask = centre_of(1.0)
    assert np.ptp(still, axis=0).max() < 4 < np.ptp(path, axis=0).max()
    assert np.abs(np.diff(path, axis=0)).max() < 5, "no leap, also where the stops begin again"
    assert np.allclose(path[0], still[0], atol=0.5)
    whole = centre_of(0.0)[1].sum((1, 2))
    assert (mask.sum((1, 2)) > 0.8 * whole).all(), "none of it leaves the frame"
