"""C3D against a forward pass written apart from it; names, sizes, profiles."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fame.backbones import C3D, build_encoder, fast_layout
from fame.backbones.chain import Chain
from fame.config import Backbone

torch.set_num_threads(1)
WIDTHS = {"1": (3, 64), "2": (64, 128), "3a": (128, 256), "3b": (256, 256), "4a": (256, 512)}
WIDTHS |= {"4b": (512, 512), "5a": (512, 512), "5b": (512, 512)}


@pytest.fixture(scope="module")
def encoder() -> C3D:
    net = build_encoder(Backbone(name="c3d"), 3)
    assert isinstance(net, C3D)
    generator = torch.Generator().manual_seed(0)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm3d):
            for value, low, high in ((part.weight, 0.8, 1.6), (part.bias, -0.1, 0.2), (part.running_mean, -0.1, 0.1)):
                value.data.uniform_(low, high, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
    return net.eval()


def by_hand(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    for name in WIDTHS:
        own = {key.removeprefix(f"conv{name}."): value for key, value in weights.items() if key.startswith(f"conv{name}.")}
        x = functional.conv3d(functional.pad(x, (1,) * 6), own["conv.weight"])
        x = (x - own["norm.running_mean"][:, None, None, None]) / (own["norm.running_var"][:, None, None, None] + 1e-5).sqrt()
        x = (x * own["norm.weight"][:, None, None, None] + own["norm.bias"][:, None, None, None]).clamp(min=0)
        if name in ("1", "2", "3b", "4b"):
            time = 1 if name == "1" else 2
            x = functional.max_pool3d(x, (time, 2, 2), (time, 2, 2))
    return x


@pytest.mark.parametrize("clip", [(8, 32, 32), (11, 35, 16)])
def test_the_forward_pass_is_the_one_written_layer_by_layer(encoder: C3D, clip: tuple[int, int, int]) -> None:
    x = torch.randn(2, 3, *clip, generator=torch.Generator().manual_seed(1)).double()
    net = copy.deepcopy(encoder).double()
    with torch.no_grad():
        ours, right = net.features(x), by_hand(net.state_dict(), x.clone())
        assert right.std() > 0.01
        assert torch.allclose(ours, right, rtol=1e-9, atol=1e-12 * float(right.abs().max()))
        assert torch.allclose(net(x), right.mean((2, 3, 4)), rtol=1e-9, atol=1e-12 * float(right.abs().max()))
        assert ours.shape == (2, 512, clip[0] // 8, clip[1] // 16, clip[2] // 16)


def test_names_parameters_and_the_published_size(encoder: C3D) -> None:
    parts = ("conv.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked")
    assert set(encoder.state_dict()) == {f"conv{name}.{part}" for name in WIDTHS for part in parts}
    assert sum(w.numel() for w in encoder.parameters()) == sum(27 * given * out + 2 * out for given, out in WIDTHS.values())
    net = copy.deepcopy(encoder).to("meta")
    assert net.features(torch.empty(1, 3, 16, 112, 112, device="meta")).shape == (1, 512, 2, 7, 7)


def test_the_fast_form_leaves_no_convolution_to_torch(encoder: C3D) -> None:
    ours = fast_layout(copy.deepcopy(encoder))
    assert sum(len(part.units()) for part in ours.modules() if isinstance(part, Chain)) == 8
    clips = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.allclose(ours(clips), encoder(clips), rtol=1e-3, atol=1e-3)


def test_temporal_profiles(encoder: C3D) -> None:
    kernels = encoder.temporal_kernels()
    assert [len(layer) for layer in kernels.values()] == [2, 2, 2, 2]
    assert torch.allclose(kernels["layer3"][0], encoder.state_dict()["conv4a.conv.weight"].sum((3, 4)) / 9, atol=1e-7)
    assert "averaged" in encoder.kernels_note
