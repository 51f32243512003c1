"""Foreground-background merging and background erasing: the formula, where backgrounds come from, randomness, what is refused."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame import ForegroundBackgroundMerge, erase_background, foreground_mask
from fame.config import Merge
from fame.method.controls import merging_of
from fame.method.inpainting import inpainted
from fame.method.merging import random_cycle
from tests.small import noise, seeded


def labelled(batch: int, frames: int = 2) -> torch.Tensor:
    """Clip b is b / 16 everywhere: with an empty mask the merged clip says where its background came from."""
    return (torch.arange(float(batch)) / 16).view(-1, 1, 1, 1, 1).expand(batch, 3, frames, 16, 16).contiguous()


def backgrounds(flavour: str, batch: int, seed: int, partners: str | None = None) -> list[int]:
    merge = merging_of(Merge(flavour=flavour, partners=partners))
    merged = merge(labelled(batch), generator=seeded(seed), mask=torch.zeros(batch, 16, 16))
    assert (merged.flatten(1) == merged.flatten(1)[:, :1]).all()
    return [round(16 * v) for v in merged[:, 0, 0, 0, 0].tolist()]


@pytest.mark.parametrize("variant", ["fame", "seed", "grid", "gauss"])
def test_merging_is_the_papers_formula(variant):
    clips, sources = noise(), noise(seed=1)
    merged = ForegroundBackgroundMerge(beta=0.3, variant=variant)(clips, sources)
    mask = foreground_mask(clips, variant=variant, beta=0.3)[:, None, None]
    assert torch.allclose(merged, clips * mask + sources * (1 - mask), atol=1e-6)
    if variant != "gauss":  # not a bit of the foreground, or of the background, is changed
        kept = mask.bool().expand_as(clips)
        assert torch.equal(merged[kept], clips[kept]) and torch.equal(merged[~kept], sources[~kept])


@settings(max_examples=60, deadline=None)
@given(batch=st.integers(2, 9), seed=st.integers(0, 10_000))
def test_paper_never_pairs_a_clip_with_itself(batch, seed):
    drawn = backgrounds("paper", batch, seed)
    assert sorted(drawn) == list(range(batch))
    assert all(b != i for i, b in enumerate(drawn))


@pytest.mark.parametrize(
    ("flavour", "partners", "own"),
    [("paper", None, False), ("official", None, True), ("official", "others", False), ("paper", "any", True)],
)
def test_partners_decide_whether_a_clip_can_be_its_own_background(flavour, partners, own):
    drawn = {tuple(backgrounds(flavour, 3, seed, partners)) for seed in range(100)}
    assert drawn == (set(itertools.permutations(range(3))) if own else {(1, 2, 0), (2, 0, 1)})


def test_cycles_are_uniform():
    generator = seeded()
    counts = Counter(tuple(random_cycle(4, generator).tolist()) for _ in range(3000))
    assert len(counts) == 6  # (4 - 1)! cyclic permutations
    assert all(400 < count < 600 for count in counts.values())  # 500 expected, standard deviation 20


def test_still_repeats_one_random_frame_of_the_background():
    clips, sources, seen = noise(4, frames=5), noise(4, frames=5, seed=3), set()
    merge = ForegroundBackgroundMerge(background="still")
    for seed in range(20):
        merged = merge(clips, sources, seeded(seed), mask=torch.zeros(4, 24, 24))
        assert (merged == merged[:, :, :1]).all()
        drawn = [[t for t in range(5) if torch.equal(merged[i, :, 0], sources[i, :, t])] for i in range(4)]
        assert all(len(frames) == 1 for frames in drawn)  # row by row, one frame of the row's own source
        seen |= {frame for frames in drawn for frame in frames}
    assert seen == set(range(5))


def test_sources_are_taken_row_by_row():
    clips, sources = noise(), noise(seed=1)
    nothing = torch.zeros(4, 24, 24)
    for background in ("inter", "intra"):
        merge = ForegroundBackgroundMerge(background=background)
        assert torch.equal(merge(clips, sources, mask=nothing), sources)
        assert torch.equal(merge(clips[:1], sources[:1], mask=nothing[:1]), sources[:1])  # and a batch of one will do


def test_a_given_mask_takes_the_place_of_the_clips_own():
    clips, sources = noise(), noise(seed=1)
    soft = torch.rand(4, 24, 24, generator=seeded(2))
    for beta in (0.5, 1.0):
        merged = ForegroundBackgroundMerge(beta=beta)(clips, sources, mask=soft)
        assert torch.allclose(merged, clips * soft[:, None, None] + sources * (1 - soft[:, None, None]), atol=1e-6)


def test_beta_one_is_the_baseline():
    clips = noise(1)
    for variant in ("fame", "seed", "grid"):
        assert torch.equal(ForegroundBackgroundMerge(beta=1.0, variant=variant)(clips), clips)
    assert not torch.equal(ForegroundBackgroundMerge(beta=1.0, variant="gauss")(noise()), noise())


def test_randomness_comes_from_the_generator_alone():
    clips = noise(8)
    global_state = torch.get_rng_state()
    first = ForegroundBackgroundMerge(background="still")(clips, generator=seeded(7))
    assert torch.equal(first, ForegroundBackgroundMerge(background="still")(clips, generator=seeded(7)))
    assert not torch.equal(first, ForegroundBackgroundMerge(background="still")(clips, generator=seeded(8)))
    assert torch.equal(erase_background(clips, generator=seeded(7)), erase_background(clips, generator=seeded(7)))
    assert torch.equal(torch.get_rng_state(), global_state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_type_and_input_are_kept(dtype):
    clips = noise().to(dtype)
    before = clips.clone()
    assert ForegroundBackgroundMerge()(clips, noise(seed=1)).dtype == dtype
    assert erase_background(clips).dtype == dtype
    assert torch.equal(clips, before)


@pytest.mark.parametrize("variant", ["fame", "gauss"])
@pytest.mark.parametrize("given", ["the batch", "sources", "behind"])
def test_an_inpainted_background_is_put_together_from_its_parts(variant, given):
    clips, others = noise(), noise(seed=1)
    named, source = ({}, clips) if given == "the batch" else ({given: others}, others)
    merge = ForegroundBackgroundMerge(0.4, variant, background="inpainted")
    filled = inpainted(source, foreground_mask(source, variant=variant, beta=0.4) >= 0.5)
    filled = filled if given == "sources" else filled[random_cycle(4, seeded(5))]
    weight = foreground_mask(clips, variant=variant, beta=0.4)[:, None, None]
    clips.requires_grad_()
    merged = merge(clips, generator=seeded(5), **named)
    torch.testing.assert_close(merged, clips * weight + filled * (1 - weight))
    merged.sum().backward()
    assert torch.isfinite(clips.grad).all() and (clips.grad != 0).any()


def test_gradients_flow_through_clips_and_sources():
    clips, sources = (noise(2, seed=seed).requires_grad_() for seed in (0, 1))
    mask = foreground_mask(clips)[:, None, None]
    ForegroundBackgroundMerge()(clips, sources).sum().backward()
    assert torch.equal(clips.grad, mask.expand_as(clips)) and torch.equal(sources.grad, 1 - mask.expand_as(clips))


def test_erasing_adds_one_frame_of_the_same_clip():
    clips = noise(6, frames=4)
    erased = erase_background(clips, weight_max=0.3, generator=seeded(3))
    weights = []
    for x, y in zip(clips, erased, strict=True):
        fits = []
        for k in range(4):
            towards = x[:, k : k + 1] - x
            w = ((y - x) * towards).sum() / towards.square().sum()  # least squares for y = x + w (x[k] - x)
            if torch.allclose(y, x + w * towards, atol=1e-5):
                fits.append(w.item())
        assert len(fits) == 1
        weights += fits
    assert all(0 <= w <= 0.3 for w in weights) and len({round(w, 4) for w in weights}) == 6
    assert torch.equal(erase_background(clips, weight_max=0.0), clips)


@pytest.mark.parametrize(
    ("how", "given", "says"),
    [
        ({"background": "intra"}, {}, "needs sources"),
        ({}, {"clips": noise(1)}, "batch of 1"),
        ({"flavour": "official"}, {"clips": noise(1)}, "batch of 1"),
        ({}, {"sources": noise(3)}, "must have the shape of clips"),
        ({}, {"behind": noise(3)}, r"behind \(3, 3, 3, 24, 24\) must have the shape of clips"),
        ({}, {"behind": noise(), "sources": noise()}, "give one of them"),
        ({"background": "outer"}, {}, "known: inter, intra, still, inpainted"),
        ({"partners": "none"}, {}, "known: others, any"),
    ],
)
def test_wrong_arguments_are_refused_clearly(how, given, says):
    with pytest.raises(ValueError, match=says):
        ForegroundBackgroundMerge(**how)(**{"clips": noise(), **given})


def test_erasing_refuses_a_weight_that_is_no_share():
    with pytest.raises(ValueError, match="weight_max"):
        erase_background(noise(), weight_max=1.5)


def test_the_merge_uses_its_prior_and_samples():
    clips = (noise(4, 4, 32) * 5).round() / 5
    given = {"prior": 0.7, "sampled": (0.3, 0.3)}
    merged = merging_of(Merge(**given))(clips, clips.flip(0))
    kept = foreground_mask(clips, **given)[:, None, None].bool()
    assert torch.equal(merged, torch.where(kept, clips, clips.flip(0)))


def test_backgrounds_are_drawn_from_what_is_given_behind():
    clips, other = noise(), noise(seed=1)
    merge, mask = ForegroundBackgroundMerge(), torch.zeros(4, 24, 24)
    pasted, usual = merge(clips, None, seeded(), mask=mask, behind=other), merge(clips, None, seeded(), mask=mask)
    rows = [next(j for j in range(4) if torch.equal(usual[i], clips[j])) for i in range(4)]
    assert torch.equal(pasted, other[rows]), "of the same rows as without it"
