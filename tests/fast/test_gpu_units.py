"""A unit by the kernels of fame/fast/gpu/ is convolution, norm, addition and ReLU: outputs, gradients, running statistics."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from fame.backbones import fast_layout
from fame.config import Backbone
from tests.backbones.test_fast_layout import close, compare_networks, compare_unit, uneven

gpu = pytest.importorskip("fame.fast.gpu.unit", exc_type=ImportError)  # where there is no Triton
from fame.fast.gpu import batch_norm, convolution  # noqa: E402

KERNELS = ((1, 3, 3), (3, 1, 1), (1, 1, 1), (3, 3, 3), (1, 7, 7))
NEEDS_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kinds of all folds that units were computed by: none, where the kernels were not taken."""
    found: list[str] = []
    original = convolution.Fold.forward

    def forward(self: convolution.Fold, *given: torch.Tensor) -> torch.Tensor:
        found.append(self.kind)
        return original(self, *given)

    monkeypatch.setattr(convolution.Fold, "forward", forward)
    return found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6)),
    channels=st.tuples(st.sampled_from([1, 3, 16]), st.sampled_from([1, 5, 16, 70])),
    kernel=st.sampled_from(KERNELS),
    stride=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2, 4])),
    relu=st.booleans(),
    added=st.booleans(),
    fill=st.booleans(),
    chunks=st.booleans(),
    offset=st.sampled_from([0.0, 100.0]),
)
def test_a_unit_is_convolution_norm_addition_and_relu(
    on_kernels, repeatable, counted, size, channels, kernel, stride, relu, added, fill, chunks, offset
):
    if on_kernels.type == "cpu" and kernel == (1, 1, 1) and max(stride) > 1 and channels[0] % 8:
        return  # plain torch 2.15 writes beyond the memory of these gradients on some CPUs
    padding = tuple(k // 2 for k in kernel)
    conv = nn.Conv3d(*channels, kernel, (stride[0], stride[1], stride[1]), padding, bias=False).to(on_kernels)
    norm = nn.BatchNorm3d(channels[1]).to(on_kernels)

    def run(x: torch.Tensor, residual: torch.Tensor | None) -> torch.Tensor:
        counted.clear()
        found = gpu.run(conv, norm, relu, x, residual, inner=True)
        assert counted and found.shape[1] == (-(-channels[1] // 16) * 16 if fill and not added else channels[1])
        assert not found[:, channels[1] :].any()
        return found[:, : channels[1]]

    with pytest.MonkeyPatch.context() as patch:
        if fill:  # empty channels as 16-bit numbers have them
            patch.setattr(gpu, "filled", lambda channels, dtype: convolution.filled(channels, torch.bfloat16))
        if chunks:  # several of rows, several blocks of channels, and rests of both
            patch.setattr(batch_norm, "TILE", 1024)
            patch.setattr(batch_norm, "PROGRAMS", 6)
        compare_unit(run, conv, norm, torch.randn(4, channels[0], *size) + offset, relu, added)


SIZES = [("r2plus1d_narrow", 4, 32)]
SIZES += [
    pytest.param(*size, marks=NEEDS_A_GPU) for size in (("r2plus1d_18", 8, 64), ("r3d_18", 8, 64), ("s3d", 16, 96), ("i3d", 16, 96))
]


@pytest.mark.parametrize(("name", "frames", "pixels"), SIZES)
def test_a_network_keeps_its_outputs_gradients_and_statistics(on_kernels, repeatable, counted, name, frames, pixels, monkeypatch):
    torch.manual_seed(1)
    plain = uneven(Backbone(name=name, width=8))
    ours = fast_layout(copy.deepcopy(plain)).to(on_kernels)
    if name == "r2plus1d_narrow":  # with empty channels behind the five of its stem
        monkeypatch.setattr(gpu, "filled", lambda channels, dtype: convolution.filled(channels, torch.bfloat16))
    compare_networks(plain, ours, frames, pixels)
    # in training and in evaluation; with gradients, eval mode is torch's own
    assert len(counted) == 2 * sum(isinstance(part, nn.Conv3d) for part in ours.modules())


def test_bfloat16_fills_channels_and_leaves_none_behind(on_kernels, repeatable, counted):
    torch.manual_seed(0)
    network = fast_layout(
        nn.Sequential(
            nn.Conv3d(3, 5, (1, 3, 3), padding=(0, 1, 1), bias=False),
            nn.BatchNorm3d(5),
            nn.ReLU(),
            nn.Conv3d(5, 6, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(6),
        )
    ).to(on_kernels)
    twin = copy.deepcopy(network)
    clips = torch.randn(2, 3, 4, 6, 6, device=on_kernels)
    with torch.autocast(on_kernels.type, dtype=torch.bfloat16):
        found = network(clips)
    weights = torch.randn(found.shape, device=on_kernels)
    (found.float() * weights).sum().backward()
    assert found.dtype == torch.bfloat16 and found.shape[1] == 6 and counted == ["images", "sheets"]
    right = twin(clips)
    (right * weights).sum().backward()
    assert close(found.float().cpu(), right.cpu(), 0.02)
    for a, b in zip(network.parameters(), twin.parameters(), strict=True):
        assert a.grad.dtype == torch.float32 and a.grad.shape == b.grad.shape
        assert close(a.grad.cpu(), b.grad.cpu(), 0.1)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [
        ((1, 7, 7), (1, 2, 2), (0, 3, 3), (3, 16, 18)),  # R(2+1)D
        ((7, 7, 7), (2, 2, 2), (0, 0, 0), (9, 13, 12)),  # I3D, whose clips come padded
        ((3, 7, 7), (1, 2, 2), (1, 3, 3), (4, 9, 8)),  # R3D
        ((3, 4, 2), (2, 1, 2), (1, 2, 0), (6, 5, 9)),
    ],
)
def test_a_first_convolution_taken_apart_is_itself(kernel, stride, padding, size):
    torch.manual_seed(0)
    conv = nn.Conv3d(3, 4, kernel, stride, padding, bias=False).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    right = conv(x)
    slope = torch.randn_like(right)
    right.backward(slope)
    expected, conv.weight.grad = conv.weight.grad, None
    apart, weight, geometry = convolution.taken_apart(conv, x)
    assert geometry.stride == (1, 1, 1) and apart.shape[1] == 3 * math.prod(stride)
    found = functional.conv3d(apart, weight, None, 1, geometry.padding)
    assert found.shape == right.shape and torch.allclose(found, right)
    found.backward(slope)
    assert torch.allclose(conv.weight.grad, expected)
    assert convolution.is_taken_apart(conv, x.bfloat16()) and not convolution.is_taken_apart(conv, x.float())
    assert not convolution.is_taken_apart(conv, x.bfloat16().requires_grad_())  # there a gradient would have to be put together
