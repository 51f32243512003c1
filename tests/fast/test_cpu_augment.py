"""The compiled crops and jitter are the plain torch ones, with the same draws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fame.method.augment
import fame.method.colour
from fame.config import Augment
from fame.method.augment import apply_crops, draw_crops, frame_sizes
from fame.method.colour import draw_colours, recolour


@pytest.fixture(scope="module")
def plainly():
    """A function that calls another one without compiled loops."""

    def call(function, *given):
        with pytest.MonkeyPatch.context() as patch:
            for module in (fame.method.augment, fame.method.colour):
                patch.setattr(module, "choose", lambda *_: None)
            return function(*given)

    return call


sides = st.integers(3, 40)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    frames=st.integers(1, 5),
    height=sides,
    width=sides,
    grayscale=st.sampled_from([0.0, 0.5, 1.0]),
    jitter=st.sampled_from([0.0, 0.8, 1.0]),
    seed=st.integers(0, 1000),
)
def test_jitter_is_the_plain_one(plainly, batch, frames, height, width, grayscale, jitter, seed):
    drawn = torch.Generator().manual_seed(seed)
    clips = torch.rand(batch, 3, frames, height, width, generator=drawn)
    clips[0, :, :, : height // 2] = 0.25  # grey: its hue is any
    colours, before = draw_colours(batch, Augment(grayscale=grayscale, jitter=jitter, hue=0.5), drawn), clips.clone()
    found = recolour(clips, colours)
    torch.testing.assert_close(found, plainly(recolour, clips, colours), atol=2e-5, rtol=0)
    assert torch.equal(clips, before) and found.data_ptr() != clips.data_ptr()


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.tuples(sides, sides), min_size=1, max_size=5),
    frames=st.integers(1, 5),
    size=st.sampled_from([1, 7, 32, 45, 64]),
    alike=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_crops_are_the_plain_ones(plainly, sizes, frames, size, alike, seed):
    drawn = torch.Generator().manual_seed(seed)
    sizes = sizes[:1] * len(sizes) if alike else sizes
    clips = [torch.randint(256, (frames, *side, 3), dtype=torch.uint8, generator=drawn) for side in sizes]
    clips = torch.stack(clips).transpose(2, 3) if alike else clips
    boxes = draw_crops(frame_sizes(clips), Augment(), drawn)
    found, plain = apply_crops(clips, boxes, size), plainly(apply_crops, clips, boxes, size)
    torch.testing.assert_close(found, plain, atol=2e-6, rtol=0)
    assert size not in (32, 64) or torch.equal(found, plain)  # there no sum is rounded
