"""The stage `masks`: its measures by hand, its files, and a data set that knows no truth."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from fame.config import Clip, Masks
from fame.evaluation.analysis.mask_quality import MEASURES, masks, measure, still_pixels
from tests.fakes import FakeVideos, fake_data, fake_run

CLIP = Clip(frames=4, stride=1, size=24)


def config(**how) -> Masks:
    return Masks(data=fake_data(), clip=CLIP, **{"videos": 8, "examples": 3, **how})


def test_measures_by_hand():
    truth = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    truth[0, 0, 0, :2] = truth[0, 1, 0, 2:] = True  # the union is the first row: 4 of 16
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 0, :3] = mask[0, 1, 0] = True  # 4 pixels, 3 of them true
    still = torch.zeros_like(mask)
    still[0, 0, 3] = still[0, 2, 2] = True  # one still figure pixel, missed by the mask
    found = measure(mask, mask.float(), truth, still)
    assert found["area"] == pytest.approx([0.25])
    assert found["recall_lift"] == pytest.approx([(0.75 - 0.25) / 0.75])
    assert found["iou"] == pytest.approx([3 / 5])
    assert found["recall_still"] == pytest.approx([0.0])
    assert found["auroc"] == pytest.approx([0.5 * (3 / 4 + 11 / 12)])
    assert found["recall_lift_frame"] == pytest.approx([((1 - 0.25) / 0.75 + (0.5 - 0.25) / 0.75) / 2])
    assert found["iou_frame"] == pytest.approx([(2 / 4 + 1 / 5) / 2])


def test_a_clip_without_figure_or_with_a_full_mask_is_undefined_not_wrong():
    full = torch.ones(1, 4, 4, dtype=torch.bool)
    empty = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    found = measure(full, full.float(), empty, full)
    assert all(np.isnan(found[name]).all() for name in MEASURES)
    half = empty.clone()
    half[:, :, :2] = True
    found = measure(full, full.float(), half, full)
    assert np.isnan(found["recall_lift"]).all() and found["iou"] == pytest.approx([0.5])
    truth = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    truth[0, 1, 0] = True  # in one frame of three: the others do not count
    found = measure(truth[:, 1], truth[:, 1].float(), truth, full)
    assert found["iou_frame"] == pytest.approx([1.0]) and found["recall_lift_frame"] == pytest.approx([1.0])


def test_still_pixels_move_no_more_than_the_background():
    motion = torch.arange(100.0).view(1, 10, 10)
    figure = torch.zeros(1, 10, 10, dtype=torch.bool)
    figure[0, 5] = True  # 50 to 59, inside the background's range
    figure[0, 9, 5:] = True  # above all of it
    still = still_pixels(motion, figure)
    assert still[0, 5].all() and not still[0, 9, 5:].any()


def test_the_stage_writes_what_it_says(tmp_path):
    run = fake_run(tmp_path / "run")
    result = masks(config(), None, run)
    json.dumps(result, allow_nan=False)
    assert set(result["artifacts"]) == {"mask_quality.csv", "masks.npz"}
    names = {tuple(name.split("/")[:3]) for name in result["metrics"]}
    assert names == {(v, b, "paper") for v in ("fame", "seed", "grid", "gauss") for b in ("0.3", "0.5", "0.7")} | {
        ("fame", b, "official") for b in ("0.3", "0.5", "0.7")
    }
    assert result["metrics"]["seed/0.5/paper/recall_lift"] > 0.9  # squares that move: motion finds them, the centre does not
    assert result["metrics"]["seed/0.5/paper/auroc"] > result["metrics"]["gauss/0.5/paper/auroc"] + 0.2
    assert result["metrics"]["fame/0.5/paper/auroc"] == result["metrics"]["fame/0.3/paper/auroc"]
    table = pd.read_csv(run.folder / "mask_quality.csv")
    assert len(table) == 8 * len(names) and set(MEASURES) < set(table.columns)
    of_one = table[(table.variant == "fame") & (table.beta == 0.5) & (table.flavour == "paper")]
    assert of_one["iou"].mean() == pytest.approx(result["metrics"]["fame/0.5/paper/iou"])
    assert of_one["video"].nunique() == 8
    kept = np.load(run.folder / "masks.npz")
    assert kept["frames"].shape == (3, 24, 24, 3) and kept["frames"].dtype == np.uint8
    for variant in ("fame", "seed"):
        assert kept[variant].sum((1, 2)).tolist() == [24 * 24 // 2] * 3
    assert kept["truth"].dtype == bool and (kept["truth"] <= kept["truth_union"]).all() and len(kept["videos"]) == 3
    assert kept["frames"][kept["truth"]].mean() > 100  # the bright square lies where its truth says


def test_without_true_masks_only_the_examples_are_made(tmp_path):
    videos = FakeVideos()
    videos.true_masks = lambda *given: None
    run = fake_run(tmp_path / "run", videos)
    result = masks(config(), None, run)
    assert result["metrics"] == {} and result["notes"]["truth"] is False
    kept = np.load(run.folder / "masks.npz")
    assert "truth" not in kept and kept["fame"].shape == (3, 24, 24)
    assert len(pd.read_csv(run.folder / "mask_quality.csv")) == 0
