"""The fast form of a network is the same network: outputs, gradients, running statistics, in 32 bits and in bfloat16."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from fame.backbones import build_encoder, fast_layout
from fame.backbones.convolution import Convolution
from fame.backbones.norm import BatchNorm
from fame.config import Backbone
from fame.precision import has_bf16_units

torch.set_num_threads(1)
NETWORKS = {"r2plus1d_narrow": (8, 32), "r3d_18": (4, 32), "s3d": (16, 64), "r2plus1d_18": (4, 32)}  # frames, pixels
KERNELS = ((1, 3, 3), (3, 1, 1), (1, 1, 1), (3, 3, 3), (1, 7, 7), (7, 1, 1))


def of(kind: type, module: nn.Module) -> nn.Module:
    module.__class__ = kind
    return module


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(1, 6)),
    kernel=st.sampled_from(KERNELS),
    stride=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2, 4])),
    padded=st.booleans(),
)
def test_convolutions_are_conv3ds(size, kernel, stride, padded):
    padding = tuple(k // 2 for k in kernel) if padded else (0, 0, 0)
    if any(n + 2 * p < k for n, p, k in zip(size, padding, kernel, strict=True)):
        return
    plain = nn.Conv3d(3, 5, kernel, (stride[0], stride[1], stride[1]), padding, bias=False).double()
    folded = of(Convolution, copy.deepcopy(plain))
    found = []
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    for module in (plain, folded):
        given_x = x.clone().requires_grad_()
        y = module(given_x)
        (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)).sum().backward()
        found.append((y.detach(), given_x.grad, module.weight.grad))
    for theirs, ours in zip(*found, strict=True):
        assert torch.allclose(theirs, ours, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(
        st.integers(1, 5), st.sampled_from([1, 3, 16, 37, 300]), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)
    ),
    relu=st.booleans(),
    residual=st.booleans(),
    low=st.booleans(),
    offset=st.sampled_from([0.0, 100.0]),
)
def test_batch_norm_with_residual_and_relu(shape, relu, residual, low, offset):
    if shape[0] * shape[2] * shape[3] * shape[4] < 2:
        return  # torch refuses a single value a channel
    dtype = torch.bfloat16 if low else torch.float32
    norm = of(BatchNorm, nn.BatchNorm3d(shape[1]))
    with torch.no_grad():
        norm.weight.uniform_(-1, 2)
        norm.bias.uniform_(-1, 1)
    norm.relu = relu
    plain = of(nn.BatchNorm3d, copy.deepcopy(norm)).double()
    x = (torch.randn(shape) * torch.rand(shape[1]).view(-1, 1, 1, 1) + offset).to(dtype)
    extra, slope = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
    found = []
    for module, wide in ((norm, False), (plain, True)):
        a, b = ((v.double() if wide else v.clone()).requires_grad_() for v in (x, extra))
        if wide:
            y = module(a) + b if residual else module(a)
            y = functional.relu(y) if relu else y
        else:
            y = module(a, b if residual else None)
            assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last_3d)
        (y * slope.to(y.dtype)).sum().backward()
        found.append([y, a.grad, module.weight.grad, module.bias.grad, b.grad if residual else a.grad])
    near = (found[1][0].abs() < 0.03).any() if relu else False  # a value at the edge of ReLU may fall to either side
    for ours, theirs in zip(*found, strict=True):
        scale = theirs.abs().max() + 1e-3
        within = (ours.double() - theirs).abs() / scale
        assert within.max() < (0.02 if low else 2e-3) or near
    assert torch.allclose(norm.running_mean.double(), plain.running_mean, rtol=1e-4, atol=1e-4)
    assert torch.allclose(norm.running_var.double(), plain.running_var, rtol=2e-3, atol=1e-4)


def test_batch_norm_does_not_depend_on_threads():
    norm = of(BatchNorm, nn.BatchNorm3d(18))
    norm.relu = True
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(16, 18, 8, 16, 16, generator=generator).requires_grad_()
        y = norm(x, x.detach())
        (slope,) = torch.autograd.grad((y * x.detach()).sum(), x)
        found.append((y.detach(), slope))
    torch.set_num_threads(1)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_keeps_its_outputs_gradients_and_statistics(name):
    frames, pixels = NETWORKS[name]
    plain = build_encoder(Backbone(name=name, width=8), 1)
    for weight in plain.parameters():
        if weight.dim() == 1:
            nn.init.uniform_(weight, 0.5, 1)  # the narrow network's zeros would hide half of it
    ours = fast_layout(copy.deepcopy(plain))
    assert sum(isinstance(part, BatchNorm) and part.relu for part in ours.modules()) > 8
    plain = plain.double()
    clips = torch.randn(4, 3, frames, pixels, pixels)
    weights = torch.randn(4, plain.dim)
    (plain(clips.double()) * weights).sum().backward()
    (ours(clips) * weights).sum().backward()
    for (part, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert functional.cosine_similarity(a.grad.double().flatten(), b.grad.flatten(), 0) > 0.99, part
    for (part, a), b in zip(ours.named_buffers(), plain.buffers(), strict=True):
        assert torch.allclose(a.double(), b.double(), rtol=1e-2, atol=1e-4), part
    assert list(ours.state_dict()) == list(plain.state_dict())
    with torch.no_grad():
        assert torch.allclose(ours.eval()(clips).double(), plain.eval()(clips.double()), rtol=1e-2, atol=1e-2)
    # with gradients, eval mode is torch's own
    assert torch.allclose(ours(clips).double(), plain(clips.double()), rtol=1e-2, atol=1e-2)


def shapes_of(name: str, clip: tuple[int, int, int]) -> set[tuple]:
    """(kernel, stride, padding, T, H, W) of every convolution that meets a clip of that size."""
    network, found = build_encoder(Backbone(name=name, width=4)).eval(), set()
    for part in network.modules():
        if isinstance(part, nn.Conv3d):
            part.register_forward_hook(lambda m, given, _: found.add((m.kernel_size, m.stride, m.padding, *given[0].shape[2:])))
    with torch.no_grad():
        network(torch.zeros(1, 3, *clip))
    return found


SIZES = [("r2plus1d_narrow", (8, 32, 32)), ("r2plus1d_18", (16, 112, 112)), ("r2plus1d_18", (8, 32, 32))]
SIZES += [("r3d_18", (16, 112, 112)), ("r3d_18", (8, 64, 64)), ("s3d", (16, 64, 64))]


@pytest.mark.skipif(not has_bf16_units(torch.device("cpu")), reason="no bfloat16 units: emulated, and minutes long")
@pytest.mark.parametrize(("name", "clip"), SIZES)
def test_bfloat16_gradients_are_right_at_every_shape(name, clip):
    """torch's own are not: with a temporal kernel of three and a map of two frames they hold rests of memory."""
    for kernel, stride, padding, *size in sorted(shapes_of(name, clip)):
        exact = of(Convolution, nn.Conv3d(8, 16, kernel, stride, padding, bias=False))
        with torch.no_grad():
            exact.weight.copy_(exact.weight.bfloat16())
        low = copy.deepcopy(exact)
        x = torch.randn(4, 8, *size).bfloat16()
        found = []
        for module, on in ((exact, False), (low, True)):
            given_x = x.float().requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=on):
                y = module(given_x)
            generator = torch.Generator().manual_seed(1)
            y.backward(torch.randn(y.shape, generator=generator).bfloat16().to(y.dtype))
            found.append((y.detach(), given_x.grad, module.weight.grad))
        for right, ours in zip(*found, strict=True):
            assert (right - ours.float()).norm() < 0.02 * right.norm(), (kernel, stride, size)


def test_bfloat16_goes_through():
    encoder = fast_layout(build_encoder(Backbone(name="r2plus1d_narrow", width=4)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = encoder(torch.randn(2, 3, 4, 16, 16))
    features.float().sum().backward()
    assert features.dtype == torch.bfloat16
    assert all(torch.isfinite(weight.grad).all() for weight in encoder.parameters())
