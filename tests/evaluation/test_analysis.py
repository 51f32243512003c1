"""Temporal kernels, activation maps, exchanges and the AUROC: known answers, brute force, and sets without truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import avg_pool3d, interpolate

from fame.backbones import Encoder, build_encoder
from fame.backbones.given import save_encoder
from fame.config import Activation, Augment, Clip, Kernels
from fame.evaluation.analysis.activation_maps import (
    MAPS,
    TABLE,
    activation,
    activation_map,
    auroc,
    exchange_distances,
    map_layer,
)
from fame.evaluation.analysis.temporal_kernels import FILE, SAMPLES, energy_share, kernels, sample
from fame.seeds import Seeds
from tests.fakes import FakeVideos, fake_data, fake_run
from tests.painted import PaintedVideos, Reader
from tests.small import CPU, NARROW

CLIP = Clip(frames=4, stride=2, size=32)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=25))
def test_auroc_is_the_chance_that_a_positive_scores_above_a_negative(pairs):
    positives = [score for score, truth in pairs if truth]
    negatives = [score for score, truth in pairs if not truth]
    found = auroc(np.array([[float(score) for score, _ in pairs]]), np.array([[truth for _, truth in pairs]]))[0]
    if not positives or not negatives:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.mean([(p > n) + (p == n) / 2 for p in positives for n in negatives]))


def test_energy_share_of_known_kernels():
    still, moving = torch.ones(2, 3, 3), torch.tensor([[[1.0, 0.0, -1.0]]])
    assert energy_share([still]) == 0 and energy_share([moving]) == 1
    assert energy_share([still, moving]) == pytest.approx(2 / (18 + 2))  # shares of the energy, not means of shares
    assert np.isnan(energy_share([torch.zeros(1, 1, 3)]))


def measured(folder: Path, change: Any = None) -> dict[str, Any]:
    encoder = build_encoder(NARROW, Seeds(3).of("initialisation"))
    if change is not None:
        with torch.no_grad():
            change(encoder)
    folder.mkdir(parents=True, exist_ok=True)
    save_encoder(encoder, NARROW, folder / "encoder.pt")
    return kernels(Kernels(), folder / "encoder.pt", fake_run(folder, FakeVideos(per_class=1, counterfactual=False), replicate=3))


def test_the_initialisation_itself_has_ratio_1_and_two_thirds_of_its_energy_vary(tmp_path):
    result = measured(tmp_path)
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        assert result["metrics"][f"ratio/{layer}"] == pytest.approx(1)
        assert result["metrics"][f"energy/{layer}"] == pytest.approx(2 / 3, abs=0.08)  # three taps drawn independently; few kernels
        assert result["metrics"][f"spread/{layer}"] > 0
    encoder = build_encoder(NARROW, Seeds(3).of("initialisation"))
    with np.load(tmp_path / FILE) as stored:
        assert list(stored) == ["layer1", "layer2", "layer3", "layer4"] and result["artifacts"] == [FILE]
        whole = torch.cat([kernel.flatten() for kernel in encoder.temporal_kernels()["layer1"]]).numpy()
        assert stored["layer1"].dtype == np.float32 and np.array_equal(stored["layer1"], whole)
        assert max(len(stored[name]) for name in stored) <= SAMPLES


def test_only_the_layer_that_changed_changes(tmp_path):
    def smooth(encoder: Encoder) -> None:
        for kernel in encoder.layer2.parameters():
            if kernel.dim() == 5:
                kernel.copy_(kernel.mean(2, keepdim=True).expand_as(kernel))

    metrics = measured(tmp_path, smooth)["metrics"]
    assert metrics["energy/layer2"] == pytest.approx(0, abs=1e-9) and metrics["ratio/layer2"] == pytest.approx(0, abs=1e-9)
    assert [metrics[f"ratio/layer{other}"] for other in (1, 3, 4)] == pytest.approx([1, 1, 1])


def test_the_sample_is_deterministic_and_sees_every_tap():
    weights = torch.arange(90_000, dtype=torch.float32)
    chosen = sample(weights, 3000)
    assert len(chosen) == 3000 == len(np.unique(chosen)) and np.array_equal(chosen, sample(weights, 3000))
    taps = np.bincount(chosen.astype(int) % 3)
    assert taps.min() > 900


class Eye(Encoder):
    """A map of 8 x 8 of how much (`sign` 1) or how little (-1) the figure's yellow shows; the pooled feature is of no use."""

    dim = 1

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign

    def features(self, clips: Tensor) -> Tensor:
        normal = Augment()
        pixels = clips * torch.tensor(normal.std).view(3, 1, 1, 1) + torch.tensor(normal.mean).view(3, 1, 1, 1)
        yellow = (pixels[:, :2].amin(1, keepdim=True) * 255 - 150).clamp(0, 60)  # backgrounds stay below 150 in red or green
        return self.sign * avg_pool3d(yellow if self.sign > 0 else 60 - yellow, (1, 4, 4))

    def temporal_kernels(self) -> dict[str, list[Tensor]]:
        return {}


MAPPED = Activation(data=fake_data(), clip=CLIP, videos=6, examples=2)


def test_a_map_of_the_figure_scores_high_its_inverse_low_and_both_show_the_same_examples(tmp_path, evaluated):
    videos = FakeVideos(per_class=2)
    results, stored = [], []
    for folder, sign in (("a", 1), ("b", -1)):
        results.append(evaluated(activation, MAPPED, Eye(sign), videos, folder))
        with np.load(tmp_path / folder / MAPS) as file:
            stored.append({name: file[name] for name in file})
    seeing, blind = results
    assert seeing["metrics"]["auroc"] > 0.95 and blind["metrics"]["auroc"] < 0.05
    assert seeing["notes"]["layer"] == "features" and seeing["notes"]["map"] == [4, 8, 8]
    table = pd.read_csv(tmp_path / "a" / TABLE)
    assert table["auroc"].mean() == pytest.approx(seeing["metrics"]["auroc"]) and (table["frames"] == 4).all()
    for name, shape in (
        ("frames", (2, 4, 32, 32, 3)),
        ("maps", (2, 4, 32, 32)),
        ("truth", (2, 4, 32, 32)),
        ("videos", (2,)),
    ):
        assert stored[0][name].shape == stored[1][name].shape == shape
        assert np.array_equal(stored[0][name], stored[1][name]) == (name != "maps")
    yellow = stored[0]["frames"][stored[0]["truth"]]
    assert yellow[:, 0].mean() > 200  # the truth lies on the figure in the frames that are shown


def test_frames_that_do_not_show_the_figure_are_passed_over(tmp_path, evaluated):
    class Leaving(FakeVideos):
        def true_masks(self, rows: Tensor, starts: Tensor, clip: Clip) -> Tensor:
            masks = super().true_masks(rows, starts, clip)
            masks[:, 1:] = False
            return masks

    result = evaluated(activation, MAPPED, Eye(1), Leaving(per_class=2))
    assert result["metrics"]["auroc"] > 0.95
    assert (pd.read_csv(tmp_path / TABLE)["frames"] == 1).all()


def test_a_set_without_truth_and_without_counterfactuals_still_gives_maps(tmp_path, evaluated):
    videos = FakeVideos(per_class=1, counterfactual=False)
    videos.true_masks = lambda *given: None
    asked = MAPPED.model_copy(update={"examples": 9})
    result = evaluated(activation, asked, Eye(1), videos)
    assert result["metrics"] == {} and not result["notes"]["truth"]
    with np.load(tmp_path / MAPS) as file:
        assert "truth" not in file and len(file["maps"]) == 4


def test_the_map_is_read_where_it_has_extent():
    narrow = build_encoder(NARROW).eval()
    layer, (_, height, width) = map_layer(narrow, CLIP, CPU)
    assert layer == "layer2" and height == width == 4  # 32 px: 8 after the stem and layer1, 4, 2, 1
    assert map_layer(narrow, Clip(frames=4, stride=1, size=128), CPU)[0] == "layer4"
    assert map_layer(narrow, Clip(frames=4, stride=1, size=16), CPU)[0] == "layer1"


def test_the_map_is_the_sum_of_magnitudes_of_that_layer():
    narrow = build_encoder(NARROW).eval()
    clips = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    heat = activation_map(narrow, "layer2", clips)
    with torch.inference_mode():
        inside = narrow.layer2(narrow.layer1(narrow.stem(clips))).abs().sum(1)
        last = narrow.features(clips).abs().sum(1)
    expected = interpolate(inside[:, None], (4, 32, 32), mode="trilinear")[:, 0]
    torch.testing.assert_close(heat, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(activation_map(narrow, "layer4", clips)[:, 0, 0, 0], last[:, 0, 0, 0], rtol=1e-4, atol=1e-5)


EXCHANGED = Activation(data=fake_data(), clip=Clip(frames=2, stride=1, size=16), videos=12, examples=1, precision="fp32")


@pytest.mark.parametrize(("label", "scene"), [(1.0, 3.0), (2.0, 1.0), (1.0, 0.0)])
def test_the_exchange_ratio_of_known_features(label, scene):
    videos = PaintedVideos()
    rows = videos.select("test")
    found = exchange_distances(Reader(label, scene), videos, rows, EXCHANGED, CPU)
    assert found is not None and len(found) == len(rows)
    np.testing.assert_allclose(found["scene_distance"], scene * np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(found["figure_distance"], label * np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(found["exchange_ratio"], scene / label, rtol=1e-6)


def test_a_figure_that_moves_nothing_gives_no_ratio_and_no_twins_give_no_table():
    videos = PaintedVideos()
    found = exchange_distances(Reader(0, 1), videos, videos.select("test"), EXCHANGED, CPU)
    assert found is not None and found["exchange_ratio"].isna().all()
    plain = PaintedVideos(counterfactual=False)
    assert exchange_distances(Reader(0, 1), plain, plain.select("test"), EXCHANGED, CPU) is None


def test_the_exchange_ratio_reaches_the_result(tmp_path, evaluated):
    result = evaluated(activation, EXCHANGED, Reader(2, 1))
    assert result["metrics"]["exchange_ratio"] == pytest.approx(0.5)
    assert result["artifacts"] == [TABLE, MAPS]
