"""Controls of the mask: exact areas and right shapes; aligned with the crops, paired with FAME and with the baseline."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fame import foreground_mask
from fame.config import Augment, Merge, Optim
from fame.errors import FameError
from fame.method.controls import CONTROLS, Controlled, blobs, dilated
from fame.method.inpainting import inpainted
from fame.method.masks import kept_pixels
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, fake_run
from tests.small import config, drawn, noise, seeded


@settings(max_examples=40, deadline=None)
@given(height=st.integers(16, 24), width=st.integers(16, 24), beta=st.floats(0.01, 1), seed=st.integers(0, 999))
def test_dilation_has_the_exact_area_and_takes_the_nearest(height, width, beta, seed):
    figure = torch.rand(2, height, width, generator=seeded(seed)) < 0.05
    count = max(1, int(beta * height * width))
    mask = dilated(figure, count)
    place = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    for one, own in zip(mask, figure, strict=True):
        if not own.any():
            assert one.sum() == count
        elif own.sum() >= count:
            assert torch.equal(one, own)  # stays whole
        else:
            assert one.sum() == count and (one | ~own).all()
            pairs = (place[:, None] - place[own.flatten()]).square().sum(-1)
            distance = pairs.amin(1).view(height, width)  # squared, to the nearest pixel of the figure
            assert one.all() or distance[one].max() <= distance[~one].min()


@settings(max_examples=20, deadline=None)
@given(height=st.integers(16, 40), width=st.integers(16, 40), beta=st.floats(0.05, 1), seed=st.integers(0, 999))
def test_blobs_have_the_exact_area(height, width, beta, seed):
    count = max(1, int(beta * height * width))
    mask = blobs(3, height, width, count, seeded(seed))
    assert mask.shape == (3, height, width) and (mask.flatten(1).sum(1) == count).all()
    assert torch.equal(mask, blobs(3, height, width, count, seeded(seed)))


def test_blobs_are_shapes_and_lie_anywhere():
    mask = blobs(400, 32, 32, 512, seeded()).float()
    edges = (mask.diff(dim=1).abs().mean() + mask.diff(dim=2).abs().mean()).item()
    assert edges < 0.2  # scattered pixels would have 1
    assert (mask.mean(0) - 0.5).abs().max() < 0.15  # standard error .025; a place that blobs cling to would stand out
    assert len({tuple(one.flatten().tolist()) for one in mask}) == 400


def test_another_clips_mask_is_fames_and_never_its_own():
    clips = noise(5, 4, 32)
    own = foreground_mask(clips, beta=0.3).bool()
    for seed in range(10):
        mask = Controlled(Merge(variant="other", beta=0.3), seeded(seed)).mask(clips, None)
        assert mask is not None
        lent = [next(j for j in range(5) if torch.equal(mask[i], own[j])) for i in range(5)]
        assert sorted(lent) == list(range(5)) and all(i != j for i, j in enumerate(lent))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), side=st.integers(16, 40))
def test_an_emptied_scene_holds_no_figure_and_is_the_scene_elsewhere(seed, side):
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


PLAIN = Augment(area=(0.5, 1.0), flip=0.5, grayscale=0, jitter=0, blur=0, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.mark.parametrize("variant", CONTROLS)
def test_controls_are_paired_with_fame_and_with_the_baseline(tmp_path, variant):
    """Crops, colours and backgrounds are FAME's: each pixel of the merged view is the baseline's or the one FAME pastes there."""
    how = {"augment": PLAIN}
    base0, base1 = drawn(tmp_path, **how)
    view0, view1 = drawn(tmp_path, merge=Merge(variant=variant), **how)
    fame0, _ = drawn(tmp_path, merge=Merge(), **how)
    assert torch.equal(view1, base1) and not torch.equal(view0, base0) and not torch.equal(view0, fame0)
    pasted = fame0 != base0
    both = pasted & (view0 != base0)
    assert both.any() and torch.equal(view0[both], fame0[both])
    twice0, twice1 = drawn(tmp_path, merge=Merge(variant=variant, views="both"), **how)
    assert not torch.equal(twice1, base1) and twice0.shape == view0.shape


@pytest.fixture
def masks(monkeypatch) -> list[torch.Tensor]:
    """The masks that controls give while views are made."""
    found = []
    mask_of = Controlled.mask
    monkeypatch.setattr(Controlled, "mask", lambda *given: found.append(mask_of(*given)) or found[-1])
    return found


def yellow(clips: torch.Tensor) -> torch.Tensor:
    """Where the figures of FakeVideos are, bool (B, T, H, W)."""
    return (clips[:, 0] > 0.8) & (clips[:, 1] > 0.75) & (clips[:, 2] < 0.35)


@pytest.mark.parametrize("background", ["inter", "intra", "still"])
def test_the_true_mask_keeps_the_figure_and_nothing_else(tmp_path, masks, background):
    merge = Merge(variant="true", background=background)
    base0, _ = drawn(tmp_path, augment=PLAIN)
    view0, _ = drawn(tmp_path, augment=PLAIN, merge=merge)
    kept = masks[-1][:, None, None].expand_as(base0)
    assert torch.equal(view0[kept], base0[kept])
    assert yellow(base0).any() and (masks[-1][:, None] | ~yellow(base0)).all()
    assert masks[-1].float().mean() < 0.5  # and not the whole frame


@pytest.mark.parametrize("variant", ["fame", "true"])
def test_an_empty_background_is_the_same_clips_without_its_figure(tmp_path, variant):
    """Paired with the moving background: where the view is not the clip's own, it is what is pasted there, less the figure."""
    base0, base1 = drawn(tmp_path, augment=PLAIN)
    moving, _ = drawn(tmp_path, augment=PLAIN, merge=Merge(variant=variant))
    empty, view1 = drawn(tmp_path, augment=PLAIN, merge=Merge(variant=variant, background="empty"))
    assert torch.equal(view1, base1)
    same = (moving == empty).all(1)
    assert 0.5 < same.float().mean() < 1, "only about the other figure, and only behind the mask"
    own = yellow(base0)
    assert own.any() and not (yellow(empty) & ~own).any(), "no figure but the clip's own"
    assert (yellow(moving) & ~own).any()


def test_a_background_filled_elsewhere_is_filled_by_another_clips_mask():
    clips = noise(5, 4, 32)
    filled = Controlled(Merge(beta=0.3, background="elsewhere"), seeded()).behind(clips, None)
    masks = kept_pixels(clips, "fame", 0.3, "paper")
    lent = []
    for clip, found in zip(clips, filled, strict=True):
        by_mask = inpainted(clip.expand(5, -1, -1, -1, -1), masks)  # this clip, filled by each mask
        lent += [row for row, one in enumerate(by_mask) if torch.allclose(one, found, atol=1e-5)]
    assert sorted(lent) == list(range(5)) and all(other != row for row, other in enumerate(lent))


def test_videos_without_true_masks_are_named(tmp_path, monkeypatch):
    videos = FakeVideos(classes=2, per_class=6, frames=8, size=24, counterfactual=False)
    monkeypatch.setattr(videos, "true_masks", lambda *given: None)
    for variant in ("true", "dilated"):
        with pytest.raises(FameError, match=f"mask '{variant}' is a control that needs the true figure"):
            pretrain(config(merge=Merge(variant=variant)), fake_run(tmp_path / variant, videos))
    with pytest.raises(FameError, match="background 'empty' is a control that needs the true figure"):
        pretrain(config(merge=Merge(background="empty")), fake_run(tmp_path / "empty", videos))
    for variant in ("other", "blob"):
        pretrain(config(merge=Merge(variant=variant), optim=Optim(batch=6, epochs=1)), fake_run(tmp_path / variant, videos))
