"""Networks: shapes, determinism, names, temporal kernels; I3D and C3D by forward passes of their own."""

from __future__ import annotations

import copy
import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.video import r2plus1d_18, r3d_18, s3d

from fame.backbones import Encoder, build_encoder
from fame.backbones.i3d import SamePool, same_padding
from fame.config import Backbone

torch.set_num_threads(1)
NAMES = ("r2plus1d_18", "r2plus1d_narrow", "r3d_18", "s3d", "i3d", "c3d")


@cache
def varied(name: str) -> Encoder:
    """In eval mode, with statistics that differ from channel to channel; not changed."""
    net, generator = build_encoder(Backbone(name=name), 3), torch.Generator().manual_seed(0)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm3d):
            for value, low, high in ((part.weight, 0.8, 1.6), (part.bias, -0.1, 0.2), (part.running_mean, -0.1, 0.1)):
                value.data.uniform_(low, high, generator=generator)
            part.running_var.uniform_(*((0.05, 0.3) if name == "i3d" else (0.5, 2)), generator=generator)
    return net.eval()


@pytest.mark.parametrize("name", NAMES)
def test_features_are_maps_and_their_mean(name):
    encoder = build_encoder(Backbone(name=name, width=4)).eval()
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        maps, pooled = encoder.features(clips), encoder(clips)
    assert maps.shape[:2] == (2, encoder.dim)
    assert (maps >= 0).all()
    assert torch.allclose(maps.mean((2, 3, 4)), pooled)


def test_initialisation_is_a_function_of_the_seed_alone():
    narrow = Backbone(name="r2plus1d_narrow", width=4)
    torch.manual_seed(1)
    first = build_encoder(narrow, seed=5)
    untouched = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), untouched)  # building drew nothing from the global stream
    second, other = build_encoder(narrow, seed=5), build_encoder(narrow, seed=6)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.stem[0].weight, other.stem[0].weight)


def test_state_dicts_are_torchvisions():
    ours = build_encoder(Backbone(name="r2plus1d_18"))
    theirs = r2plus1d_18(weights=None)
    missing, unexpected = ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    assert not missing and not unexpected
    narrow = build_encoder(Backbone(name="r2plus1d_narrow", width=64)).state_dict()
    assert narrow.keys() == ours.state_dict().keys()
    published = {name: value.shape for name, value in ours.state_dict().items() if value.dim() == 5}
    for name, shape in published.items():  # but for the stem and rounding
        assert all(abs(a - b) <= 8 for a, b in zip(narrow[name].shape, shape, strict=True)), name
    assert all(narrow[name].shape[0] % 16 == 0 for name in published if name.startswith("layer"))
    assert set(build_encoder(Backbone(name="r3d_18")).state_dict()) == {
        k for k in r3d_18(weights=None).state_dict() if k[:3] != "fc."
    }
    trunk = {k.replace("trunk.", "features.", 1) for k in build_encoder(Backbone(name="s3d")).state_dict()}
    assert trunk == {k for k in s3d(weights=None).state_dict() if k.startswith("features.")}


def test_temporal_kernels_are_the_weights_along_time():
    encoder = build_encoder(Backbone(name="r2plus1d_narrow", width=4))
    kernels = encoder.temporal_kernels()
    assert list(kernels) == ["layer1", "layer2", "layer3", "layer4"]
    assert [len(layer) for layer in kernels.values()] == [4, 4, 4, 4]
    assert torch.equal(kernels["layer2"][0], encoder.layer2[0].conv1[0][3].weight[:, :, :, 0, 0])
    assert all(not kernel.requires_grad and kernel.shape[2] == 3 for layer in kernels.values() for kernel in layer)
    assert encoder.kernels_note == ""


@pytest.mark.parametrize(
    ("name", "numbers", "layer", "weight"),
    [
        ("r3d_18", (4, 4, 4, 4), "layer1", "layer1.0.conv1.0.weight"),
        ("i3d", (2, 4, 10, 4), "layer4", "mixed_5b.branch_1.1.conv3d.weight"),
        ("c3d", (2, 2, 2, 2), "layer3", "conv4a.conv.weight"),
        ("s3d", (2, 4, 10, 4), "layer1", "trunk.0.1.0.weight"),
    ],
)
def test_cubic_kernels_are_averaged_over_their_positions(name: str, numbers: tuple[int, ...], layer: str, weight: str) -> None:
    encoder = varied(name)
    kernels = encoder.temporal_kernels()
    assert tuple(map(len, kernels.values())) == numbers
    temporal = [part for part in encoder.modules() if isinstance(part, nn.Conv3d) and part.kernel_size[0] > 1]
    assert sum(numbers) == len(temporal) - (name == "r3d_18")  # none is lost between the stages, but a stem's
    assert torch.allclose(kernels[layer][0], encoder.state_dict()[weight].mean((3, 4)), atol=1e-7)
    assert ("averaged" in encoder.kernels_note) == (name != "s3d")


def padded(x: Tensor, kernel: int | tuple, stride: int | tuple, value: float) -> Tensor:
    """Axis by axis: ceil(n / s) windows, of the missing positions the larger half after."""
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


def i3d_by_hand(weights: dict[str, Tensor], x: Tensor) -> Tensor:
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


def c3d_by_hand(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """C3D's last map from its weights alone."""
    for name in ("1", "2", "3a", "3b", "4a", "4b", "5a", "5b"):
        own = {key.removeprefix(f"conv{name}."): value for key, value in weights.items() if key.startswith(f"conv{name}.")}
        x = functional.conv3d(functional.pad(x, (1,) * 6), own["conv.weight"])
        x = (x - own["norm.running_mean"][:, None, None, None]) / (own["norm.running_var"][:, None, None, None] + 1e-5).sqrt()
        x = (x * own["norm.weight"][:, None, None, None] + own["norm.bias"][:, None, None, None]).clamp(min=0)
        if name in ("1", "2", "3b", "4b"):
            time = 1 if name == "1" else 2
            x = functional.max_pool3d(x, (time, 2, 2), (time, 2, 2))
    return x


@pytest.mark.parametrize(
    ("name", "clip"),
    [("i3d", (8, 64, 64)), ("i3d", (7, 45, 38)), ("i3d", (1, 17, 33)), ("c3d", (8, 32, 32)), ("c3d", (11, 35, 16))],
)
def test_the_forward_pass_is_the_one_written_layer_by_layer(name: str, clip: tuple[int, int, int]) -> None:
    x = torch.randn(2, 3, *clip, generator=torch.Generator().manual_seed(1)).double()
    net = copy.deepcopy(varied(name)).double()
    with torch.no_grad():
        ours = net.features(x)
        right = (i3d_by_hand if name == "i3d" else c3d_by_hand)(net.state_dict(), x.clone())
    assert right.std() > 0.01  # values that could differ
    assert torch.allclose(ours, right, rtol=1e-9, atol=1e-12 * float(right.abs().max()))


@pytest.mark.parametrize(
    ("name", "clip", "shape"),
    [
        ("i3d", (16, 224, 224), (1024, 2, 7, 7)),
        ("i3d", (7, 45, 38), (1024, 1, 2, 2)),
        ("c3d", (16, 112, 112), (512, 2, 7, 7)),
        ("r2plus1d_18", (16, 112, 112), (512, 2, 7, 7)),
    ],
)
def test_shapes_at_the_papers_size(name: str, clip: tuple[int, int, int], shape: tuple[int, ...]) -> None:
    """On the meta device nothing is computed."""
    with torch.device("meta"):
        assert build_encoder(Backbone(name=name)).features(torch.empty(1, 3, *clip)).shape == (1, *shape)


def test_numbers_of_parameters_are_the_published_ones() -> None:
    # Carreira & Zisserman's 12.7 million include 400 classes, but no scales
    i3d, c3d = varied("i3d"), varied("c3d")
    scales = sum(part.weight.numel() for part in i3d.modules() if isinstance(part, nn.BatchNorm3d))
    assert round((sum(weight.numel() for weight in i3d.parameters()) - scales + 1024 * 400 + 400) / 1e6, 1) == 12.7
    assert len(i3d.state_dict()) == 57 * 6 and len(c3d.state_dict()) == 8 * 6
    widths = (3, 64, 128, 256, 256, 512, 512, 512, 512)
    assert sum(weight.numel() for weight in c3d.parameters()) == sum(27 * a * b + 2 * b for a, b in pairwise(widths))


@settings(max_examples=60)
@given(
    size=st.tuples(*[st.integers(1, 20)] * 3),
    kernel=st.tuples(*[st.integers(1, 7)] * 3),
    stride=st.tuples(*[st.integers(1, 3)] * 3),
)
def test_same_padding_gives_ceil_of_size_by_stride(size, kernel, stride) -> None:
    x = torch.rand(1, 1, *size)
    pads = same_padding(size, kernel, stride)
    assert all(0 <= after - before <= 1 for before, after in zip(pads[::2], pads[1::2], strict=True))
    y = SamePool(kernel, stride)(x)
    assert y.shape[2:] == tuple(math.ceil(n / s) for n, s in zip(size, stride, strict=True))
    assert torch.equal(y, functional.max_pool3d(padded(x, kernel, stride, -math.inf), kernel, stride))


@pytest.mark.parametrize(
    ("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (1, 1, 1)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))]
)
@pytest.mark.parametrize("size", [(5, 7, 9), (4, 8, 8), (1, 3, 3)])
def test_pooling_as_images_is_pooling_of_volumes(kernel, stride, size) -> None:
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
