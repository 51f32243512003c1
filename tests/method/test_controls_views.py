"""Controls within pretraining: aligned with the crops, paired with FAME and with the baseline, and needing true figures or not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config import Augment, Merge, Optim
from fame.errors import FameError
from fame.method.augment import random_crops
from fame.method.controls import CONTROLS, Controlled, cropped_truth
from fame.method.inpainting import inpainted
from fame.method.masks import kept_pixels
from fame.training.pretrain import pretrain
from tests.fakes import FakeVideos, fake_run
from tests.method.test_controls import seeded
from tests.small import VIDEOS, config, drawn

# ---------------------------------------------------------------- crops and streams

FIGURE = torch.tensor([255, 0, 0])


def painted(batch: int, side: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips uint8 (B, 2, side, side, 3) whose figure, a square that moves, is red on blue, and its mask."""
    places = torch.randint(0, side - 14, (batch, 2, 2), generator=seeded(seed))
    mask = torch.zeros(batch, 2, side, side, dtype=torch.bool)
    for clip in range(batch):
        for frame in range(2):
            y, x = places[clip, frame].tolist()
            mask[clip, frame, y : y + 14, x : x + 14] = True
    return torch.where(mask[..., None], FIGURE, torch.tensor([0, 0, 255])).to(torch.uint8), mask


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), flip=st.sampled_from([0.0, 0.5, 1.0]), side=st.integers(24, 48))
def test_the_mask_lies_where_the_figure_lies_after_crop_and_flip(seed, flip, side) -> None:
    raw, truth = painted(4, side, seed)
    augment = Augment(area=(0.2, 1.0), flip=flip)
    generator, state = seeded(seed), seeded(seed)
    clips = random_crops(raw, 24, augment, generator)
    assert torch.equal(cropped_truth(truth, 24, augment, state), (clips[:, 0] >= 0.5).any(1))


PLAIN = Augment(area=(0.5, 1.0), flip=0.5, grayscale=0, jitter=0, blur=0, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.mark.parametrize("variant", CONTROLS)
def test_controls_are_paired_with_fame_and_with_the_baseline(tmp_path, variant) -> None:
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


@pytest.mark.parametrize("background", ["inter", "intra", "still"])
def test_the_true_mask_keeps_the_figure_and_nothing_else(tmp_path, monkeypatch, background) -> None:
    masks = []
    mask_of = Controlled.mask
    monkeypatch.setattr(Controlled, "mask", lambda *given: masks.append(mask_of(*given)) or masks[-1])
    merge = Merge(variant="true", background=background)
    base0, _ = drawn(tmp_path, augment=PLAIN)
    view0, _ = drawn(tmp_path, augment=PLAIN, merge=merge)
    kept = masks[-1][:, None, None].expand_as(base0)
    assert torch.equal(view0[kept], base0[kept])
    yellow = (base0[:, 0] > 0.8) & (base0[:, 1] > 0.75) & (base0[:, 2] < 0.35)  # the figures of FakeVideos
    assert yellow.any() and (masks[-1][:, None] | ~yellow).all()
    assert masks[-1].float().mean() < 0.5  # and not the whole frame


@pytest.mark.parametrize("variant", ["fame", "true"])
def test_an_empty_background_is_the_same_clips_without_its_figure(tmp_path, variant) -> None:
    """Paired with the moving background: where the view is not the clip's own, it is what is pasted there, less the figure."""
    base0, base1 = drawn(tmp_path, augment=PLAIN)
    moving, _ = drawn(tmp_path, augment=PLAIN, merge=Merge(variant=variant))
    empty, view1 = drawn(tmp_path, augment=PLAIN, merge=Merge(variant=variant, background="empty"))
    assert torch.equal(view1, base1)
    same = (moving == empty).all(1)
    assert 0.5 < same.float().mean() < 1, "only about the other figure, and only behind the mask"
    yellow = (empty[:, 0] > 0.8) & (empty[:, 1] > 0.75) & (empty[:, 2] < 0.35)  # the figures of FakeVideos
    own = (base0[:, 0] > 0.8) & (base0[:, 1] > 0.75) & (base0[:, 2] < 0.35)
    assert own.any() and not (yellow & ~own).any(), "no figure but the clip's own"
    foreign = (moving[:, 0] > 0.8) & (moving[:, 1] > 0.75) & (moving[:, 2] < 0.35) & ~own
    assert foreign.any()


def test_a_background_filled_elsewhere_is_filled_by_another_clips_mask(tmp_path, monkeypatch) -> None:
    """Paired with FAME: its mask, its backgrounds. As much is filled as when each clip's own mask says where."""
    behind = []
    behind_of = Controlled.behind

    def noted(self, clips, truth):
        behind.append((clips, behind_of(self, clips, truth)))
        return behind[-1][1]

    monkeypatch.setattr(Controlled, "behind", noted)
    base0, base1 = drawn(tmp_path, augment=PLAIN)
    moving, _ = drawn(tmp_path, augment=PLAIN, merge=Merge(beta=0.3))
    behind.clear()
    view0, view1 = drawn(tmp_path, augment=PLAIN, merge=Merge(beta=0.3, background="elsewhere"))
    assert torch.equal(view1, base1)
    clips, filled = behind[-1]
    masks = kept_pixels(clips, "fame", 0.3, "paper") >= 0.5
    lent = []
    for row in range(len(clips)):
        by_mask = inpainted(clips[[row] * len(clips)], masks)  # this clip, filled by each mask
        (found,) = [other for other, one in enumerate(by_mask) if torch.allclose(one, filled[row], atol=1e-5)]
        lent.append(found)
    assert sorted(lent) == list(range(len(clips))) and all(other != row for row, other in enumerate(lent))
    kept = masks[:, None, None].expand_as(base0)
    assert torch.equal(view0[kept], base0[kept]), "FAME's mask keeps what it keeps"
    assert 0.3 < (view0 == moving).float().mean() < 1, "and the same clips lie behind it"


def test_dilated_masks_have_the_share_beta(tmp_path, monkeypatch) -> None:
    masks = []
    mask_of = Controlled.mask
    monkeypatch.setattr(Controlled, "mask", lambda *given: masks.append(mask_of(*given)) or masks[-1])
    drawn(tmp_path, merge=Merge(variant="dilated", beta=0.6, views="both"))
    assert len(masks) == 4 and all((mask.flatten(1).sum(1) == int(0.6 * 256)).all() for mask in masks)


@pytest.mark.parametrize("variant", CONTROLS)
def test_pretraining_runs_on_every_control(tmp_path, variant) -> None:
    result = pretrain(config(merge=Merge(variant=variant), optim=Optim(batch=6, epochs=1)), fake_run(tmp_path, VIDEOS))
    assert result["metrics"]["loss"] > 0
    again = pretrain(config(merge=Merge(variant=variant), optim=Optim(batch=6, epochs=1)), fake_run(tmp_path / "again", VIDEOS))
    assert again["metrics"] == result["metrics"]


def test_videos_without_true_masks_are_named(tmp_path, monkeypatch) -> None:
    videos = FakeVideos(classes=2, per_class=6, frames=8, size=24, counterfactual=False)
    monkeypatch.setattr(videos, "true_masks", lambda *given: None)
    for variant in ("true", "dilated"):
        with pytest.raises(FameError, match=f"mask '{variant}' is a control that needs the true figure"):
            pretrain(config(merge=Merge(variant=variant)), fake_run(tmp_path / variant, videos))
    with pytest.raises(FameError, match="background 'empty' is a control that needs the true figure"):
        pretrain(config(merge=Merge(background="empty")), fake_run(tmp_path / "empty", videos))
    for variant in ("other", "blob"):
        pretrain(config(merge=Merge(variant=variant), optim=Optim(batch=6, epochs=1)), fake_run(tmp_path / variant, videos))
