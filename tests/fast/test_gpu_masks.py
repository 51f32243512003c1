"""The masks' Triton kernels against their plain definition: the same but for rounding, whatever the shape and clip.

As tests/fast/test_cpu_masks.py, step by step: frame difference and blur equal to 1e-6; a colour's index the plain one, unless a
coordinate of it lies within 1e-5 of an edge between two levels; rankings the plain ones on the same input, to the pixel. Without a
GPU all runs in Triton's interpreter.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame import foreground_mask
from fame.method.bayes import PAPER, Bayes
from fame.method.masks import colour_coordinates, colour_posterior, colours, frame_difference, kept_pixels, top_share
from fame.method.smoothing import blur_kernel, gaussian_weights, smooth
from tests.fast.test_cpu_masks import clips_of, differ_only_in_ties, to_edge
from tests.method.test_golden import KEPT, as_clips, golden, iou, masks_of

FLAVOURS = ("paper", "official")
SMALL = {"MOTION_BLOCK": 256, "MAP_BLOCK": 256, "TILE": 16, "RANK_BLOCK": 256}  # many programs, many rounds of each loop
LARGE = {"MOTION_BLOCK": 16384, "MAP_BLOCK": 16384, "TILE": 128, "RANK_BLOCK": 65536}  # few, which the interpreter likes


@pytest.fixture
def gpu(on_kernels, monkeypatch):
    """The module under test; `device` is where its kernels run, `calls` counts the masks that took them."""
    from fame.fast.gpu import masks

    shipped = {name: getattr(masks, name) for name in SMALL}

    def cut(small: bool = False) -> None:
        for name, size in (SMALL if small else shipped if on_kernels.type == "cuda" else LARGE).items():
            monkeypatch.setattr(masks, name, size)

    for name, value in (("device", on_kernels), ("calls", []), ("cut", cut)):
        monkeypatch.setattr(masks, name, value, raising=False)
    plain = masks.keep_highest
    monkeypatch.setattr(masks, "keep_highest", lambda *a, **k: (masks.calls.append(1), plain(*a, **k))[1])
    cut()
    return masks


def examples(count: int):
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def blurred(maps: Tensor) -> Tensor:
    side = blur_kernel(min(maps.shape[-2:]))
    return smooth(maps[:, None], gaussian_weights(side, side / 3, maps.device))[:, 0]


@examples(6)
@given(
    small=st.booleans(),
    kind=st.sampled_from(["noise", "moving block", "few colours", "grey"]),
    frames=st.integers(2, 7),
    height=st.integers(16, 30),
    width=st.integers(16, 30),
    flavour=st.sampled_from(FLAVOURS),
)
def test_motion_colours_and_blur_are_the_plain_ones_but_for_rounding(gpu, small, kind, frames, height, width, flavour):
    gpu.cut(small)
    clips = clips_of(kind, 2, frames, height, width, 0).to(gpu.device)
    motion, index = gpu.motion_and_colours(clips, flavour)
    assert torch.allclose(motion, frame_difference(clips), atol=1e-6 * clips.abs().amax().item(), rtol=1e-6)
    mean = sum(clips.unbind(2)) / frames
    other = index.long() != colours(mean, flavour)
    assert (to_edge(colour_coordinates(mean, flavour))[other] <= 1e-5).all()
    assert other.float().mean() < 0.01
    expected = blurred(motion)
    assert torch.allclose(gpu.blur(motion), expected, atol=1e-6, rtol=1e-6)


@examples(10)
@given(
    small=st.booleans(),
    levels=st.sampled_from([1, 2, 5, 10_000]),
    scale=st.sampled_from([1e-6, 1.0, 3.0]),
    height=st.integers(16, 30),
    width=st.integers(16, 30),
    share=st.one_of(st.floats(0, 1), st.just(0), st.just(1)),
    seed=st.integers(0, 10_000),
)
def test_ranking_is_that_of_top_share_to_the_pixel(gpu, small, levels, scale, height, width, share, seed):
    gpu.cut(small)
    values = torch.randint(levels, (2, height, width), generator=torch.Generator().manual_seed(seed)).float() * scale / levels
    values, count = values.to(gpu.device), max(1, int(share * height * width))
    assert torch.equal(gpu.highest(values, count), top_share(values, count))


@examples(5)
@given(
    small=st.booleans(),
    kind=st.sampled_from(["noise", "still", "one colour", "few colours"]),
    height=st.integers(16, 24),
    width=st.integers(16, 24),
    prior=st.sampled_from([0.5, 0.5, 0.2, 0.9]),
    sampled=st.sampled_from([PAPER.sampled, (0.3, 0.3), (0.9, 0.1), (0.001, 0.001)]),
    beta=st.floats(0.001, 1.0),
    flavour=st.sampled_from(FLAVOURS),
)
def test_posterior_and_masks_are_the_plain_ones(gpu, small, kind, height, width, prior, sampled, beta, flavour):
    gpu.cut(small)
    clips = clips_of(kind, 1, 2, height, width, 1).to(gpu.device)
    bayes, count = Bayes(prior, sampled), max(1, int(beta * height * width))
    motion, index = gpu.motion_and_colours(clips, flavour)
    score = gpu.blur(motion)
    expected = colour_posterior(index.long(), score, bayes)
    posterior = gpu.posterior(score, index, bayes.counts(height * width), bayes.odds)
    assert torch.allclose(posterior, expected, atol=1e-6)
    mask = kept_pixels(clips, "fame", beta, flavour, bayes=bayes)  # type: ignore[arg-type]
    assert gpu.calls and mask.dtype == torch.bool and mask.sum((1, 2)).tolist() == [count]
    score = blurred(expected)
    assert differ_only_in_ties(mask, top_share(score, count), score)


def test_the_released_codes_masks_are_found_again(gpu):
    file = golden(KEPT)
    clips = as_clips(file["clips"]).to(gpu.device)
    for beta in (0.3, 0.5, 0.7) if clips.is_cuda else (0.5,):
        mask = foreground_mask(clips, beta=beta, flavour="official").cpu()
        assert iou(mask, masks_of(file, beta)) >= 0.97
        assert mask.sum((1, 2)).tolist() == [int(beta * 112 * 112)] * len(clips)
    assert gpu.calls
    # a GPU's mean over frames sums in another order, and this flavour's angle leaps where the hue of a mean frame turns round
    index, mean = gpu.motion_and_colours(clips, "official")[1].long().cpu(), clips.cpu().mean(2)
    assert (to_edge(colour_coordinates(mean, "official"))[index != colours(mean, "official")] <= 1e-5).all()


def test_a_clip_alone_repeated_seen_through_a_view_or_in_another_type_has_its_mask(gpu):
    wide = clips_of("noise", 2, 3, 30, 44, 0).to(gpu.device)
    view = wide.flip(0)[:, :, :, 4:28, 3:40].bfloat16().float()
    mask = foreground_mask(view.contiguous())
    assert torch.equal(mask, foreground_mask(view.mT.contiguous().mT))
    assert torch.equal(mask[1:2], foreground_mask(view[1:2]))
    for dtype in (torch.float64, torch.bfloat16):
        assert torch.equal(mask, foreground_mask(view.to(dtype)))
    assert len(gpu.calls) == 5


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of NumPy, in the interpreter
def test_what_is_no_number_stays_within_bounds(gpu):
    for value in (1e30, float("nan"), float("-inf")):
        index = gpu.motion_and_colours(torch.full((1, 3, 2, 16, 16), value, device=gpu.device), "paper")[1].long()
        assert index.min() >= 0 and index.max() < 1000
        clips = clips_of("noise", 1, 3, 20, 20, 0).to(gpu.device)
        clips[0, :, 1, 4:9, 4:9] = value
        assert kept_pixels(clips, "fame", 0.5, "paper").sum() == 200
