"""Foreground masks: sizes, areas, degenerate clips, precision, the four variants and what is refused."""

from __future__ import annotations

import colorsys
import itertools
import math
import shutil
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame import ForegroundBackgroundMerge, foreground_mask, mask_maps
from fame.method.bayes import Bayes
from fame.method.masks import blur_kernel, colour_posterior, colours, gaussian_weights, smooth, top_share
from tests.small import KINDS, clips_of, noise, seeded

HARD = ("fame", "seed")


def red_square(side: int = 64, frames: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """A red square of a third of the side, moving right over blue-green noise; and where it has been, (1, side, side)."""
    square = side // 3
    clip = noise(1, 1, side).mul(0.2).repeat(1, 1, frames, 1, 1)
    clip[:, 1:] += 0.4
    been = torch.zeros(1, side, side, dtype=torch.bool)
    for t in range(frames):
        left = 2 + t
        clip[:, :, t, 8 : 8 + square, left : left + square] = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)
        been[:, 8 : 8 + square, left : left + square] = True
    return clip, been


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    frames=st.integers(2, 5),
    height=st.integers(16, 45),
    width=st.integers(16, 45),
    beta=st.floats(0.001, 1.0),
    seed=st.integers(0, 99),
    kind=st.sampled_from(KINDS),
)
def test_hard_masks_hold_exactly_their_share(batch, frames, height, width, beta, seed, kind):
    clips = clips_of(kind, batch, frames, height, width, seed)
    for variant, exact in itertools.product(HARD, (False, True)):
        mask = foreground_mask(clips, variant=variant, beta=beta, exact=exact)
        assert mask.shape == (batch, height, width) and mask.dtype == torch.float32
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
        assert mask.sum((1, 2)).tolist() == [max(1, int(beta * height * width))] * batch
    for value in mask_maps(clips).values():
        assert torch.isfinite(value).all()
    assert mask_maps(clips)["posterior"].amax() <= 1


@settings(max_examples=25, deadline=None)
@given(height=st.integers(16, 40), width=st.integers(16, 40), beta=st.floats(0.001, 1.0))
def test_grid_keeps_whole_cells(height, width, beta):
    mask = foreground_mask(noise(2, 3, height, width), variant="grid", beta=beta)
    rows = [part for part in mask.tensor_split(4, dim=1)]
    cells = torch.stack([cell.flatten(1).mean(1) for row in rows for cell in row.tensor_split(4, dim=2)], 1)
    assert set(cells.unique().tolist()) <= {0.0, 1.0}
    assert cells.sum(1).tolist() == [max(1, round(16 * beta))] * 2


def test_grid_keeps_the_cells_that_move_most():
    clips = torch.zeros(1, 3, 2, 32, 32)
    clips[0, :, 1, 8:16, 16:24] = 1.0  # cell (1, 2), all of it
    clips[0, :, 1, 24:32, 0:4] = 1.0  # cell (3, 0), half of it
    one = foreground_mask(clips, variant="grid", beta=1 / 16)
    assert one[0, 8:16, 16:24].all() and one.sum() == 64
    two = foreground_mask(clips, variant="grid", beta=2 / 16)
    assert two[0, 24:32, 0:8].all() and two.sum() == 128


def test_gauss_is_the_formula_and_ignores_beta_and_clip():
    mask = foreground_mask(noise(2, 2, 33, 48), variant="gauss", beta=0.3)
    assert torch.equal(mask, foreground_mask(noise(2, 2, 33, 48, seed=5), variant="gauss", beta=0.9))
    y, x = 3, 40
    expected = math.exp(-(((y - 16) / 11) ** 2 + ((x - 23.5) / 16) ** 2) / 2)
    assert mask[1, y, x] == pytest.approx(expected, rel=1e-5)
    assert mask.amax() == pytest.approx(1.0, abs=1e-3) and mask.amin() > 0
    assert torch.allclose(mask, mask.flip(-1)) and torch.allclose(mask, mask.flip(-2))


def test_frame_difference_is_the_papers_formula():
    clips = noise(2, 4, 16, 20)
    expected = sum((clips[:, c, t + 1] - clips[:, c, t]).abs() for c in range(3) for t in range(3)) / 3
    assert torch.allclose(mask_maps(clips)["frame_difference"], expected, atol=1e-6)


def test_mask_finds_a_moving_object_and_colour_fills_its_inside():
    clips, been = red_square()
    for variant in HARD:
        recall = (foreground_mask(clips, variant=variant) * been).sum() / been.sum()
        assert recall > 0.95, variant
    tight = been.float().mean().item()  # with no room to spare, seed keeps moving edges and fame the colour
    recalls = {v: ((foreground_mask(clips, variant=v, beta=tight) * been).sum() / been.sum()).item() for v in HARD}
    assert recalls["fame"] > 0.85 > 0.6 > recalls["seed"]


@settings(max_examples=60, deadline=None)
@given(rgb=st.tuples(*[st.integers(0, 255)] * 3))
def test_colours_agree_with_hsv(rgb):
    frames = torch.tensor(rgb).float().div(255).view(1, 3, 1, 1)
    hue, saturation, value = colorsys.rgb_to_hsv(*(v / 255 for v in rgb))
    angle = 2 * math.pi * hue
    for flavour, scaled in (("paper", angle), ("official", 2 * math.pi * angle)):
        exact = [9 * v for v in ((saturation * math.cos(scaled) + 1) / 2, (saturation * math.sin(scaled) + 1) / 2, value)]
        index = int(colours(frames, flavour))
        for level, v in zip((index % 10, index // 10 % 10, index // 100), exact, strict=True):
            assert abs(level - v) <= 0.5 + 1e-3


def test_exact_grey_is_the_sixth_level():
    grey = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    assert colours(grey, "paper").flatten().tolist() == [55, 555, 955]  # counted from 0; value 0.5 is on the edge too


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(0, 4), min_size=16, max_size=16), count=st.integers(1, 20))
def test_top_share_is_a_stable_ranking(values, count):
    ranked = sorted(range(16), key=lambda i: (-values[i], i))[:count]
    kept = top_share(torch.tensor(values).float().view(1, 4, 4), count).flatten().nonzero()[:, 0].tolist()
    assert kept == sorted(ranked)


def test_blur_is_a_normalised_reflected_gaussian():
    assert [blur_kernel(side) for side in (16, 19, 20, 32, 112, 224)] == [1, 1, 3, 3, 11, 23]
    weights = gaussian_weights(5, 5 / 3, torch.device("cpu"))
    assert torch.allclose(smooth(torch.full((1, 2, 16, 20), 0.3), weights), torch.tensor(0.3))
    maps = noise(2, 1, 16, 20)[:, :, 0]
    direct = torch.nn.functional.conv2d(
        torch.nn.functional.pad(maps, (2, 2, 2, 2), mode="reflect").flatten(0, 1)[:, None],
        weights.outer(weights)[None, None],
    )
    assert torch.allclose(smooth(maps, weights).flatten(0, 1), direct[:, 0], atol=1e-6)


def test_the_method_alone_imports_no_more_than_torch_and_pydantic():
    heavy = ("numba", "pandas", "scipy", "mlflow", "optuna", "av", "matplotlib", "torchvision")
    script = f"import sys; from fame import ForegroundBackgroundMerge; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("variant", ["fame", "seed", "grid", "gauss"])
def test_the_plain_path_reads_no_value_back(variant):
    """Tensors of the meta device have no values: whatever asked for one would fail."""
    mask = foreground_mask(noise(2, 3, 33, 24).to("meta"), variant=variant)
    assert mask.shape == (2, 33, 24) and mask.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("variant", ["fame", "seed", "grid", "gauss"])
def test_the_host_does_not_wait_for_the_gpu(variant):
    clips = noise(2, 3, 33, 24).cuda()
    merge = ForegroundBackgroundMerge(variant=variant, background="still")
    merge(clips)  # the first clips of a process are looked at
    torch.cuda.set_sync_debug_mode("error")
    try:
        foreground_mask(clips, variant=variant)
        merge(clips, generator=torch.Generator().manual_seed(0))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.long
@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("variant", ["fame", "seed", "grid", "gauss"])
def test_the_plain_path_compiles_whole(variant):
    clips = noise(2, 3, 33, 24)
    mask = torch.compile(lambda x: foreground_mask(x, variant=variant), fullgraph=True)(clips)
    exact = foreground_mask(clips, variant=variant, exact=True)
    if variant == "gauss":
        assert torch.allclose(mask, exact)
    else:
        assert mask.sum((1, 2)).tolist() == exact.sum((1, 2)).tolist()
        assert ((mask * exact).sum() / torch.maximum(mask, exact).sum()) >= 0.97
    merge = torch.compile(ForegroundBackgroundMerge(variant=variant), fullgraph=True)
    merged, given = merge(clips, clips.flip(0), mask=exact), exact[:, None, None]
    assert torch.allclose(merged, clips * given + clips.flip(0) * (1 - given), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("variant", ["fame", "seed", "grid", "gauss"])
def test_other_precisions_are_computed_in_float32(dtype, variant):
    clips = noise().to(dtype)
    for exact in (False, True):
        same = (foreground_mask(x, variant=variant, exact=exact) for x in (clips, clips.float()))
        assert torch.equal(*same)


@pytest.mark.parametrize("exact", [False, True])
def test_memory_layout_and_repetition_do_not_move_a_pixel(exact):
    clips = noise(3, 7, 31, 32)
    mask = foreground_mask(clips, exact=exact)
    assert torch.equal(mask, foreground_mask(clips.to(memory_format=torch.channels_last_3d), exact=exact))
    assert torch.equal(mask[1:], foreground_mask(clips[1:], exact=exact))
    assert torch.equal(mask, foreground_mask(clips, exact=exact))


@pytest.mark.parametrize(
    ("clips", "how", "says"),
    [
        (noise(2, 1), {}, "T >= 2"),
        (noise(2, 2, 15, 32), {}, "H and W >= 16"),
        (noise(), {"beta": 0}, "baseline without merging is beta = 1.0"),
        (noise(), {"beta": 1.2}, r"lies in \(0, 1\]"),
        (noise(), {"beta": float("nan")}, r"lies in \(0, 1\]"),
        (noise(), {"variant": "fmae"}, "known: gauss, seed, grid, fame"),
        (noise(), {"flavour": "papper"}, "known: paper, official"),
        (noise(), {"prior": 0.0}, "prior ="),
        (noise(), {"sampled": (0.6, 0.5)}, "sampled ="),
    ],
)
def test_wrong_arguments_are_refused_clearly(clips, how, says):
    with pytest.raises(ValueError, match=says):
        foreground_mask(clips, **how)
    if how:
        with pytest.raises(ValueError, match=says):
            ForegroundBackgroundMerge(**how)


def by_hand(colour: torch.Tensor, motion: torch.Tensor, prior: float, sampled: tuple[float, float]) -> torch.Tensor:
    """P(F|x) of one frame by Bayes' rule as it is written, pixel by pixel."""
    pixels = motion.numel()
    counts = [int(share * pixels) for share in sampled]
    order = sorted(range(pixels), key=lambda p: (-motion.flatten()[p].item(), p))
    fore, back = order[: counts[0]], order[pixels - counts[1] :]
    flat = colour.flatten().tolist()
    out = []
    for c in flat:
        in_f = sum(flat[p] == c for p in fore) / counts[0]
        in_b = (sum(flat[p] == c for p in back) + 1) / (counts[1] + 1000)
        out.append(prior * in_f / (prior * in_f + (1 - prior) * in_b))
    return torch.tensor(out).view_as(motion)


@settings(max_examples=25, deadline=None)
@given(
    prior=st.floats(0.05, 0.95),
    shares=st.sampled_from([(0.5, 0.1), (0.3, 0.3), (0.25, 0.1), (0.5, 0.5)]),
    seed=st.integers(0, 999),
)
def test_posterior_is_bayes_rule_with_prior_and_samples(prior, shares, seed):
    generator = seeded(seed)
    colour = torch.randint(0, 7, (1, 16, 16), generator=generator)
    motion = torch.rand(1, 16, 16, generator=generator)
    found = colour_posterior(colour, motion, Bayes(prior, shares))
    assert torch.allclose(found[0], by_hand(colour[0], motion[0], prior, shares), atol=1e-5)


@pytest.mark.parametrize(("prior", "sampled"), [(0.5, (0.3, 0.3)), (0.7, (0.25, 0.1)), (0.3, (0.5, 0.5))])
def test_the_fast_path_takes_the_same_prior_and_samples(prior, sampled):
    clips = (noise(4, 4, 32) * 9).round() / 9 * 0.9 + 0.037
    fast, exact = (foreground_mask(clips, prior=prior, sampled=sampled, exact=exact) for exact in (False, True))
    assert (fast != exact).float().mean() < 0.01  # rounding of scores that tie
    assert not torch.equal(exact, foreground_mask(clips, exact=True))
