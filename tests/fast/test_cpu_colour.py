"""The compiled jitter is the plain torch one, with the same draws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fame.method.colour
from fame.config import Augment
from fame.method.colour import draw_colours, recolour


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 9),
    frames=st.integers(1, 5),
    height=st.integers(3, 40),
    width=st.integers(3, 40),
    grayscale=st.sampled_from([0.0, 0.5, 1.0]),
    jitter=st.sampled_from([0.0, 0.8, 1.0]),
    seed=st.integers(0, 1000),
)
def test_jitter_is_the_plain_one(batch, frames, height, width, grayscale, jitter, seed) -> None:
    drawn = torch.Generator().manual_seed(seed)
    clips = torch.rand(batch, 3, frames, height, width, generator=drawn)
    clips[0, :, :, : height // 2] = 0.25  # grey: its hue is any
    colours, before = draw_colours(batch, Augment(grayscale=grayscale, jitter=jitter, hue=0.5), drawn), clips.clone()
    found = recolour(clips, colours)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fame.method.colour, "choose", lambda *_: None)
        plain = recolour(clips, colours)
    torch.testing.assert_close(found, plain, atol=2e-5, rtol=0)
    assert torch.equal(clips, before) and found.data_ptr() != clips.data_ptr()
