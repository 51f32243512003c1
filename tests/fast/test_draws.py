"""What random numbers say of crops and colours is, to the bit, what the NumPy code said that drew for earlier runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame.config import Augment
from fame.fast.cpu.draws import changes
from fame.method.augment import ASPECT, ATTEMPTS, Crops, draw_crops
from fame.method.colour import JITTER, ORDERS, Colours, draw_colours


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def boxes_as_ever(sizes: list[tuple[int, int]], augment: Augment, generator: torch.Generator) -> Crops:
    height, width = np.array(sizes, np.float64).T
    draws = torch.rand((len(sizes), ATTEMPTS, 4), generator=generator)
    share, aspect, down, right = draws.double().numpy().transpose(2, 0, 1)
    flip = torch.rand((len(sizes),), generator=generator) < augment.flip
    low, high = augment.area
    area = (low + (high - low) * share) * height[:, None] * width[:, None]
    aspect = math.log(ASPECT[0]) + math.log(ASPECT[1] / ASPECT[0]) * aspect
    aspect = torch.from_numpy(aspect).exp().numpy()
    wide, tall = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (wide >= 1) & (wide <= width[:, None]) & (tall >= 1) & (tall <= height[:, None])
    first = np.arange(len(sizes)), fits.argmax(1)
    found, wide, tall, down, right = (values[first] for values in (fits, wide, tall, down, right))
    wide = np.where(found, wide, np.minimum(width, np.rint(height * ASPECT[1])))
    tall = np.where(found, tall, np.minimum(height, np.rint(width / ASPECT[0])))
    top = np.floor(np.where(found, down * (height - tall + 1), (height - tall) / 2))
    left = np.floor(np.where(found, right * (width - wide + 1), (width - wide) / 2))
    return Crops(*torch.from_numpy(np.stack([top, left, tall, wide]).astype(np.int64)), flip)


def colours_as_ever(clips: int, augment: Augment, generator: torch.Generator) -> Colours:
    draws = torch.rand((clips, 9), generator=generator).numpy()
    orders = torch.rand((ORDERS, len(JITTER)), generator=generator).argsort(1)
    strengths = np.array([augment.brightness, augment.contrast, augment.saturation], np.float32)
    lowest = np.maximum(1 - strengths, 0)
    amounts = np.empty((clips, len(JITTER)), np.float32)
    amounts[:, :3] = lowest + (1 + strengths - lowest) * draws[:, 3:6]
    amounts[:, 3] = augment.hue * (2 * draws[:, 6] - 1)
    group = np.where(draws[:, 1] < augment.jitter, (draws[:, 8] * ORDERS).astype(np.int64), -1)
    least, most = augment.blur_sigma
    grey, blurred = draws[:, 0] < augment.grayscale, draws[:, 2] < augment.blur
    drawn = grey, group, orders.numpy(), amounts, blurred, least + (most - least) * draws[:, 7]
    return Colours(*(torch.from_numpy(part) for part in drawn))


def same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> bool:
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(found, expected, strict=True))


SHARES = st.one_of(st.sampled_from([0.0, 0.1, 1.0]), st.floats(0, 1))


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=40),
    area=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted).map(tuple),
    flip=SHARES,
    seed=st.integers(0, 999),
)
def test_boxes_are_those_of_earlier_runs(sizes, area, flip, seed) -> None:
    augment, generator, beside = Augment(area=area, flip=flip), seeded(seed), seeded(seed)
    assert same(draw_crops(sizes, augment, generator), boxes_as_ever(sizes, augment, beside))
    assert torch.equal(generator.get_state(), beside.get_state())


@settings(max_examples=200, deadline=None)
@given(
    clips=st.integers(1, 40),
    shares=st.tuples(SHARES, SHARES, SHARES),
    strengths=st.tuples(st.floats(0, 2), st.floats(0, 2), st.floats(0, 2), st.floats(0, 0.5)),
    sigma=st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)).map(sorted).map(tuple),
    seed=st.integers(0, 999),
)
def test_colours_are_those_of_earlier_runs(clips, shares, strengths, sigma, seed) -> None:
    names = "grayscale", "jitter", "blur", "brightness", "contrast", "saturation", "hue"
    augment = Augment(**dict(zip(names, (*shares, *strengths), strict=True)), blur_sigma=sigma)
    generator, beside = seeded(seed), seeded(seed)
    assert same(draw_colours(clips, augment, generator), colours_as_ever(clips, augment, beside))
    assert torch.equal(generator.get_state(), beside.get_state())


@pytest.mark.parametrize("ranks", [(0.5, 0.5, 0.5, 0.5), (0.5, 0.25, 0.5, 0.25), (0.75, 0.5, 0.5, 0.0)])
def test_equal_numbers_keep_the_order_of_the_steps(ranks) -> None:
    given_ranks = torch.tensor([ranks] * ORDERS)
    orders = changes(torch.rand(2, 9), given_ranks, (0, 0, 0), (0, 0, 0, 0), (1, 1))[2]
    assert torch.equal(orders, given_ranks.argsort(dim=1, stable=True))
