"""The GPU kernels of crops and colours do what the plain torch functions define, with the same draws."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame.config import Augment
from fame.method import augment as augmentation
from fame.method.augment import (
    Crops,
    apply_crops,
    colour,
    colour_normalised,
    draw_crops,
    frame_sizes,
    normalise,
    random_crops,
    resample,
    taps,
)
from fame.method.colour import ORDERS, Colours, draw_colours, recolour
from tests.fast.test_cpu_augment import framed, seeded, video

pytest.importorskip("triton")
FULL = Augment(grayscale=0.5, jitter=1, blur=0.5, hue=0.5, brightness=0.8, contrast=0.8, saturation=0.8)
OFF = Augment(flip=0, grayscale=0, jitter=0, blur=0)
# Both take the same 32-bit steps. What differs is how a division, and a multiplication followed by an addition, are rounded, a few
# times 6e-8; jitter and normalisation may multiply that by up to thirty
COLOUR = 1e-5
CROP = 5e-7
one_device = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape[0], 3, *shape[1:], generator=seeded(seed))


@pytest.fixture
def taken(on_kernels: torch.device, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels launched so far, by name."""
    import fame.fast.gpu.colour
    import fame.fast.gpu.crops

    names: list[str] = []

    class Watched:
        def __init__(self, name: str, kernel):
            self.name, self.kernel = name, kernel

        def __getitem__(self, grid):
            names.append(self.name)
            return self.kernel[grid]

    coloured = ("_add_luma", "_apply", "_filter_rows", "_filter_columns")
    for module, kernels in ((fame.fast.gpu.crops, ("_crop",)), (fame.fast.gpu.colour, coloured)):
        for name in kernels:
            monkeypatch.setattr(module, name, Watched(name, getattr(module, name)))
    return names


# ---------------------------------------------------------------- crops


def plain_crops(clips: Tensor, crops: Crops, size: int) -> Tensor:
    return resample(clips, taps(crops.top, crops.height, size), taps(crops.left, crops.width, size, crops.flip))


@settings(one_device, max_examples=20)
@given(framed(longest=40, most_clips=2, most_frames=5, largest=30))
def test_crops_are_the_plain_ones(on_kernels, taken, case) -> None:
    clips, crops, size = case
    taken.clear()
    found = apply_crops(clips.to(on_kernels), crops, size)
    assert taken == ["_crop"] and found.dtype == torch.float32 and found.device.type == on_kernels.type
    assert torch.allclose(found.cpu(), plain_crops(clips, crops, size), atol=CROP, rtol=0)
    assert found.min() >= 0 and found.max() <= 1


def test_clips_of_different_sizes_are_cropped_at_once(on_kernels, taken) -> None:
    clips = [video(5, 40, 56), video(5, 64, 30, seed=1), video(5, 21, 90, seed=2)]
    moved = [clip.to(on_kernels) for clip in clips]
    found = random_crops(moved, 24, Augment(), seeded(1))
    crops = draw_crops(frame_sizes(clips), Augment(), seeded(1))
    expected = [plain_crops(clip[None], Crops(*(field[i : i + 1] for field in crops)), 24) for i, clip in enumerate(clips)]
    assert taken == ["_crop"] and torch.allclose(found.cpu(), torch.cat(expected), atol=CROP, rtol=0)
    assert torch.equal(found, random_crops(moved, 24, Augment(), seeded(1)))


def test_frames_that_do_not_lie_end_to_end_are_cropped_like_others(on_kernels, taken) -> None:
    wide = video(2, 3, 40, 112).to(on_kernels)
    view = wide[:, :, :, 10:66]
    expected = random_crops(view.contiguous(), 24, Augment(), seeded())
    assert torch.equal(random_crops(view, 24, Augment(), seeded()), expected)
    assert torch.equal(random_crops(list(view), 24, Augment(), seeded()), expected) and len(taken) == 3


def test_evenly_coloured_frames_stay_so(on_kernels, taken) -> None:
    clips = torch.full((3, 2, 33, 47, 3), 255, dtype=torch.uint8)
    clips[1], clips[2] = 0, 77
    out = random_crops(clips.to(on_kernels), 24, Augment(), seeded())
    assert (out[0] == 1).all() and (out[1] == 0).all() and ((out[2] - 77 / 255).abs() < 1e-7).all() and taken == ["_crop"]


@pytest.mark.parametrize("box", [(5, 0, 16, 20), (0, 11, 20, 20), (-1, 0, 20, 20), (0, -1, 20, 20), (3, 3, 0, 5)])
def test_boxes_beyond_the_frame_are_refused(on_kernels, taken, box) -> None:
    crops = Crops(*torch.tensor([(0, 0, 9, 9), box]).T, torch.tensor([False, False]))
    with pytest.raises(ValueError, match="beyond frames of 20 x 30"):
        apply_crops([video(2, 40, 50).to(on_kernels), video(2, 20, 30).to(on_kernels)], crops, 16)
    with pytest.raises(ValueError, match=r"\[2, 3\] frames"):
        random_crops([video(2, 40, 50).to(on_kernels), video(3, 40, 50).to(on_kernels)], 16, Augment(), seeded())
    assert not taken


def test_crops_written_to_a_given_tensor(on_kernels, taken) -> None:
    clips = video(2, 1, 40, 56).to(on_kernels)
    expected, out = random_crops(clips, 16, Augment(), seeded()), torch.full((2, 3, 1, 16, 16), -1.0, device=on_kernels)
    assert random_crops(clips, 16, Augment(), seeded(), out=out) is out and torch.equal(out, expected) and len(taken) == 2
    with pytest.raises(ValueError, match="cannot be written"):
        random_crops(clips, 16, Augment(), seeded(), out=out[:1])


def test_masks_and_fractions_take_the_plain_way(on_kernels, taken) -> None:
    clips = video(2, 3, 40, 56).to(on_kernels)
    found = random_crops(clips.double() / 255, 24, Augment(), seeded())
    masks = random_crops(clips[..., 0] > 99, 24, Augment(), seeded())
    assert masks.shape == (2, 3, 24, 24) and not taken
    assert torch.allclose(found, random_crops(clips, 24, Augment(), seeded()), atol=1e-6) and taken


# ---------------------------------------------------------------- colour


KINDS = {
    "any": lambda noise: noise,
    "primary": lambda noise: noise.round(),
    "grey": lambda noise: noise[:, :1].expand_as(noise).contiguous(),
    "nearly grey": lambda noise: 0.9 * noise[:, :1] + 0.001 * noise,
    "black": torch.zeros_like,
    "dark": lambda noise: 1e-6 * noise,
}
SHARES = st.sampled_from([0.0, 0.5, 1.0])
STRENGTHS = st.floats(0, 1)
AUGMENTS = st.builds(
    Augment,
    grayscale=SHARES,
    jitter=SHARES,
    blur=SHARES,
    brightness=STRENGTHS,
    contrast=STRENGTHS,
    saturation=STRENGTHS,
    hue=st.one_of(st.just(0.0), st.just(0.5), st.floats(0, 0.5)),
)


def launched(drawn: Colours, side: int) -> list[str]:
    """The kernels that these colours need."""
    names = ["_add_luma"] if (drawn.group >= 0).any() else []
    return [*names, "_apply", *(["_filter_rows", "_filter_columns"] if drawn.blurred.any() and side >= 20 else [])]


@settings(one_device, max_examples=12)
@given(
    kind=st.sampled_from(list(KINDS)),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(16, 45), st.integers(16, 30)),
    augment=AUGMENTS,
    seed=st.integers(0, 999),
)
def test_colours_are_the_plain_ones(on_kernels, taken, kind, shape, augment, seed) -> None:
    clips = KINDS[kind](pixels(*shape, seed=seed)).to(on_kernels)
    before, drawn, beside = clips.clone(), seeded(seed), seeded(seed)
    colours = draw_colours(len(clips), augment, beside)
    taken.clear()
    found = colour_normalised(clips, augment, drawn)
    assert taken == launched(colours, min(shape[2:])) and torch.equal(clips, before)
    assert torch.allclose(found, normalise(recolour(clips, colours), augment), atol=COLOUR, rtol=0)
    assert torch.equal(drawn.get_state(), beside.get_state())


@pytest.mark.parametrize("start", range(0, 24, ORDERS))
def test_steps_in_every_order(on_kernels, taken, start) -> None:
    orders = torch.tensor(list(permutations(range(4)))[start : start + ORDERS])
    colours = draw_colours(8, FULL, seeded(start))._replace(orders=orders, group=torch.tensor([0, 1, 2, 3, 3, -1, 1, 0]))
    clips = pixels(8, 2, 14, 15, seed=start).to(on_kernels)
    found = augmentation._recoloured(clips, colours, None, False)
    assert taken == ["_add_luma", "_apply"] and torch.allclose(found, recolour(clips, colours), atol=COLOUR, rtol=0)


@pytest.mark.parametrize("step", ["brightness", "contrast", "saturation", "hue"])
def test_each_step_alone(on_kernels, taken, step) -> None:
    weak = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    augment = OFF.model_copy(update={"jitter": 1.0, **weak, step: 0.5})
    clips = pixels(3, 2, 14, 15).to(on_kernels)
    found = colour(clips, augment, seeded(1))
    assert taken == ["_add_luma", "_apply"] and not torch.allclose(found, clips, atol=1e-3)
    assert torch.allclose(found, recolour(clips, draw_colours(3, augment, seeded(1))), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(19, 90), (20, 33), (43, 61), (72, 61)])
def test_blur_alone(on_kernels, taken, height, width) -> None:
    augment = OFF.model_copy(update={"blur": 0.5})
    clips = pixels(3, 1, height, width).to(on_kernels)
    drawn = draw_colours(3, augment, seeded(4))
    assert 0 < drawn.blurred.sum() < 3
    found = colour(clips, augment, seeded(4))
    assert taken == (["_apply"] if height == 19 else ["_apply", "_filter_rows", "_filter_columns"])
    assert torch.allclose(found, recolour(clips, drawn), atol=1e-6, rtol=0)
    assert torch.equal(found[~drawn.blurred], clips[~drawn.blurred])


def test_nothing_drawn_changes_nothing(on_kernels, taken) -> None:
    clips = pixels(3, 2, 24, 24).to(on_kernels)
    found = colour(clips, OFF, seeded())
    assert torch.equal(found, clips) and found.data_ptr() != clips.data_ptr() and taken == ["_apply"]


def test_mean_of_a_clip_of_many_blocks_is_exact(on_kernels, taken, monkeypatch) -> None:
    """More blocks than are added up side by side, the last of them not full."""
    monkeypatch.setattr("fame.fast.gpu.colour.PARTS", 4)
    clip = torch.full((1, 3, 5, 31, 41), 0.1)
    clip[..., ::8] = 0.7
    augment = Augment(grayscale=0, jitter=1, blur=0, brightness=0, saturation=0, hue=0, contrast=0.5)
    factor = draw_colours(1, augment, seeded(1)).amounts[0, 1].double()
    mean = clip.double().mean()
    expected = (mean + (torch.tensor([0.7, 0.1]) - mean) * factor).clamp(0, 1).float()
    found = colour(clip.to(on_kernels), augment, seeded(1))[0, 0, 0, 0, :2]
    assert torch.allclose(found.cpu(), expected, atol=1e-6) and taken == ["_add_luma", "_apply"]


def test_repeated_and_in_place(on_kernels, taken) -> None:
    clips = pixels(3, 1, 24, 21).to(on_kernels)
    expected = colour_normalised(clips, FULL, seeded(1))
    assert expected.data_ptr() != clips.data_ptr()
    assert torch.equal(colour_normalised(clips, FULL, seeded(1)), expected)
    assert clips.data_ptr() == colour_normalised(clips, FULL, seeded(1), inplace=True).data_ptr()
    assert torch.equal(clips, expected) and taken == 3 * ["_add_luma", "_apply", "_filter_rows", "_filter_columns"]


def test_what_the_kernels_do_not_serve_takes_the_plain_way(on_kernels, taken) -> None:
    clips = pixels(2, 1, 20, 20).to(on_kernels)
    expected = colour_normalised(clips, FULL, seeded(1))
    taken.clear()
    otherwise = clips.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    double, *others = (
        colour_normalised(part, FULL, seeded(1)) for part in (clips.double(), otherwise, clips.clone().requires_grad_())
    )
    assert all(torch.allclose(found.float(), expected, atol=5e-5) for found in (double, *others))
    assert double.dtype == torch.float64 and not taken


# ---------------------------------------------------------------- both


def test_triton_waits_until_it_is_needed() -> None:
    code = "import sys, fame.method.augment; sys.exit('triton.language' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="whether the host waits for a GPU shows on a GPU")
def test_the_host_waits_for_nothing() -> None:
    clips = video(4, 8, 40, 56).cuda()
    for waiting in ("default", "error"):  # compiled in the first turn
        torch.cuda.set_sync_debug_mode(waiting)
        try:
            for given_clips in (clips, list(clips)):
                colour_normalised(random_crops(given_clips, 32, FULL, seeded()), FULL, seeded(1), inplace=True)
        finally:
            torch.cuda.set_sync_debug_mode("default")
