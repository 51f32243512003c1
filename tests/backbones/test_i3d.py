"""I3D against a forward pass written apart from it, from the paper's table and TensorFlow's definition of `same`."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from fame.backbones import I3D, build_encoder, fast_layout
from fame.backbones.i3d import SamePool, same_padding
from fame.config import Backbone

torch.set_num_threads(1)
BLOCKS = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")


@pytest.fixture(scope="module")
def encoder() -> I3D:
    """With statistics that differ from channel to channel, so that no batch norm is the identity."""
    net = build_encoder(Backbone(name="i3d"), 3)
    assert isinstance(net, I3D)
    generator = torch.Generator().manual_seed(0)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm3d):
            for value, low, high in ((part.weight, 0.8, 1.6), (part.bias, -0.1, 0.2), (part.running_mean, -0.1, 0.1)):
                value.data.uniform_(low, high, generator=generator)
            part.running_var.uniform_(0.05, 0.3, generator=generator)
    return net.eval()


def padded(x: Tensor, kernel: int | tuple, stride: int | tuple, value: float) -> Tensor:
    """Axis by axis: as many windows as ceil(n / s), the missing positions half before, the larger half after."""
    for axis in range(3):
        k, s = (v if isinstance(v, int) else v[axis] for v in (kernel, stride))
        n = x.shape[2 + axis]
        missing = max(0, s * (math.ceil(n / s) - 1) + k - n)
        shape = list(x.shape)
        shape[2 + axis] = missing // 2
        before = torch.full(shape, value, dtype=x.dtype)
        shape[2 + axis] = missing - missing // 2
        x = torch.cat([before, x, torch.full(shape, value, dtype=x.dtype)], 2 + axis)
    return x


def by_hand(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """I3D's last map from its weights alone, without a module."""

    def unit(x: Tensor, name: str, kernel: int, stride: int = 1) -> Tensor:
        y = functional.conv3d(padded(x, kernel, stride, 0.0), weights[f"{name}.conv3d.weight"], stride=stride)
        mean, var, scale, shift = (weights[f"{name}.batch3d.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        y = (y - mean[:, None, None, None]) / (var[:, None, None, None] + 1e-5).sqrt()
        return (y * scale[:, None, None, None] + shift[:, None, None, None]).clamp(min=0)

    def pool(x: Tensor, kernel: tuple, stride: tuple) -> Tensor:
        return functional.max_pool3d(padded(x, kernel, stride, -math.inf), kernel, stride)

    def mixed(x: Tensor, name: str) -> Tensor:
        one = unit(unit(x, f"{name}.branch_1.0", 1), f"{name}.branch_1.1", 3)
        two = unit(unit(x, f"{name}.branch_2.0", 1), f"{name}.branch_2.1", 3)
        three = unit(pool(x, (3, 3, 3), (1, 1, 1)), f"{name}.branch_3.1", 1)
        return torch.cat((unit(x, f"{name}.branch_0", 1), one, two, three), 1)

    x = pool(unit(x, "conv3d_1a_7x7", 7, 2), (1, 3, 3), (1, 2, 2))
    x = unit(unit(x, "conv3d_2b_1x1", 1), "conv3d_2c_3x3", 3)
    x = mixed(mixed(pool(x, (1, 3, 3), (1, 2, 2)), "mixed_3b"), "mixed_3c")
    x = pool(x, (3, 3, 3), (2, 2, 2))
    for block in ("4b", "4c", "4d", "4e", "4f"):
        x = mixed(x, f"mixed_{block}")
    x = pool(x, (2, 2, 2), (2, 2, 2))
    return mixed(mixed(x, "mixed_5b"), "mixed_5c")


@pytest.mark.parametrize("clip", [(8, 64, 64), (7, 45, 38), (1, 17, 33)])
def test_the_forward_pass_is_the_one_written_layer_by_layer(encoder: I3D, clip: tuple[int, int, int]) -> None:
    x = torch.randn(2, 3, *clip, generator=torch.Generator().manual_seed(1)).double()
    net = copy.deepcopy(encoder).double()
    with torch.no_grad():
        ours, right = net.features(x), by_hand(net.state_dict(), x.clone())
        assert right.std() > 0.01  # values that could differ
        assert torch.allclose(ours, right, rtol=1e-9, atol=1e-12 * float(right.abs().max()))
        assert torch.allclose(net(x), right.mean((2, 3, 4)), rtol=1e-9, atol=1e-12 * float(right.abs().max()))
        assert ours.shape == (2, 1024, *(math.ceil(n / by) for n, by in zip(clip, (8, 32, 32), strict=True)))


def test_shapes_at_the_papers_size(encoder: I3D) -> None:
    """On the meta device nothing is computed: 16 frames of 224 and of 112 pixels."""
    net = copy.deepcopy(encoder).to("meta")
    assert net.features(torch.empty(1, 3, 16, 224, 224, device="meta")).shape == (1, 1024, 2, 7, 7)
    assert net.features(torch.empty(1, 3, 16, 112, 112, device="meta")).shape == (1, 1024, 2, 4, 4)
    assert net(torch.empty(2, 3, 64, 224, 224, device="meta")).shape == (2, 1024)


def test_names_and_number_of_parameters(encoder: I3D) -> None:
    units = ["conv3d_1a_7x7", "conv3d_2b_1x1", "conv3d_2c_3x3"]
    places = ("branch_0", "branch_1.0", "branch_1.1", "branch_2.0", "branch_2.1", "branch_3.1")
    units += [f"mixed_{block}.{place}" for block in BLOCKS for place in places]
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {f"{unit}.conv3d.weight" for unit in units} | {f"{unit}.batch3d.{part}" for unit in units for part in norm}
    assert set(encoder.state_dict()) == expected
    assert len(units) == 57
    assert encoder.state_dict()["mixed_4f.branch_1.1.conv3d.weight"].shape == (320, 160, 3, 3, 3)
    # Carreira & Zisserman's 12.7 million are those of the network with its 400 classes: 1024 x 400 + 400 more, less our scales
    scales = sum(part.weight.numel() for part in encoder.modules() if isinstance(part, nn.BatchNorm3d))
    published = sum(weight.numel() for weight in encoder.parameters()) - scales + 1024 * 400 + 400
    assert round(published / 1e6, 1) == 12.7


def axes(most: int) -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(st.integers(1, most), st.integers(1, most), st.integers(1, most))


@settings(max_examples=60)
@given(size=axes(20), kernel=axes(7), stride=axes(3))
def test_same_padding_gives_ceil_of_size_by_stride(size, kernel, stride) -> None:
    x = torch.rand(1, 1, *size)
    pads = same_padding(size, kernel, stride)
    assert all(0 <= after - before <= 1 for before, after in zip(pads[::2], pads[1::2], strict=True))
    y = SamePool(kernel, stride)(x)
    assert y.shape[2:] == tuple(math.ceil(n / s) for n, s in zip(size, stride, strict=True))
    assert torch.equal(y, functional.max_pool3d(padded(x, kernel, stride, -math.inf), kernel, stride))


AGREE = [((16, 224, 224), True), ((16, 112, 112), True), ((4, 16, 48), True), ((16, 225, 224), False), ((6, 112, 112), False)]


@pytest.mark.parametrize(("size", "agree"), AGREE)
def test_where_the_released_codes_padding_is_the_same(size: tuple[int, int, int], agree: bool) -> None:
    """Theirs is kernel - stride whatever the size; what the module's docstring says of it."""
    same = True
    for kernel, stride in (((7, 7, 7), (2, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2))):
        fixed = [max(k - s, 0) for k, s in zip(reversed(kernel), reversed(stride), strict=True)]
        same &= same_padding(size, kernel, stride) == [half for pad in fixed for half in (pad // 2, pad - pad // 2)]
        size = tuple(math.ceil(n / s) for n, s in zip(size, stride, strict=True))  # type: ignore[assignment]
    assert same == agree


def test_the_fast_form_computes_the_same(encoder: I3D) -> None:
    plain = copy.deepcopy(encoder).train()
    ours = fast_layout(copy.deepcopy(plain))
    torch.manual_seed(1)
    clips = torch.randn(4, 3, 9, 40, 36)
    slope = torch.randn(4, 1024)
    for net in (plain, ours):
        (net(clips) * slope).sum().backward()
    for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        assert functional.cosine_similarity(a.grad.flatten(), b.grad.flatten(), 0) > 0.99, name
    with torch.no_grad():
        assert torch.allclose(ours.eval()(clips), plain.eval()(clips), rtol=1e-3, atol=1e-3)


def test_temporal_profiles(encoder: I3D) -> None:
    kernels = encoder.temporal_kernels()
    assert {name: len(found) for name, found in kernels.items()} == {"layer1": 2, "layer2": 4, "layer3": 10, "layer4": 4}
    assert kernels["layer1"][0].shape == (64, 3, 7)
    weight = encoder.state_dict()["mixed_5c.branch_2.1.conv3d.weight"]
    assert torch.allclose(kernels["layer4"][-1], weight.sum((3, 4)) / 9, atol=1e-7)
    assert "averaged" in encoder.kernels_note


@pytest.mark.parametrize(
    ("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (1, 1, 1)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))]
)
@pytest.mark.parametrize("size", [(5, 7, 9), (4, 8, 8), (1, 3, 3)])
def test_pooling_as_images_is_pooling_of_volumes(kernel, stride, size) -> None:
    """Values and gradients, many values being equal; beyond a ReLU the gradient of zeros goes nowhere."""
    torch.manual_seed(0)
    x = torch.randn(2, 16, *size).mul(4).round().relu().contiguous(memory_format=torch.channels_last_3d)
    one, other = (x.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    pool = SamePool(kernel, stride)
    volumes, images = pool(one), pool.as_images(other)
    assert torch.equal(volumes, images)
    slope = torch.randn(images.shape)
    volumes.backward(slope)
    images.backward(slope)
    assert torch.allclose(one.grad[x > 0], other.grad[x > 0], atol=1e-5)
