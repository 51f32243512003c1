"""The fields of the merge and of the contrast that studies vary: prior, samples, partners, own key."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from fame import ForegroundBackgroundMerge, foreground_mask, mask_maps
from fame.config import Clip, Merge, MoCo, Pretrain
from fame.method.controls import merging_of
from fame.method.masks import Bayes, colour_posterior
from fame.method.moco import info_nce
from tests.fakes import contrasted
from tests.method.test_controls import noise, seeded
from tests.method.test_moco import contrast, views
from tests.small import config

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


def test_fields_are_in_the_identity() -> None:
    plain = Pretrain(data=config().data, clip=Clip(frames=4, size=16))
    changed = [Merge(prior=0.3), Merge(sampled=(0.3, 0.3)), Merge(partners="any"), Merge(variant="blob")]
    texts = {contrasted(plain, merge=merge).model_dump_json() for merge in (Merge(), *changed)}
    texts.add(contrasted(plain, merge=Merge(), moco=MoCo(own_key=False)).model_dump_json())
    assert len(texts) == 6
