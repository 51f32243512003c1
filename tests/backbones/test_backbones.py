"""Networks: shapes, determinism, torchvision's names, temporal kernels. Their fast form: tests/backbones/test_fast_layout.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.video import r2plus1d_18, r3d_18, s3d

from fame.backbones import build_encoder
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
    assert narrow.keys() == ours.state_dict().keys()
    published = {name: value.shape for name, value in ours.state_dict().items() if value.dim() == 5}
    for name, shape in published.items():  # width 64 is the published network, but for the stem and rounded middle channels
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
