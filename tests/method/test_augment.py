"""Crops, flips and colour changes: what they draw, that all frames of a clip are treated alike, and that each step is exact."""

from __future__ import annotations

import colorsys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config import Augment
from fame.method.augment import (
    apply_crops,
    centre_crop,
    colour,
    colour_normalised,
    draw_crops,
    frame_sizes,
    normalise,
    random_crops,
)
from fame.method.colour import ORDERS, brightness, contrast, draw_colours, hue, luma, saturation
from tests.small import noise, seeded

# made by the code that the kept runs were made with
BOXES = [[3, 0, 0], [8, 12, 86], [43, 30, 20], [36, 40, 27], [False, True, False]]
COLOURS = [[False, False, False], [1, -1, 3], [[2, 0, 1, 3], [2, 1, 0, 3], [2, 3, 1, 0], [0, 3, 2, 1]]]
AMOUNTS = [
    [1.125512, 0.786209, 0.940049, -0.058583],
    [0.829471, 0.765056, 0.956072, -0.028143],
    [0.930538, 1.205755, 1.155878, 0.004186],
]
SIGMA = [1.296499, 1.468723, 1.227139]
OFF = Augment(flip=0, grayscale=0, jitter=0, blur=0)


def video(batch: int = 4, frames: int = 3, height: int = 40, width: int = 56, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (batch, frames, height, width, 3), generator=seeded(seed), dtype=torch.uint8)


def times(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1, 1)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(16, 300), width=st.integers(16, 300), low=st.floats(0.05, 1.0), seed=st.integers(0, 999))
def test_boxes_lie_in_the_frame(height, width, low, seed):
    crops = draw_crops([(height, width)] * 5, Augment(area=(low, 1.0)), seeded(seed))
    for top, left, tall, wide in zip(*(field.tolist() for field in crops[:4]), strict=True):
        assert tall >= 1 and wide >= 1 and top >= 0 and left >= 0
        assert top + tall <= height and left + wide <= width


def test_area_aspect_place_and_flip_are_distributed_as_said():
    crops = draw_crops([(200, 200)] * 4000, Augment(area=(0.2, 0.5), flip=0.3), seeded())
    area = crops.height * crops.width / 200**2
    aspect = (crops.width / crops.height).log()
    assert area.min() > 0.19 and area.max() < 0.51
    assert area.mean() == pytest.approx(0.35, abs=0.01)  # uniform
    assert area.std() == pytest.approx(0.3 / 12**0.5, abs=0.005)
    assert aspect.mean() == pytest.approx(0, abs=0.015) and aspect.abs().max() < 0.31
    assert (crops.top / (200 - crops.height)).mean() == pytest.approx(0.5, abs=0.02)
    assert (crops.left / (200 - crops.width)).mean() == pytest.approx(0.5, abs=0.02)
    assert crops.flip.float().mean() == pytest.approx(0.3, abs=0.03)


def test_a_frame_that_no_box_fits_gives_its_centre():
    crops = draw_crops([(20, 200), (200, 20)], Augment(area=(1.0, 1.0)), seeded())
    assert [field.tolist() for field in crops[:4]] == [[0, 86], [86, 0], [20, 27], [27, 20]]


def test_crops_do_not_depend_on_whether_sizes_agree():
    clips = video()
    batch = random_crops(clips, 24, Augment(), seeded(1))
    assert batch.shape == (4, 3, 3, 24, 24) and batch.dtype == torch.float32
    assert torch.equal(batch, random_crops(list(clips), 24, Augment(), seeded(1)))
    assert torch.allclose(batch, random_crops(clips.double() / 255, 24, Augment(), seeded(1)), atol=1e-6)
    mixed = random_crops([*clips[:3], video(1, 3, 64, 30)[0]], 24, Augment(), seeded(1))
    assert torch.equal(mixed[:3], batch[:3]) and not torch.equal(mixed[3], batch[3])


@pytest.mark.parametrize("flipped", [False, True])
def test_a_crop_is_the_box_resized_and_copied_where_it_has_the_size(flipped):
    clips = video()
    crops = draw_crops(frame_sizes(clips), Augment(flip=float(flipped)), seeded(2))
    crops.height[0] = crops.width[0] = 24
    crops.top[0] = crops.left[0] = 3
    out = apply_crops(clips, crops, 24)
    for i, (top, left, tall, wide, _) in enumerate(zip(*(field.tolist() for field in crops), strict=True)):
        box = clips[i, :, top : top + tall, left : left + wide].permute(0, 3, 1, 2).float() / 255
        expected = F.interpolate(box, size=(24, 24), mode="bilinear", align_corners=False).transpose(0, 1)
        assert torch.allclose(out[i], expected.flip(-1) if flipped else expected, atol=1e-6 if i else 0)
    assert out.min() >= 0 and out.max() <= 1


def test_what_random_numbers_mean_does_not_change():
    """Crops and colours of a seed are pinned: kept runs continue with them."""
    boxes = draw_crops([(48, 48), (30, 64), (20, 200)], Augment(area=(0.3, 1.0)), seeded(7))
    assert [field.tolist() for field in boxes] == BOXES
    drawn = draw_colours(3, Augment(), seeded(7))
    assert [field.tolist() for field in drawn[:3]] == COLOURS
    assert torch.allclose(drawn.amounts, torch.tensor(AMOUNTS), atol=1e-6)
    assert torch.allclose(drawn.sigma, torch.tensor(SIGMA), atol=1e-6)


@pytest.mark.parametrize("augment", [Augment(), OFF])
def test_as_many_numbers_are_drawn_whatever_the_probabilities(augment):
    clips, generator, beside = video(4, 2, 40, 56), seeded(3), seeded(3)
    colour_normalised(random_crops(clips, 24, augment, generator), augment, generator)
    for shape in ((4, 10, 4), (4,), (4, 9), (ORDERS, 4)):
        torch.rand(shape, generator=beside)
    assert torch.equal(generator.get_state(), beside.get_state())


def test_a_still_clip_stays_still():
    clips = video(3, 1).repeat(1, 5, 1, 1, 1)  # or differences of frames would see motion
    out = colour(random_crops(clips, 24, Augment(), seeded()), Augment(), seeded(1))
    assert torch.equal(out, out[:, :, :1].expand_as(out))


def test_true_masks_are_cropped_like_their_frames():
    masks = torch.zeros(2, 3, 40, 56, dtype=torch.bool)
    masks[:, :, 10:30, 5:40] = True
    crops = draw_crops([(40, 56)] * 2, Augment(), seeded(4))
    cut = apply_crops(masks, crops, 24)
    painted = apply_crops(masks[..., None].expand(-1, -1, -1, -1, 3).byte() * 255, crops, 24)
    assert cut.shape == (2, 3, 24, 24)
    assert torch.allclose(cut, painted[:, 0], atol=1e-6) and 0.05 < cut.mean() < 0.95


def test_centre_crop():
    clips = video(2, 3, 40, 56)
    middle = clips[:, :, :, 8:48].permute(0, 4, 1, 2, 3).float() / 255
    assert torch.equal(centre_crop(clips, 40), middle)  # no resizing, no rounding
    small = F.interpolate(middle.flatten(0, 1), size=(20, 20), mode="bilinear").view(2, 3, 3, 20, 20)
    assert torch.allclose(centre_crop(clips, 20), small, atol=2e-5)
    native = centre_crop(clips, 20, resize=False)
    assert torch.equal(native, clips[:, :, 10:30, 18:38].permute(0, 4, 1, 2, 3).float() / 255)
    assert centre_crop([clips[0], video(1, 3, 90, 30)[0]], 24).shape == (2, 3, 3, 24, 24)
    with pytest.raises(ValueError, match="smallest frame"):
        centre_crop(clips, 48, resize=False)


@settings(max_examples=60, deadline=None)
@given(rgb=st.tuples(*[st.floats(0, 1, width=32)] * 3), turn=st.floats(-0.5, 0.5, width=32))
def test_hue_is_the_rotation_of_hsv(rgb, turn):
    turned = hue(torch.tensor(rgb).view(1, 3, 1, 1, 1), times([turn])).flatten().tolist()
    h, s, v = colorsys.rgb_to_hsv(*rgb)
    assert turned == pytest.approx(colorsys.hsv_to_rgb((h + turn) % 1, s, v), abs=2e-5)


def test_brightness_contrast_and_saturation_are_blends():
    clips = noise(2) * 0.4 + 0.3  # far from the ends, so nothing is cut off
    factor = times([0.7, 1.2])
    grey = luma(clips)
    assert torch.allclose(brightness(clips, factor), clips * factor)
    assert torch.allclose(saturation(clips, factor), grey + factor * (clips - grey), atol=1e-6)
    mean = grey.mean((1, 2, 3, 4), keepdim=True)
    assert torch.allclose(contrast(clips, factor), mean + factor * (clips - mean), atol=1e-5)
    for step in (brightness, contrast, saturation):
        assert torch.allclose(step(clips, times([1.0, 1.0])), clips, atol=1e-6)
        assert step(noise(2), times([3.0, 3.0])).max() <= 1 and step(noise(2), times([3.0, 3.0])).min() >= 0


def test_probabilities_of_nought_and_one():
    clips = noise()
    assert torch.equal(colour(clips, OFF, seeded()), clips)
    grey = colour(clips, OFF.model_copy(update={"grayscale": 1.0}), seeded())
    assert torch.allclose(grey, luma(clips).expand_as(clips))
    for name in ("jitter", "blur"):
        changed = colour(clips, OFF.model_copy(update={name: 1.0}), seeded())
        assert all(not torch.equal(a, b) for a, b in zip(changed, clips, strict=True))


def test_each_jitter_is_drawn_per_clip_within_its_strength():
    clips = noise(1, 2, 16).repeat(64, 1, 1, 1, 1) * 0.4 + 0.2
    nothing = OFF.model_copy(update={"jitter": 1.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0})
    assert torch.allclose(colour(clips, nothing, seeded()), clips, atol=1e-5)
    out = colour(clips, nothing.model_copy(update={"brightness": 0.4}), seeded())
    factors = (out / clips).flatten(1).mean(1)
    assert factors.min() > 0.6 and factors.max() < 1.4 and factors.std() == pytest.approx(0.8 / 12**0.5, abs=0.05)
    share = (colour(clips, Augment(grayscale=0, blur=0), seeded()) != clips).flatten(1).any(1).float().mean()
    assert 0.65 < share < 0.95  # jitter 0.8


def test_order_of_jitter_differs_between_clips():
    clips = noise(1).repeat(64, 1, 1, 1, 1)
    # greater than 1, so cut at 1 by brightness: before or after contrast makes a difference
    augment = OFF.model_copy(update={"jitter": 1.0, "saturation": 0.0, "hue": 0.0, "brightness": 0.9, "contrast": 0.9})
    white = (colour(clips, augment, seeded(1)) == 1).flatten(1).any(1)  # contrast last pulls whites down
    assert white.any() and not white.all()


def test_blur_is_a_gaussian_of_a_tenth_of_the_side():
    point = torch.zeros(40, 3, 2, 32, 32)
    point[..., 16, 16] = 1
    out = colour(point, OFF.model_copy(update={"blur": 1.0}), seeded())
    assert torch.allclose(out.sum((-1, -2)), torch.tensor(1.0), atol=1e-5)
    assert out[..., 15:18, 15:18].sum((-1, -2)).min() > 1 - 1e-5  # kernel 3
    ratio = out[:, 0, 0, 16, 17] / out[:, 0, 0, 16, 16]
    sigma = (-0.5 / ratio.clamp(min=1e-30).log()).sqrt()
    assert sigma.max() < 2 and sigma.min() < 0.5 and len(sigma.unique()) > 30
    small = torch.rand(2, 3, 2, 16, 16)
    assert torch.equal(colour(small, OFF.model_copy(update={"blur": 1.0}), seeded()), small)  # kernel 1


def test_colour_stays_in_range_and_leaves_its_input():
    clips = noise(16)
    before = clips.clone()
    out = colour(clips, Augment(hue=0.5, brightness=0.8), seeded())
    assert out.min() >= -1e-6 and out.max() <= 1 + 1e-6 and torch.isfinite(out).all()
    assert torch.equal(clips, before)
    assert torch.equal(out, colour(clips, Augment(hue=0.5, brightness=0.8), seeded()))


def test_normalise():
    clips, augment = noise(), Augment()
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (augment.mean, augment.std))
    assert torch.allclose(normalise(clips, augment), (clips - mean) / std, atol=1e-5)
