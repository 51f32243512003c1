"""Convolutions by tables of places and taps are torch's, whatever the shape; and how they are computed is chosen by size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fame.backbones import fast_layout
from fame.fast.cpu import unit
from fame.fast.cpu.direct import Direct
from fame.fast.cpu.geometry import Geometry, convolving_tables

torch.set_num_threads(1)
LAST = torch.channels_last_3d
KERNELS = ((1, 3, 3), (3, 1, 1), (1, 1, 1), (3, 3, 3), (1, 7, 7), (2, 2, 2))
PADDINGS = ((0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1), (0, 3, 3), (2, 2, 2))


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=LAST)


def geometry(batch: int, channels: int, size, outputs: int, kernel, stride, padding) -> Geometry:
    out = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True))
    return Geometry(batch, channels, tuple(size), outputs, out, kernel, stride, padding)


@settings(max_examples=100, deadline=None)
@given(
    batch=st.sampled_from([1, 2, 7, 16]),
    channels=st.sampled_from([1, 3, 5, 8, 16]),
    outputs=st.sampled_from([1, 5, 8, 16, 24, 40]),  # none, one, two, three, five whole vectors
    size=st.tuples(*[st.integers(1, 7)] * 3),
    kernel=st.sampled_from(KERNELS),
    stride=st.sampled_from([(1, 1, 1), (2, 2, 2), (1, 2, 2), (1, 4, 4), (3, 1, 1)]),
    padding=st.sampled_from(PADDINGS),
)
def test_result_and_gradients_are_torchs(batch, channels, outputs, size, kernel, stride, padding):
    if any(n + 2 * p < k for n, p, k in zip(size, padding, kernel, strict=True)):
        return
    x, weight = drawn(batch, channels, *size), drawn(outputs, channels, *kernel)
    right_x, right_weight = x.double().requires_grad_(), weight.double().requires_grad_()
    right = torch.conv3d(right_x, right_weight, None, stride, padding)
    slope = drawn(*right.shape)
    right.backward(slope.double())
    direct = Direct(geometry(batch, channels, size, outputs, kernel, stride, padding))
    found = direct.forward(x, weight), *direct.backward(slope, x, weight, True)
    for ours, theirs in zip(found, (right, right_x.grad, right_weight.grad), strict=True):
        assert ours.shape == theirs.shape
        assert (ours.double() - theirs).norm() <= 1e-5 * theirs.norm()
    assert found[0].is_contiguous(memory_format=LAST)
    assert direct.backward(slope, x, weight, False)[0] is None


def test_what_would_meet_padding_alone_is_not_computed():
    """Of a 3 x 3 kernel on 2 x 2 pixels four ninths are left; on one pixel the middle tap, and the others get no gradient."""
    g = geometry(8, 16, (1, 2, 2), 16, (1, 3, 3), (1, 1, 1), (0, 1, 1))
    tables = convolving_tables(g, False)
    products = sum(rows * terms for _, rows, _, terms in tables.pieces.tolist()) / tables.chunk
    assert products == 4 * 4 * 16  # places, taps a place, channels
    direct = Direct(geometry(8, 16, (1, 1, 1), 16, (1, 3, 3), (1, 1, 1), (0, 1, 1)))
    x, weight = drawn(8, 16, 1, 1, 1), drawn(16, 16, 1, 3, 3)
    _, slope = direct.backward(drawn(8, 16, 1, 1, 1), x, weight, True)
    beside = slope.clone()
    beside[..., 1, 1] = 0
    assert not beside.any()
    assert slope[..., 1, 1].all()


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "size", "served"),
    [
        (8, (1, 3, 3), 1, (8, 8, 8), True),
        (64, (1, 3, 3), 1, (8, 2, 2), True),
        (64, (1, 3, 3), 1, (16, 56, 56), False),
        (12, (1, 1, 1), (1, 2, 2), (16, 56, 56), True),  # torch 2.15 writes beyond the memory of these gradients
        (16, (1, 1, 1), (1, 2, 2), (16, 56, 56), False),
    ],
)
def test_narrow_layers_are_direct_and_wide_ones_the_librarys(channels, kernel, stride, size, served):
    conv = nn.Conv3d(channels, 24, kernel, stride, tuple(k // 2 for k in kernel), bias=False)
    assert (unit.direct(conv, torch.Size((2, channels, *size))) is not None) == served


def test_a_second_derivative_is_refused():
    narrow = fast_layout(nn.Sequential(nn.Conv3d(3, 8, 1, bias=False), nn.BatchNorm3d(8)))
    x = torch.randn(2, 3, 2, 4, 4, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(narrow(x).sum(), x, create_graph=True)
