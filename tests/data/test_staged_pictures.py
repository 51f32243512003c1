"""The embedded benchmark's pictures: performances, masks, figures, backdrops, and what a codec keeps of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fame.config import StagedData
from fame.data.manifest import Manifest
from fame.data.staged import videos as staged
from fame.data.staged.actions import ACTIONS, Manner
from fame.data.staged.figure import capsules
from fame.data.staged.plan import plan
from fame.data.staged.render import read_masks, render_performance
from fame.data.staged.scene import CLOTHES, FAMILIES, backdrop, palette
from fame.data.video import decode
from fame.seeds import Seeds
from tests.data.test_staged import CONDITIONS, part_a, rendered_part, world  # noqa: F401 (a fixture)


def test_conditions_are_identical_on_the_figure_before_coding() -> None:
    videos = [v for v in plan(part_a(), Seeds(1000)) if v.performance == "test00003"]
    rendering = render_performance([v.recipe for v in videos], world())
    made = {recipe.condition: (frames, mask) for recipe, frames, mask in rendering}
    mask = made["own"][1]
    inner = np.all([np.roll(mask, shift, (1, 2)) for shift in itertools.product((-1, 0, 1), repeat=2)], axis=0)
    assert inner.any()
    for condition in ("deranged", "neutral", "figure_only"):
        assert np.array_equal(made[condition][0][inner], made["own"][0][inner])
        assert np.array_equal(made[condition][1], mask)
    assert not np.array_equal(made["scene_only"][0][inner], made["own"][0][inner])


def test_masks_are_where_the_figure_is() -> None:
    """Own scene minus scene only, without noise, differs inside the mask and nowhere far from it."""
    look = world(noise=0.0)
    videos = [v for v in plan(part_a(), Seeds(1000)) if v.split in ("test", "test/scene_only")]
    by_motion = itertools.groupby(sorted(videos, key=lambda v: v.recipe.motion), key=lambda v: v.recipe.motion)
    for _, group in by_motion:
        made = {r.condition: (frames, mask) for r, frames, mask in render_performance([v.recipe for v in group], look)}
        changed = np.abs(made["own"][0].astype(int) - made["scene_only"][0]).sum(axis=-1) > 12
        mask = made["own"][1]
        near = mask | np.roll(mask, 1, 1) | np.roll(mask, -1, 1) | np.roll(mask, 1, 2) | np.roll(mask, -1, 2)
        assert changed[mask].mean() > 0.99
        assert not changed[~near].any()
        assert 0.02 < mask.mean() < 0.25 and mask.any(axis=(1, 2)).all()


def test_decoding_keeps_the_figure_where_the_mask_says(rendered: Manifest) -> None:
    video = next(video for video in rendered.videos if video.split == "test/figure_only")
    frames = decode(rendered.root / video.path).astype(int)
    mask = read_masks(rendered.root / video.tags["mask"], 48)
    assert frames.shape == (video.frames, video.height, video.width, 3)
    seen = np.abs(frames - 128).max(axis=-1) > 40
    assert (seen & mask).sum() / (seen | mask).sum() > 0.8


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_moves_and_repeats(action: str) -> None:
    rng = np.random.default_rng(5)
    manner = Manner.draw(rng)
    manner = Manner(**{**manner.__dict__, "period": 10.0})
    points = capsules(action, manner, 31)
    assert np.isfinite(points).all()
    travel = np.ptp(points, axis=0).max()
    assert travel > 0.1, "a tenth of the figure's height at least"
    assert np.abs(points[0] - points[10]).max() < 0.06, "the same after a period, but for the idle sway"


def test_backdrops_have_few_colours_and_identify_their_video() -> None:
    pictures = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        colours = palette(rng, CLOTHES, None, world())
        assert len(colours) == 4
        picture = backdrop(seed % len(FAMILIES), 48, 9, colours, rng)
        exact = (np.abs(picture[:, :, None] - colours).max(axis=-1) < 1e-4).any(axis=-1)
        assert exact.mean() > 0.5, "most pixels show a colour of the palette, the others are edges between two"
        pictures.append(picture)
    for one, other in itertools.combinations(pictures, 2):
        assert np.abs(one - other).mean() > 0.1


def test_likeness_dresses_the_scene_in_the_figures_colours() -> None:
    apart = palette(np.random.default_rng(1), CLOTHES, None, world())
    alike = palette(np.random.default_rng(1), CLOTHES, None, world(likeness=1.0))
    assert np.linalg.norm(apart[:, None] - CLOTHES, axis=-1).min() > 0.15
    assert np.linalg.norm(alike[:, None] - CLOTHES, axis=-1).min(axis=1).max() < 1e-6


def test_switches_change_what_they_say() -> None:
    recipes = [video.recipe for video in plan(part_a(), Seeds(1000))[:2]]

    def frames(**look: Any) -> list[np.ndarray]:
        values = world(noise=0.0, **look)
        return [next(render_performance([recipe], values))[1] for recipe in recipes]

    still, moving = frames(), frames(camera=0.5)
    corner = (slice(None), slice(0, 8), slice(0, 8))
    assert np.ptp(still[0][corner].astype(int), axis=0).max() <= 120  # at most a limb
    assert np.abs(np.diff(moving[0].astype(int), axis=0)).mean() > 2 * np.abs(np.diff(still[0].astype(int), axis=0)).mean()
    dressed = frames(clothes="varied")
    assert not np.array_equal(dressed[0], still[0]) and not np.array_equal(dressed[1], still[1])


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "ffv1"])
def test_every_codec_can_be_read_back(codec: str, tmp_path: Path) -> None:
    data = StagedData(part="B", world=world(train=8, val=4, test=4, codec=codec))
    manifest = staged.render(data, Seeds(1000), tmp_path)
    video = manifest.videos[0]
    expected = next(render_performance([plan(data, Seeds(1000))[0].recipe], data.world))[1]
    found = decode(manifest.root / video.path)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < (1 if codec == "ffv1" else 15)
