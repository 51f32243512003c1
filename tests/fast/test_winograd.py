"""Winograd's convolutions are torch's within their rounding, whatever the shape; a product of constants and lines is NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame.fast.cpu import winograd
from fame.fast.cpu.compiled import kernel
from fame.fast.cpu.geometry import Geometry
from fame.fast.cpu.lines import applied
from fame.fast.cpu.winograd import Winograd, serves

torch.set_num_threads(1)
LAST = torch.channels_last_3d
MATRIX = ((1, 0, -2.5), (0, -1, 1), (0.25, 0, 0), (-1, 1, 3))
_apply = applied(MATRIX)


def geometry(batch: int, channels: int, size, outputs: int, kernel, padding: int) -> Geometry:
    padded = tuple(padding * (taps > 1) for taps in kernel)
    out = tuple(n + 2 * p - k + 1 for n, k, p in zip(size, kernel, padded, strict=True))
    return Geometry(batch, channels, tuple(size), outputs, out, kernel, (1, 1, 1), padded)


def compared(g: Geometry) -> list[float]:
    """Errors of the result and of both gradients, over their norms, against torch in 64 bits."""
    x = torch.randn(g.batch, g.channels, *g.sizes).contiguous(memory_format=LAST)
    weight = torch.randn(g.outputs, g.channels, *g.kernel).contiguous(memory_format=LAST)
    right_x, right_weight = x.double().requires_grad_(), weight.double().requires_grad_()
    right = torch.conv3d(right_x, right_weight, None, 1, g.padding)
    slope = torch.randn(right.shape).contiguous(memory_format=LAST)
    right.backward(slope.double())
    form = Winograd(g)
    found = form.forward(x, weight), *form.backward(slope, x, weight, True)
    assert found[0].is_contiguous(memory_format=LAST)
    nothing, again = form.backward(slope, x, weight, False)
    assert nothing is None
    assert torch.equal(again, found[2])
    pairs: list[tuple[Tensor, Tensor]] = list(zip(found, (right, right_x.grad, right_weight.grad), strict=True))
    for ours, theirs in pairs:
        assert ours.shape == theirs.shape
    return [float(((ours.double() - theirs).norm() / theirs.norm()).detach()) for ours, theirs in pairs]


@settings(max_examples=100, deadline=None)
@given(
    batch=st.integers(1, 3),
    channels=st.sampled_from([8, 13, 32, 45]),
    outputs=st.sampled_from([8, 9, 40]),
    size=st.tuples(*[st.integers(1, 11)] * 3),
    kernel=st.sampled_from([(1, 3, 3), (3, 1, 1)]),
    padding=st.integers(0, 1),
    held=st.sampled_from([1, 1 << 15, 1 << 19]),
)
def test_result_and_gradients_are_torchs(batch, channels, outputs, size, kernel, padding, held):
    """Channels that fill no vector, maps that fill no tile, one item at a time or all of them."""
    g = geometry(batch, channels, size, outputs, kernel, padding)
    if min(g.out) < 1:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "HELD", held)
        assert max(compared(g)) <= 2e-5


def test_wide_layers_are_as_exact_as_is_said():
    """A layer of R(2+1)D-18 of each kind: plain sums in 32 bits are at 3e-7 and 1e-6."""
    assert max(compared(geometry(1, 256, (4, 14, 14), 576, (1, 3, 3), 1))) <= 1e-5
    assert max(compared(geometry(1, 576, (4, 14, 14), 256, (3, 1, 1), 1))) <= 4e-6


def test_tiles_are_shared_among_threads():
    torch.set_num_threads(2)
    try:
        assert max(compared(geometry(2, 40, (6, 9, 9), 32, (1, 3, 3), 1))) <= 1e-5
        assert max(compared(geometry(2, 40, (6, 9, 9), 32, (3, 1, 1), 1))) <= 4e-6
    finally:
        torch.set_num_threads(1)


def test_results_do_not_depend_on_what_lies_beyond_a_map():
    """Tiles at the edge read zeros there, not the next map's pixels."""
    g = geometry(2, 32, (3, 5, 6), 32, (1, 3, 3), 1)
    x = torch.randn(2, 32, 3, 5, 6).contiguous(memory_format=LAST)
    weight = torch.randn(32, 32, 1, 3, 3).contiguous(memory_format=LAST)
    alone = x.clone()
    alone[1] = float("nan")
    assert torch.equal(Winograd(g).forward(x, weight)[0], Winograd(g).forward(alone, weight)[0])


@pytest.mark.parametrize(
    ("g", "served"),
    [
        (geometry(2, 64, (16, 56, 56), 144, (1, 3, 3), 1), True),
        (geometry(2, 144, (16, 56, 56), 64, (3, 1, 1), 1), True),
        (geometry(2, 45, (16, 56, 56), 64, (3, 1, 1), 1), True),
        (geometry(32, 16, (8, 8, 8), 64, (1, 3, 3), 1), False),  # too few channels
        (geometry(32, 64, (2, 2, 2), 64, (1, 3, 3), 1), False),  # a tile for four results
        (geometry(32, 64, (2, 2, 2), 64, (3, 1, 1), 1), False),
        (geometry(1, 512, (2, 7, 7), 1152, (1, 3, 3), 1), False),  # eight tiles: the kernel's transform would not pay
        (geometry(2, 64, (16, 56, 56), 144, (3, 3, 3), 1), False),
        (geometry(2, 64, (16, 56, 56), 144, (1, 3, 3), 1)._replace(stride=(1, 2, 2)), False),
    ],
)
def test_it_serves_where_it_pays(g, served):
    assert serves(g) == served


@kernel
def _applied(given, results, length):  # type: ignore[no-untyped-def]
    _apply(np.int64(given.ctypes.data), np.int64(results.ctypes.data), length)


@pytest.mark.parametrize("length", [8, 11, 16, 100])
def test_a_matrix_is_applied_to_lines_wherever_they_lie(length):
    lines, results = torch.rand(3, 128).numpy(), np.full((4, 128), -1, np.float32)
    starts, ends = (np.array([line.ctypes.data for line in of], np.int64) for of in (lines, results))
    _applied(starts, ends, length)
    np.testing.assert_allclose(results[:, :length], np.array(MATRIX) @ lines[:, :length], rtol=1e-6, atol=1e-6)
    assert (results[:, length:] == -1).all()
