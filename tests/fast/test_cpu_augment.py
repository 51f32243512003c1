"""The compiled crops and colours do what the plain torch functions define, with the same draws, whatever the number of threads."""

from __future__ import annotations

import subprocess
import sys

import numba
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fame.config import Augment
from fame.method.augment import (
    Crops,
    apply_crops,
    centre_crop,
    colour,
    colour_normalised,
    draw_crops,
    frame_sizes,
    normalise,
    random_crops,
    resample,
    taps,
)
from fame.method.colour import ORDERS, draw_colours, recolour

FULL = Augment(grayscale=0.5, jitter=1, blur=0.5, hue=0.5, brightness=0.8, contrast=0.8, saturation=0.8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def video(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (*shape, 3), generator=seeded(seed), dtype=torch.uint8)


# ---------------------------------------------------------------- crops


def plain_crops(clips: Tensor, crops: Crops, size: int) -> Tensor:
    return resample(clips, taps(crops.top, crops.height, size), taps(crops.left, crops.width, size, crops.flip))


def boxes_resized(clips: Tensor, crops: Crops, size: int) -> Tensor:
    """Each box cut out and resized by torch's own interpolation, which repeats the edges of what it is given."""
    out = []
    for clip, (top, left, height, width, flip) in zip(clips, zip(*(field.tolist() for field in crops)), strict=True):
        box = clip[:, top : top + height, left : left + width].permute(0, 3, 1, 2).double() / 255
        box = F.interpolate(box, size=(size, size), mode="bilinear", align_corners=False).transpose(0, 1)
        out.append(box.flip(-1) if flip else box)
    return torch.stack(out).float()


@st.composite
def framed(draw, longest: int = 60, most_clips: int = 3, most_frames: int = 3, largest: int = 40) -> tuple[Tensor, Crops, int]:
    """Clips, a box in each (at borders, one pixel and whole frames among them), and the size to which they are brought."""
    height, width, clips = draw(st.integers(1, longest)), draw(st.integers(1, longest)), draw(st.integers(1, most_clips))
    boxes = []
    for _ in range(clips):
        tall, wide = (draw(st.one_of(st.just(1), st.just(side), st.integers(1, side))) for side in (height, width))
        top, left = (draw(st.one_of(st.just(0), st.just(most), st.integers(0, most))) for most in (height - tall, width - wide))
        boxes.append((top, left, tall, wide))
    top, left, tall, wide = torch.tensor(boxes).unbind(1)
    flip = torch.tensor(draw(st.lists(st.booleans(), min_size=clips, max_size=clips)))
    frames = video(clips, draw(st.integers(1, most_frames)), height, width, seed=draw(st.integers(0, 99)))
    return frames, Crops(top, left, tall, wide, flip), draw(st.one_of(st.just(int(tall[0])), st.integers(1, largest)))


@settings(max_examples=200, deadline=None)
@given(framed())
def test_compiled_and_plain_crops_are_the_boxes_resized(case) -> None:
    clips, crops, size = case
    fast, plain = apply_crops(clips, crops, size), plain_crops(clips, crops, size)
    assert fast.dtype == plain.dtype == torch.float32 and fast.shape == plain.shape
    assert torch.allclose(fast, plain, atol=1e-6)
    assert torch.allclose(fast, boxes_resized(clips, crops, size), atol=1e-5)
    assert fast.min() >= 0 and fast.max() <= 1


@settings(max_examples=50, deadline=None)
@given(framed(longest=40, most_clips=2, most_frames=19, largest=20))
def test_clips_of_any_length(case) -> None:
    """Frames are cut eight side by side: a frame's crop is what it is without the others, and nothing beyond is written."""
    clips, crops, size = case
    several = apply_crops(clips, crops, size)
    assert torch.allclose(several, plain_crops(clips, crops, size), atol=1e-6)
    for t in range(clips.shape[1]):
        assert torch.equal(several[:, :, t : t + 1], apply_crops(clips[:, t : t + 1].contiguous(), crops, size))
    room = torch.full((several.numel() + 2,), -1.0)
    apply_crops(clips, crops, size, out=room[1:-1].view(several.shape))
    assert room[0] == room[-1] == -1


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 50), st.integers(1, 400), st.integers(1, 230), st.booleans())
def test_compiled_taps_are_the_plain_ones(start, side, size, mirrored) -> None:
    from fame.fast.cpu.crops import _taps

    plain = taps(torch.tensor([start]), torch.tensor([side]), size, torch.tensor([mirrored]))
    for part, found in zip(plain, _taps(start, side, size, mirrored), strict=True):
        assert torch.equal(part[0], torch.from_numpy(found)[:size]) and (found[size:] == found[size - 1]).all()


@pytest.mark.parametrize("flipped", [False, True])
def test_a_box_of_the_right_size_is_copied(flipped) -> None:
    clips, flip = video(2, 3, 20, 30), torch.tensor([flipped] * 2)
    crops = Crops(torch.tensor([3, 0]), torch.tensor([14, 0]), torch.tensor([16, 16]), torch.tensor([16, 16]), flip)
    boxes = torch.stack([clips[0, :, 3:19, 14:30], clips[1, :, :16, :16]]).permute(0, 4, 1, 2, 3).float() / 255
    for out in (apply_crops(clips, crops, 16), plain_crops(clips, crops, 16)):
        assert torch.equal(out, boxes.flip(-1) if flipped else boxes)


@pytest.mark.parametrize("box", [(5, 0, 16, 20), (0, 11, 20, 20), (-1, 0, 20, 20), (0, -1, 20, 20)])
def test_boxes_beyond_the_frame_are_refused(box) -> None:
    with pytest.raises(ValueError, match="beyond frames of 20 x 30"):
        apply_crops(video(1, 2, 20, 30), Crops(*torch.tensor(box)[:, None], torch.tensor([False])), 16)


def test_evenly_coloured_frames_stay_so() -> None:
    clips = torch.full((3, 2, 33, 47, 3), 255, dtype=torch.uint8)
    clips[1], clips[2] = 0, 77
    out = random_crops(clips, 24, Augment(), seeded())
    assert (out[0] == 1).all() and (out[1] == 0).all() and torch.allclose(out[2], torch.tensor(77 / 255), atol=1e-7)


def test_frames_that_do_not_lie_end_to_end() -> None:
    wide = video(2, 3, 40, 112)
    view = wide[:, :, :, 10:66]
    assert torch.equal(random_crops(view, 24, Augment(), seeded()), random_crops(view.contiguous(), 24, Augment(), seeded()))
    assert torch.equal(random_crops(list(view), 24, Augment(), seeded()), random_crops(view, 24, Augment(), seeded()))


def test_floating_clips_are_cropped_like_8_bit_ones() -> None:
    clips = video(3, 2, 40, 56)
    found = random_crops(clips.double() / 255, 24, Augment(), seeded())
    assert found.dtype == torch.float32 and torch.allclose(found, random_crops(clips, 24, Augment(), seeded()), atol=1e-6)


def test_crops_written_to_a_given_tensor() -> None:
    clips = video(3, 2, 40, 56)
    expected, out = random_crops(clips, 24, Augment(), seeded()), torch.full((3, 3, 2, 24, 24), -1.0)
    for given_clips in (clips, list(clips)):
        assert random_crops(given_clips, 24, Augment(), seeded(), out=out.fill_(-1)) is out and torch.equal(out, expected)
    for wrong in (out[:2], out.double(), out.transpose(3, 4), out.to("meta")):
        with pytest.raises(ValueError, match="cannot be written"):
            random_crops(clips, 24, Augment(), seeded(), out=wrong)


# ---------------------------------------------------------------- colour


KINDS = {
    "any": lambda noise: noise,
    "primary": lambda noise: noise.round(),
    "grey": lambda noise: noise[:, :1].expand_as(noise).contiguous(),
    "nearly grey": lambda noise: 0.9 * noise[:, :1] + 0.001 * noise,
    "black": torch.zeros_like,
    "white": torch.ones_like,
    "dark": lambda noise: 1e-6 * noise,
}


def pixels(kind: str, clips: int, frames: int, height: int, width: int, seed: int) -> Tensor:
    return KINDS[kind](torch.rand(clips, 3, frames, height, width, generator=seeded(seed)))


SHARES = st.sampled_from([0.0, 0.5, 1.0])
STRENGTHS = st.floats(0, 1.5)
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


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(16, 90), st.integers(16, 90)),
    augment=AUGMENTS,
    seed=st.integers(0, 999),
)
def test_compiled_colours_are_the_plain_ones(kind, shape, augment, seed) -> None:
    clips = pixels(kind, *shape, seed=seed)
    before, fast, plain = clips.clone(), seeded(seed), seeded(seed)
    expected = recolour(clips, draw_colours(len(clips), augment, plain))
    assert torch.allclose(colour(clips, augment, fast), expected, atol=1e-5, rtol=0)
    assert torch.equal(fast.get_state(), plain.get_state())
    found = colour_normalised(clips, augment, fast.manual_seed(seed))
    assert torch.allclose(found, normalise(expected, augment), atol=5e-5, rtol=0)  # 1e-5 divided by std
    assert torch.equal(fast.get_state(), plain.get_state()) and torch.equal(clips, before)


def test_mean_of_a_long_clip_is_exact() -> None:
    """2 ** 21 pixels, one in eight of them lit: sums of 32 bits, one pixel after another, would be off by 3e-3."""
    clip = torch.full((1, 3, 32, 256, 256), 0.1)
    clip[..., ::8] = 0.7
    augment = Augment(grayscale=0, jitter=1, blur=0, brightness=0, saturation=0, hue=0, contrast=0.5)
    factor = draw_colours(1, augment, seeded(1)).amounts[0, 1].double()
    mean = torch.tensor(0.1 + 0.6 / 8)
    expected = (mean + (torch.tensor([0.7, 0.1]) - mean) * factor).clamp(0, 1).float()
    found = colour(clip, augment, seeded(1))[0, 0, 0, 0, :2]
    assert torch.allclose(found, expected, atol=1e-6)


def test_input_is_overwritten_on_request_only() -> None:
    clips = pixels("any", 6, 2, 40, 30, seed=0)
    expected = colour_normalised(clips, FULL, seeded(1))
    assert expected.data_ptr() != clips.data_ptr()
    assert clips.data_ptr() == colour_normalised(clips, FULL, seeded(1), inplace=True).data_ptr()
    assert torch.equal(clips, expected)


def test_clips_that_lie_otherwise_in_memory() -> None:
    clips = pixels("any", 6, 2, 40, 30, seed=0)
    other = clips.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    expected = colour_normalised(clips, FULL, seeded(1))
    for inplace in (False, True):
        assert torch.equal(colour_normalised(other.clone(), FULL, seeded(1), inplace=inplace), expected)


def test_64_bit_clips_take_the_plain_way() -> None:
    clips = pixels("any", 6, 2, 24, 24, seed=0)
    double = colour_normalised(clips.double(), FULL, seeded(1))
    assert double.dtype == torch.float64
    assert torch.allclose(double.float(), colour_normalised(clips, FULL, seeded(1)), atol=5e-5)


# ---------------------------------------------------------------- both


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_threads_change_no_bit() -> None:
    clips, changed = video(5, 3, 50, 70), pixels("any", 5, 3, 50, 60, seed=1)

    def made() -> list[Tensor]:
        cropped = random_crops(clips, 32, Augment(), seeded(2))
        return [cropped, centre_crop(clips, 50), colour(changed, FULL, seeded(2)), colour_normalised(changed, FULL, seeded(2))]

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = made()
        torch.set_num_threads(2)
        together = made()
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("augment", [Augment(), Augment(flip=0, grayscale=0, jitter=0, blur=0), FULL])
def test_as_many_numbers_are_drawn_as_ever(augment) -> None:
    """A fixed count in a fixed order: earlier runs draw on."""
    clips, generator, beside = video(4, 2, 40, 56), seeded(3), seeded(3)
    colour_normalised(random_crops(clips, 24, augment, generator), augment, generator)
    for shape in ((4, 10, 4), (4,), (4, 9), (ORDERS, 4)):
        torch.rand(shape, generator=beside)
    assert torch.equal(generator.get_state(), beside.get_state())


def test_other_devices_are_never_waited_for() -> None:
    """The device `meta` has shapes and no values: whatever asked for one would fail."""
    clips = video(4, 2, 40, 56)
    cropped = random_crops(clips.to("meta"), 24, Augment(), seeded())
    assert cropped.device.type == "meta" and cropped.shape == (4, 3, 2, 24, 24)
    assert apply_crops(clips[..., 0].to("meta") > 0, draw_crops(frame_sizes(clips), Augment(), seeded()), 24).shape == (
        4,
        2,
        24,
        24,
    )
    assert colour_normalised(cropped, FULL, seeded()).shape == cropped.shape


def test_numba_waits_until_it_is_needed() -> None:
    code = "import sys, fame.method.augment; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
