"""Parity with the released code: flavour `official` against what that code computed for real, staged and noise clips.

tests/golden keeps the clips made by this project (masks packed to bits); the third-party ones are read from ../shared where it
exists.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fame import foreground_mask, mask_maps

KEPT = Path(__file__).parents[1] / "golden" / "official_masks_112.npz"
WHOLE = Path(__file__).parents[3] / "shared" / "golden" / "official_masks_112.npz"
MAPS = ("frame_difference", "frame_difference_blurred", "posterior", "posterior_blurred")
BETAS = (0.3, 0.5, 0.7)


def golden(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        pytest.skip("the golden masks of third-party clips lie beside the project, in ../shared/golden, which is absent here")
    return dict(np.load(path))


def as_clips(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames).float().div(255).permute(0, 4, 1, 2, 3)


def masks_of(file: dict[str, np.ndarray], beta: float) -> torch.Tensor:
    mask = file[f"mask_beta{beta}"]
    return torch.from_numpy(mask if mask.dtype == bool else np.unpackbits(mask, axis=-1)).bool()


def iou(mask: torch.Tensor, other: torch.Tensor) -> float:
    """Return the least intersection over union of a batch."""
    a, b = mask.bool().flatten(1), other.bool().flatten(1)
    return float(((a & b).sum(1) / (a | b).sum(1)).min())


@pytest.mark.parametrize("path", [KEPT, WHOLE], ids=["kept", "third-party"])
def test_official_flavour_agrees_with_the_released_code(path):
    file = golden(path)
    clips = as_clips(file["clips"])
    maps = mask_maps(clips, flavour="official")
    assert set(maps) == set(MAPS)
    for name in MAPS:
        np.testing.assert_allclose(maps[name].numpy(), file[name], atol=1e-4, rtol=0, err_msg=name)
    for beta in BETAS:
        for exact, least in ((True, 0.999), (False, 0.97)):  # the fast path may differ in colours on rounding edges
            assert iou(foreground_mask(clips, beta=beta, flavour="official", exact=exact), masks_of(file, beta)) >= least


def test_bf16_autocast_leaves_the_mask_alone():
    clips = as_clips(golden(KEPT)["clips"][:1])
    for exact in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = foreground_mask(clips, flavour="official", exact=exact)
        assert torch.equal(inside, foreground_mask(clips, flavour="official", exact=exact))
