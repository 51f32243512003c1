"""The compiled masks of CPUs against their plain definition: the same but for rounding, whatever the shape and clip."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame import foreground_mask, mask_maps
from fame.fast.cpu import masks as fast
from fame.method.masks import colour_coordinates, colour_posterior, colours, kept_pixels, top_share
from fame.method.smoothing import blur_kernel, gaussian_weights, smooth
from tests.method.test_golden import iou
from tests.small import KINDS, clips_of

FLAVOURS = ("paper", "official")


def mean_frame(clips: Tensor) -> Tensor:
    """The compiled mean over time, (B, 3, H, W)."""
    motion, mean = torch.empty(clips[0, 0, 0].numel()), torch.empty(len(clips), 3, *clips.shape[3:])
    for clip, each in zip(clips.contiguous(), mean, strict=True):
        fast.sum_over_time(clip.flatten(2).numpy(), motion.numpy(), each.flatten(1).numpy())
    return mean


def colour_index(frames: Tensor, flavour: str) -> Tensor:
    """The compiled colour index of frames (B, 3, H, W): (B, H, W)."""
    index = torch.empty(len(frames), *frames.shape[2:], dtype=torch.uint16)
    for frame, each in zip(frames.contiguous(), index, strict=True):
        fast.index_colours(*frame.flatten(1).numpy(), flavour == "official", each.flatten().numpy())
    return index.long()


shapes = given(
    kind=st.sampled_from(KINDS),
    batch=st.integers(1, 3),
    frames=st.integers(2, 20),
    height=st.integers(16, 50),
    width=st.integers(16, 50),
    seed=st.integers(0, 10_000),
    beta=st.floats(0.001, 1.0),
    flavour=st.sampled_from(FLAVOURS),
)


def differ_only_in_ties(mask: Tensor, exact: Tensor, score: Tensor) -> bool:
    """Whether every pixel in which the masks differ scores, to 1e-6, what the last pixel kept does."""
    last = torch.where(exact.bool(), score, torch.inf).flatten(1).amin(1).view(-1, 1, 1)
    return bool(((mask == exact) | ((score - last).abs() <= 1e-6 * score.amax().clamp(min=1))).all())


def to_edge(coordinates: list[Tensor]) -> Tensor:
    """How far the nearest of three coordinates is from a rounding edge, (B, H, W)."""
    return torch.stack([(v - v.floor() - 0.5).abs() for v in coordinates]).amin(0)


@settings(max_examples=60, deadline=None)
@shapes
def test_fame_masks_are_the_plain_ones_but_for_rounding(kind, batch, frames, height, width, seed, beta, flavour):
    clips = clips_of(kind, batch, frames, height, width, seed)
    mask = foreground_mask(clips, beta=beta, flavour=flavour)
    exact = foreground_mask(clips, beta=beta, flavour=flavour, exact=True)
    assert mask.dtype == torch.float32 and mask.shape == exact.shape
    assert mask.sum((1, 2)).tolist() == exact.sum((1, 2)).tolist() == [max(1, int(beta * height * width))] * batch
    plain_mean, mean = clips.mean(2), mean_frame(clips)
    assert torch.allclose(mean, plain_mean, atol=1e-6)
    other = colour_index(mean, flavour) != colours(plain_mean, flavour)
    here, there = colour_coordinates(mean, flavour), colour_coordinates(plain_mean, flavour)
    moved = torch.stack([(a - b).abs() for a, b in zip(here, there, strict=True)]).amax(0)  # the mean's own rounding
    assert (to_edge(there)[other] <= 1e-5 + moved[other]).all()
    blurred, pixels = mask_maps(clips)["frame_difference_blurred"], height * width
    ranking = torch.zeros_like(blurred)
    for count in (int(0.5 * pixels), pixels - int(0.1 * pixels)):
        sample = fast.keep_highest(clips, count, None)
        assert differ_only_in_ties(sample, top_share(blurred, count), blurred)
        ranking += sample
    # the plain posterior of these samples and colours: 2 in the foreground's, 0 in the background's
    posterior = colour_posterior(colour_index(mean, flavour), ranking)
    side = blur_kernel(min(height, width))
    score = smooth(posterior[:, None], gaussian_weights(side, side / 3, clips.device))[:, 0]
    assert differ_only_in_ties(mask, top_share(score, max(1, int(beta * pixels))), score)
    assert kind != "noise" or iou(mask, exact) >= 0.97


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), dark=st.floats(0.001, 1.0), flavour=st.sampled_from(FLAVOURS))
def test_colour_indices_differ_only_on_rounding_edges(seed, dark, flavour):
    eight_bit = torch.randint(256, (2, 3, 40, 50), generator=torch.Generator().manual_seed(seed)).float() / 255
    frames = eight_bit * torch.tensor([1.0, dark]).view(2, 1, 1, 1)
    frames[..., :5] = torch.linspace(0, 1, 40)[:, None]  # exact greys
    index, plain = colour_index(frames, flavour), colours(frames, flavour)
    assert torch.equal(index[..., :5], plain[..., :5]) and len(index.unique()) > 30
    assert (to_edge(colour_coordinates(frames, flavour))[index != plain] <= 1e-5).all()
    assert (index == plain).float().mean() > 0.99


def test_what_is_no_number_stays_within_the_histogram():
    for value in (-3.0, 5.0, 1e30, float("nan"), float("inf"), float("-inf")):
        index = colour_index(torch.full((1, 3, 16, 16), value), "paper")
        assert index.min() >= 0 and index.max() < 1000
        clips = clips_of("noise", 1, 3, 20, 20, 0)
        clips[0, :, 1, 4:9, 4:9] = value
        for variant in ("fame", "seed"):
            assert kept_pixels(clips, variant, 0.5, "paper").sum() == 200


@pytest.mark.parametrize("variant", ["fame", "seed"])
def test_threads_and_repetition_change_no_bit(variant):
    clips, before, found = clips_of("moving block", 5, 6, 41, 37, 3), torch.get_num_threads(), []
    for count in (1, 2, 1, 2, before):
        torch.set_num_threads(count)
        found.append(foreground_mask(clips, variant=variant))
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("numba", ["there", "missing"])
def test_numba_is_imported_only_when_a_kernel_is_needed_and_can_be_missing(numba):
    script = f"""
import sys
if {numba == "missing"}:
    sys.modules["numba"] = None
import torch, fame
clips = torch.rand(2, 3, 3, 16, 16)
exact = fame.foreground_mask(clips, exact=True)
fame.ForegroundBackgroundMerge()(clips, mask=clips[:, 0, 0])
assert sys.modules.get("numba") is None
assert fame.foreground_mask(clips).sum() == exact.sum()
assert (sys.modules["numba"] is None) == {numba == "missing"}
"""
    subprocess.run([sys.executable, "-c", script], check=True)
