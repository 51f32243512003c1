"""The fast form of a network is the same network."""

from __future__ import annotations

import copy
from unittest import mock

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from fame.backbones import build_encoder, fast_layout
from fame.backbones.chain import Chain
from fame.config import Backbone
from fame.fast.cpu import unit as units

torch.set_num_threads(1)
SHALLOW = Backbone(name="r2plus1d_narrow", width=8, blocks=1, stem=12, space=(2, 1, 1), time=(1, 1, 2))
NETWORKS = {  # frames, pixels
    Backbone(name="r2plus1d_narrow", width=8): (8, 32),
    SHALLOW: (8, 32),
    Backbone(name="r3d_18"): (4, 32),
    Backbone(name="s3d"): (16, 64),
    Backbone(name="r2plus1d_18"): (4, 32),
    Backbone(name="i3d"): (9, 40),
    Backbone(name="c3d"): (8, 16),
}
KERNELS = ((1, 3, 3), (3, 1, 1), (1, 1, 1), (3, 3, 3), (1, 7, 7), (7, 1, 1))


def chain(conv: nn.Conv3d, norm: nn.BatchNorm3d, relu: bool) -> Chain:
    found = fast_layout(nn.Sequential(conv, norm, *[nn.ReLU()] * relu))
    assert type(found) is Chain
    return found


def close(ours: torch.Tensor, right: torch.Tensor, share: float) -> bool:
    return (ours.double() - right.double()).norm() <= share * right.double().norm() + 1e-4


def compare_unit(run, conv: nn.Conv3d, norm: nn.BatchNorm3d, x: torch.Tensor, relu: bool, added: bool) -> None:
    """`run(x, residual)` is `conv`, `norm`, addition and ReLU in 64 bits; x may be far from zero."""
    device, far = conv.weight.device, bool(x.mean() > 10)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    right_conv, right_norm = (copy.deepcopy(part).cpu().double() for part in (conv, norm))
    a, b = x.to(device, copy=True).requires_grad_(), x.double().requires_grad_()
    y = right_norm(right_conv(b))
    extra = torch.randn(y.shape)
    c, d = extra.to(device, copy=True).requires_grad_(), extra.double().requires_grad_()
    y = y + d if added else y
    if relu and (y.abs() < 1e-3).any():
        return  # at the edge of ReLU a value may fall to either side
    y = functional.relu(y) if relu else y
    found = run(a, c if added else None)
    slope = torch.randn(y.shape)
    y.backward(slope.double())
    found.backward(slope.to(device))
    loose = 2e-2 if far else 1e-4
    assert close(found.cpu(), y, loose)
    # a norm of few values takes nearly all of a gradient away
    assert (a.grad.cpu().double() - b.grad).norm() <= loose * max(b.grad.norm(), slope.norm())
    for mine, theirs in zip((conv, norm), (right_conv, right_norm), strict=True):
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert (p.grad.cpu().double() - q.grad).norm() <= loose * max(q.grad.norm(), slope.norm() * (101 if far else 1))
    if added:
        assert close(c.grad.cpu(), d.grad, 1e-5)
    assert torch.allclose(norm.running_mean.cpu().double(), right_norm.running_mean, rtol=1e-4, atol=1e-4)
    assert torch.allclose(norm.running_var.cpu().double(), right_norm.running_var, rtol=1e-2, atol=1e-4)
    assert int(norm.num_batches_tracked) == 1


def compare_networks(plain: nn.Module, ours: nn.Module, frames: int, pixels: int) -> None:
    """Both give the same gradients, statistics and, in eval mode, outputs."""
    device, plain = next(ours.parameters()).device, plain.double()
    clips, weights = torch.randn(4, 3, frames, pixels, pixels), torch.randn(4, plain.dim)
    (plain(clips.double()) * weights).sum().backward()
    (ours(clips.to(device)) * weights.to(device)).sum().backward()
    largest = max(weight.grad.norm() for weight in plain.parameters())
    for (part, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        if b.grad.norm() < 1e-9 * largest:  # nothing but rounding
            assert a.grad.norm() < 1e-4 * largest, part
            continue
        assert functional.cosine_similarity(a.grad.cpu().double().flatten(), b.grad.flatten(), 0) > 0.99, part
    for (part, a), b in zip(ours.named_buffers(), plain.buffers(), strict=True):
        assert torch.allclose(a.cpu().double(), b.double(), rtol=1e-2, atol=1e-4), part
    assert list(ours.state_dict()) == list(plain.state_dict())
    for gradients in (False, True):  # with them, eval mode is torch's own
        with torch.set_grad_enabled(gradients):
            found = ours.eval()(clips.to(device)).cpu()
            assert torch.allclose(found.double(), plain.eval()(clips.double()), rtol=1e-2, atol=1e-2)


def uneven(backbone: Backbone) -> nn.Module:
    """A network whose batch norms have other weights than ones and zeros."""
    plain = build_encoder(backbone, 1)
    for weight in plain.parameters():
        if weight.dim() == 1:
            nn.init.uniform_(weight, 0.5, 1)
    return plain


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(1, 6)),
    channels=st.tuples(st.sampled_from([1, 3, 16, 300]), st.sampled_from([1, 5, 16])),
    kernel=st.sampled_from(KERNELS),
    stride=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2, 4])),
    padded=st.booleans(),
    relu=st.booleans(),
    added=st.booleans(),
    offset=st.sampled_from([0.0, 100.0]),
    direct=st.booleans(),
)
@example((5, 1, 1), (3, 16), (7, 1, 1), (2, 1), True, False, False, 0.0, False)  # of which the library dies
def test_a_unit_is_convolution_norm_addition_and_relu(size, channels, kernel, stride, padded, relu, added, offset, direct):
    padding = tuple(k // 2 for k in kernel) if padded else (0, 0, 0)
    if any(n + 2 * p < k for n, p, k in zip(size, padding, kernel, strict=True)):
        return
    conv = nn.Conv3d(*channels, kernel, (stride[0], stride[1], stride[1]), padding, bias=False)
    norm = nn.BatchNorm3d(channels[1])
    ours = chain(conv, norm, relu)
    with mock.patch.object(units, "CLIP", units.CLIP if direct else 0):  # else by the library
        compare_unit(ours, conv, norm, torch.randn(4, channels[0], *size) + offset, relu, added)


def test_a_single_value_a_channel_is_refused_as_torch_refuses_it():
    with pytest.raises(ValueError, match="one value a channel"):
        chain(nn.Conv3d(3, 4, 1, bias=False), nn.BatchNorm3d(4), True)(torch.randn(1, 3, 1, 1, 1))


@pytest.mark.parametrize("channels", [5, 16])
def test_results_are_the_same_bits_with_any_number_of_threads(channels):
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        conv = nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1), bias=False)
        x = torch.randn(16, channels, 8, 16, 16, requires_grad=True)
        y = chain(conv, nn.BatchNorm3d(channels), True)(x, x.detach())
        found.append((y, *torch.autograd.grad((y * x.detach()).sum(), (x, conv.weight))))
    torch.set_num_threads(1)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_what_is_no_chain_is_left_as_it_is():
    odd = fast_layout(nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), nn.BatchNorm3d(4)))
    assert type(odd) is nn.Sequential
    biased = fast_layout(nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)))  # a bias: torch's own operations
    twin = copy.deepcopy(biased)
    twin.__class__ = nn.Sequential
    x = torch.randn(2, 3, 2, 4, 4)
    assert torch.allclose(biased(x), twin(x), atol=1e-6)


@pytest.mark.parametrize("backbone", NETWORKS)
def test_a_network_keeps_its_outputs_gradients_and_statistics(backbone):
    plain = uneven(backbone)
    ours = fast_layout(copy.deepcopy(plain))
    held = sum(len(part.units) for part in ours.modules() if isinstance(part, Chain))
    assert held >= sum(isinstance(part, nn.Conv3d) for part in ours.modules())  # none is left to torch (nested chains count twice)
    compare_networks(plain, ours, *NETWORKS[backbone])


def test_strides_say_how_many_positions_a_clip_ends_in():
    clips = torch.randn(2, 3, 8, 32, 32)
    assert build_encoder(SHALLOW).features(clips).shape == (2, 64, 4, 4, 4)
    assert build_encoder(Backbone(name="r2plus1d_narrow", width=8)).features(clips).shape == (2, 64, 1, 1, 1)


@pytest.mark.parametrize("fast", [False, True])
def test_bfloat16_on_a_cpu_leaves_gradients_as_they_are_in_32_bits(fast):
    """torch's own are wrong on some processors, up to all zeros."""
    encoder, clips = build_encoder(Backbone(name="r2plus1d_narrow", width=4)), torch.randn(2, 3, 4, 16, 16)
    encoder = fast_layout(encoder) if fast else encoder
    found = []
    for enabled in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            encoder(clips).sum().backward()
        found.append([weight.grad.clone() for weight in encoder.parameters()])
    assert all(torch.equal(plain, cast) for plain, cast in zip(*found, strict=True))
