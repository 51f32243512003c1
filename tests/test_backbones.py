"""Networks: shapes, determinism, torchvision's names, factors and their gradients, temporal kernels."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models.video import r2plus1d_18, r3d_18, s3d

from fame.backbones import build_encoder, fast_layout
from fame.backbones.factors import SpatialConv, TemporalConv
from fame.config import Backbone

torch.set_num_threads(1)
NAMES = ("r2plus1d_18", "r2plus1d_narrow", "r3d_18", "s3d")


@pytest.mark.parametrize("name", NAMES)
def test_features_are_maps_and_their_mean(name):
    encoder = build_encoder(Backbone(name=name, width=4)).eval()
    clips = torch.randn(2, 3, 16, 32, 32)
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
    shapes = {name: value.shape for name, value in ours.state_dict().items()}
    assert {name: value.shape for name, value in narrow.items()} == shapes  # width 64 is the published network, but for strides
    assert set(build_encoder(Backbone(name="r3d_18")).state_dict()) == {
        k for k in r3d_18(weights=None).state_dict() if k[:3] != "fc."
    }
    trunk = {k.replace("trunk.", "features.", 1) for k in build_encoder(Backbone(name="s3d")).state_dict()}
    assert trunk == {k for k in s3d(weights=None).state_dict() if k.startswith("features.")}


def test_the_narrow_network_computes_what_plain_convolutions_compute():
    """In double precision, outputs and every gradient, with odd lengths and several maps smaller than a kernel."""
    encoder = build_encoder(Backbone(name="r2plus1d_narrow", width=4), 1).double()
    plain = copy.deepcopy(encoder)
    replaced = 0
    for parent in list(plain.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, TemporalConv | SpatialConv):
                conv = nn.Conv3d(part.in_channels, part.out_channels, part.kernel_size, part.stride, part.padding, bias=False)
                conv.weight = part.weight
                setattr(parent, name, conv)
                replaced += 1
    assert replaced == 1 + 4 * 4 * 2
    clips = torch.randn(3, 3, 7, 40, 24, dtype=torch.float64)
    ours, theirs = encoder(clips), plain(clips)
    assert torch.allclose(ours, theirs, rtol=1e-10)
    weights = torch.randn_like(ours)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    for (name, a), b in zip(encoder.named_parameters(), plain.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        assert torch.allclose(a.grad, b.grad, rtol=1e-8, atol=1e-10), name


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 7), height=st.integers(1, 6), width=st.integers(1, 6), stride=st.sampled_from([1, 2]), last=st.booleans()
)
def test_factors_have_conv3ds_gradients(frames, height, width, stride, last):
    x = torch.randn(2, 3, frames, height, width, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    for kind in (TemporalConv, SpatialConv):
        factor = kind(3, 5, stride).double()
        results = []
        for module in (factor.forward, super(kind, factor).forward):
            given_x = x.clone().requires_grad_()
            y = module(given_x)
            (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)).sum().backward()
            results.append((y.detach(), given_x.grad, factor.weight.grad.clone()))
            factor.weight.grad = None
        for ours, theirs in zip(*results, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-10)


def test_temporal_kernels_are_the_weights_along_time():
    encoder = build_encoder(Backbone(name="r2plus1d_narrow", width=4))
    kernels = encoder.temporal_kernels()
    assert list(kernels) == ["layer1", "layer2", "layer3", "layer4"]
    assert [len(layer) for layer in kernels.values()] == [4, 4, 4, 4]
    assert torch.equal(kernels["layer2"][0], encoder.layer2[0].conv1[0][3].weight[:, :, :, 0, 0])
    assert all(not kernel.requires_grad and kernel.shape[2] == 3 for layer in kernels.values() for kernel in layer)
    assert encoder.kernels_note == ""


def test_other_networks_temporal_kernels():
    profile = build_encoder(Backbone(name="r3d_18"))
    assert "averaged" in profile.kernels_note
    weight = profile.layer1[0].conv1[0].weight
    assert torch.allclose(profile.temporal_kernels()["layer1"][0], weight.mean((3, 4)))
    assert [len(layer) for layer in profile.temporal_kernels().values()] == [4, 4, 4, 4]
    separable = build_encoder(Backbone(name="s3d"))
    kernels = separable.temporal_kernels()
    assert kernels["layer1"][0].shape == (64, 64, 7)
    temporal = [m for m in separable.modules() if isinstance(m, nn.Conv3d) and m.kernel_size[0] > 1]
    assert sum(map(len, kernels.values())) == len(temporal)  # none is lost between the stages


def test_fast_layout_changes_no_result():
    encoder = build_encoder(Backbone(name="r2plus1d_narrow", width=4)).eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        before = encoder(clips)
        after = fast_layout(encoder)(clips)
    assert encoder.stem[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-5)


def test_bfloat16_goes_through():
    encoder = build_encoder(Backbone(name="r2plus1d_narrow", width=4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = encoder(torch.randn(2, 3, 4, 16, 16))
    features.float().sum().backward()
    assert features.dtype == torch.bfloat16
    assert all(torch.isfinite(weight.grad).all() for weight in encoder.parameters())
