"""Controls of the mask: dilated figures, blobs, another clip's mask, emptied scenes; exact areas and right shapes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fame import ForegroundBackgroundMerge, foreground_mask
from fame.config import Merge
from fame.method.controls import Controlled, blobs, dilated, squared_distance
from fame.method.inpainting import inpainted

torch.set_num_threads(1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(batch: int = 3, frames: int = 3, side: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, frames, side, side, generator=seeded(seed))


def figures(batch: int, height: int, width: int, seed: int, share: float = 0.05) -> torch.Tensor:
    return torch.rand(batch, height, width, generator=seeded(seed)) < share


# ---------------------------------------------------------------- shapes of controls


@settings(max_examples=40, deadline=None)
@given(height=st.integers(16, 24), width=st.integers(16, 24), beta=st.floats(0.01, 1), seed=st.integers(0, 999))
def test_dilation_has_the_exact_area_and_takes_the_nearest(height, width, beta, seed) -> None:
    figure = figures(2, height, width, seed)
    count = max(1, int(beta * height * width))
    mask = dilated(figure, count)
    for one, own in zip(mask, figure, strict=True):
        if not own.any():
            assert one.sum() == count
        elif own.sum() >= count:
            assert torch.equal(one, own)  # stays whole
        else:
            assert one.sum() == count and (one | ~own).all()
            distance = squared_distance(own[None])[0]
            assert distance[one].max() <= (distance[~one].min() if not one.all() else torch.inf)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 999))
def test_distances_are_those_of_every_pair_of_pixels(height, width, seed) -> None:
    figure = figures(1, height, width, seed, 0.3)
    figure[0, seed % height, seed % width] = True
    place = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), -1).view(-1, 2).float()
    pairs = (place[:, None] - place[None]).square().sum(-1)
    expected = pairs[:, figure.flatten()].amin(1).view(height, width)
    assert torch.equal(squared_distance(figure)[0], expected)


def test_a_frame_without_figure_is_kept_about_its_centre() -> None:
    mask = dilated(torch.zeros(1, 17, 17, dtype=torch.bool), 9)[0]
    assert mask.sum() == 9 and mask[7:10, 7:10].sum() >= 5 and mask[8, 8]


@settings(max_examples=20, deadline=None)
@given(height=st.integers(16, 40), width=st.integers(16, 40), beta=st.floats(0.05, 1), seed=st.integers(0, 999))
def test_blobs_have_the_exact_area(height, width, beta, seed) -> None:
    count = max(1, int(beta * height * width))
    mask = blobs(3, height, width, count, seeded(seed))
    assert mask.shape == (3, height, width) and (mask.flatten(1).sum(1) == count).all()
    assert torch.equal(mask, blobs(3, height, width, count, seeded(seed)))


def test_blobs_are_shapes_and_lie_anywhere() -> None:
    mask = blobs(400, 32, 32, 512, seeded()).float()
    edges = (mask.diff(dim=1).abs().mean() + mask.diff(dim=2).abs().mean()).item()
    assert edges < 0.2  # scattered pixels would have 1
    assert (mask.mean(0) - 0.5).abs().max() < 0.15  # standard error .025; a place that blobs cling to would stand out
    assert len({tuple(one.flatten().tolist()) for one in mask}) == 400


def test_another_clips_mask_is_fames_and_never_its_own() -> None:
    clips = noise(5, 4, 32)
    own = foreground_mask(clips, beta=0.3).bool()
    for seed in range(10):
        mask = Controlled(Merge(variant="other", beta=0.3), seeded(seed)).mask(clips, None)
        assert mask is not None
        lent = [next(j for j in range(5) if torch.equal(mask[i], own[j])) for i in range(5)]
        assert sorted(lent) == list(range(5)) and all(i != j for i, j in enumerate(lent))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), side=st.integers(16, 40))
def test_an_emptied_scene_holds_no_figure_and_is_the_scene_elsewhere(seed, side) -> None:
    """A figure of another colour leaves no trace; away from its edge not a bit changes; a plain scene is whole again."""
    drawn = seeded(seed)
    figure = torch.zeros(2, side, side, dtype=torch.bool)
    for one in figure:
        y, x = torch.randint(0, side - 6, (2,), generator=drawn).tolist()
        one[y : y + 6, x : x + 6] = True
    scene = 0.2 + 0.3 * torch.rand(2, 3, 4, side, side, generator=drawn)
    clips = torch.where(figure[:, None, None], 1.0, scene)
    found = inpainted(clips, figure)
    edged = functional.max_pool2d(figures_as_floats := figure[:, None].float(), 3, 1, 1)[:, :, None].bool().expand_as(clips)
    assert figures_as_floats.any() and torch.equal(found[~edged], scene[~edged])
    assert found[edged].min() >= 0.2 - 1e-5 and found[edged].max() <= 0.5 + 1e-5
    plain = torch.full_like(scene, 0.4)
    assert torch.allclose(inpainted(torch.where(figure[:, None, None], 1.0, plain), figure), plain, atol=1e-5)
    everywhere = inpainted(clips, torch.ones_like(figure))
    assert torch.isfinite(everywhere).all() and torch.equal(inpainted(clips, torch.zeros_like(figure)), clips)


def test_backgrounds_are_drawn_from_what_is_given_behind() -> None:
    clips, other = noise(4, 2, 16), noise(4, 2, 16, seed=1)
    merge = ForegroundBackgroundMerge()
    mask = torch.zeros(4, 16, 16, dtype=torch.bool)
    pasted, usual = merge(clips, None, seeded(), mask=mask, behind=other), merge(clips, None, seeded(), mask=mask)
    rows = [next(j for j in range(4) if torch.equal(usual[i], clips[j])) for i in range(4)]
    assert torch.equal(pasted, other[rows]), "of the same rows as without it"
    with pytest.raises(ValueError, match=r"behind \(3, 3, 2, 16, 16\) must have the shape of clips"):
        merge(clips, behind=other[:3])
    with pytest.raises(ValueError, match="give one of them"):
        merge(clips, other, behind=other)


def test_methods_have_no_control() -> None:
    for merge in (None, Merge(), Merge(variant="grid")):
        controlled = Controlled(merge, seeded())
        assert not controlled.needs_truth and controlled.mask(noise(), None) is None and controlled.behind(noise(), None) is None
