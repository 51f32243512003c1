"""Controls of the mask, and the fields of the merge and of the contrast that studies vary: exact areas, alignment, pairing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from fame import ForegroundBackgroundMerge, foreground_mask, mask_maps
from fame.augment import random_crops
from fame.config import Augment, Clip, Merge, MoCo, Optim, Pretrain
from fame.controls import CONTROLS, Controlled, blobs, cropped_truth, dilated, merging_of, squared_distance
from fame.errors import FameError
from fame.inpainting import inpainted
from fame.masks import Bayes, colour_posterior
from fame.moco import info_nce
from fame.pretrain import pretrain
from fame.views import Views
from tests.fakes import FakeVideos, fake_run
from tests.test_moco import contrast, views
from tests.test_pretrain import VIDEOS, config

torch.set_num_threads(1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(batch: int = 3, frames: int = 3, side: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, frames, side, side, generator=seeded(seed))


def figures(batch: int, height: int, width: int, seed: int, share: float = 0.05) -> torch.Tensor:
    return torch.rand(batch, height, width, generator=seeded(seed)) < share


# ---------------------------------------------------------------- prior and samples


def by_hand(colour: torch.Tensor, motion: torch.Tensor, prior: float, sampled: tuple[float, float]) -> torch.Tensor:
    """P(F|x) of one frame by Bayes' rule as it is written, pixel by pixel."""
    pixels = motion.numel()
    counts = [int(share * pixels) for share in sampled]
    order = sorted(range(pixels), key=lambda p: (-motion.flatten()[p].item(), p))
    fore, back = order[: counts[0]], order[pixels - counts[1] :]
    flat = colour.flatten().tolist()
    out = []
    for c in flat:
        in_f = sum(flat[p] == c for p in fore) / counts[0]
        in_b = (sum(flat[p] == c for p in back) + 1) / (counts[1] + 1000)
        out.append(prior * in_f / (prior * in_f + (1 - prior) * in_b))
    return torch.tensor(out).view_as(motion)


@settings(max_examples=25, deadline=None)
@given(
    prior=st.floats(0.05, 0.95), shares=st.sampled_from([(0.5, 0.1), (0.3, 0.3), (0.25, 0.1), (0.5, 0.5)]), seed=st.integers(0, 999)
)
def test_posterior_is_bayes_rule_with_prior_and_samples(prior, shares, seed) -> None:
    generator = seeded(seed)
    colour = torch.randint(0, 7, (1, 16, 16), generator=generator)
    motion = torch.rand(1, 16, 16, generator=generator)
    found = colour_posterior(colour, motion, Bayes(prior, shares))
    assert torch.allclose(found[0], by_hand(colour[0], motion[0], prior, shares), atol=1e-5)


def test_the_papers_prior_and_samples_change_no_bit() -> None:
    clips = (noise(4, 4, 32) * 9).round() / 9
    plain, told = mask_maps(clips), mask_maps(clips, prior=0.5, sampled=(0.5, 0.1))
    assert all(torch.equal(plain[name], told[name]) for name in plain)
    for exact in (True, False):
        told_mask = foreground_mask(clips, exact=exact, prior=0.5, sampled=(0.5, 0.1))
        assert torch.equal(foreground_mask(clips, exact=exact), told_mask)


@pytest.mark.parametrize("sampled", [(0.3, 0.3), (0.25, 0.1), (0.5, 0.5)])
def test_the_fast_path_samples_alike(sampled) -> None:
    clips = (noise(4, 4, 32) * 9).round() / 9 * 0.9 + 0.037
    fast, exact = (foreground_mask(clips, sampled=sampled, exact=exact) for exact in (False, True))
    assert (fast != exact).float().mean() < 0.01  # rounding of scores that tie
    assert not torch.equal(exact, foreground_mask(clips, exact=True))


def test_a_prior_keeps_the_order_of_colours_and_acts_after_smoothing() -> None:
    clips = (noise(4, 4, 32) * 3).round() / 3
    low, high = (mask_maps(clips, prior=prior)["posterior"].flatten() for prior in (0.3, 0.7))
    order = low.argsort(stable=True)
    assert (high[order].diff() >= -1e-6).all() and (high >= low).all()
    for prior in (0.3, 0.7):
        mask = foreground_mask(clips, prior=prior)
        assert (mask.flatten(1).sum(1) == int(0.5 * 32 * 32)).all()
        assert not torch.equal(mask, foreground_mask(clips, exact=True))


@pytest.mark.parametrize("wrong", [{"prior": 0.0}, {"prior": 1.0}, {"sampled": (0.0, 0.1)}, {"sampled": (0.6, 0.5)}])
def test_impossible_priors_and_samples_are_refused(wrong) -> None:
    for refuses in (lambda: foreground_mask(noise(), **wrong), lambda: ForegroundBackgroundMerge(**wrong)):
        with pytest.raises(ValueError, match=r"prior =|sampled ="):
            refuses()
    with pytest.raises(ValidationError):
        Merge(**wrong)


def test_the_merge_uses_its_prior_and_samples() -> None:
    clips = (noise(4, 4, 32) * 5).round() / 5
    given = {"prior": 0.7, "sampled": (0.3, 0.3)}
    merged = merging_of(Merge(**given))(clips, clips.flip(0))
    kept = foreground_mask(clips, **given)[:, None, None].bool()
    assert torch.equal(merged, torch.where(kept, clips, clips.flip(0)))


# ---------------------------------------------------------------- partners, own key


@pytest.mark.parametrize(
    ("flavour", "partners", "own"),
    [("paper", None, False), ("official", None, True), ("official", "others", False), ("paper", "any", True)],
)
def test_partners_decide_whether_a_clip_can_be_its_own_background(flavour, partners, own) -> None:
    clips = torch.arange(3.0).view(-1, 1, 1, 1, 1).expand(3, 3, 2, 16, 16).contiguous()
    merge = merging_of(Merge(flavour=flavour, partners=partners))
    drawn = [merge(clips, generator=seeded(seed), mask=torch.zeros(3, 16, 16))[:, 0, 0, 0, 0].tolist() for seed in range(60)]
    assert all(sorted(one) == [0, 1, 2] for one in drawn)
    assert any(value == place for one in drawn for place, value in enumerate(one)) == own


def test_without_its_own_key_the_second_query_misses_that_one_negative() -> None:
    """Everything else, the other clips' fresh keys included, stays: the loss is that of K - 1 negatives."""
    model = contrast(own_key=False)
    model.position.fill_(14)  # the queue of 16 goes round within the batch of 4
    view0, view1 = views()
    old = model.queue.clone()
    loss, _ = model(view0, view1)
    keys0, keys1 = model.keys(view0), model.keys(view1)
    second = old.clone()
    second[[14, 15, 0, 1]] = keys1
    first = info_nce(model.query(view0), keys1, old, 0.1)[0]
    points = model.query(view1)
    losses = []
    for clip, own in enumerate([14, 15, 0, 1]):
        negatives = torch.cat([second[:own], second[own + 1 :]])
        logits = torch.cat([(points[clip] * keys0[clip]).sum()[None], negatives @ points[clip]])[None] / 0.1
        losses.append(functional.cross_entropy(logits, torch.zeros(1, dtype=torch.long)))
    assert loss.item() == pytest.approx((first + torch.stack(losses).mean()).item() / 2, abs=1e-5)
    loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.query.parameters())


def test_own_key_is_a_matter_of_the_symmetric_loss_alone() -> None:
    def loss(**how) -> float:
        model = contrast(**how)
        torch.manual_seed(5)
        return model(*views())[0].item()

    assert loss(symmetric=False, own_key=False) == loss(symmetric=False)
    assert loss(own_key=False) < loss()  # the own key is a hard negative


def test_own_key_leaves_the_queue_alone() -> None:
    with_key, without = contrast(), contrast(own_key=False)
    torch.manual_seed(5)
    pair = views()
    with_key(*pair), without(*pair)
    assert torch.equal(with_key.queue, without.queue) and torch.equal(with_key.position, without.position)


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


def drawn(folder: Path, rows: int = 6, **changes) -> tuple[torch.Tensor, torch.Tensor]:
    found = Views(config(**changes), VIDEOS, fake_run(folder, VIDEOS), epoch=0)
    found.draw(torch.arange(rows))
    return found.draw(torch.arange(12 - rows, 12))  # a second batch, so that a stream out of step would show


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


def test_fields_are_in_the_identity() -> None:
    plain = Pretrain(data=config().data, clip=Clip(frames=4, size=16))
    changed = [Merge(prior=0.3), Merge(sampled=(0.3, 0.3)), Merge(partners="any"), Merge(variant="blob")]
    texts = {plain.model_copy(update={"merge": merge}).model_dump_json() for merge in (Merge(), *changed)}
    texts.add(plain.model_copy(update={"merge": Merge(), "moco": MoCo(own_key=False)}).model_dump_json())
    assert len(texts) == 6
