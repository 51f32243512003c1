"""Public functions refuse tensors of another layout, type or range in one line, and take what rounding leaves."""

from __future__ import annotations

import pytest
import torch

import fame.method.shapes
from fame import ForegroundBackgroundMerge, erase_background, foreground_mask, mask_maps
from fame.config import Augment, Merge
from fame.method.augment import apply_crops, centre_crop, colour, colour_normalised, draw_crops, normalise, random_crops
from fame.method.controls import Controlled
from fame.method.inpainting import inpainted
from fame.method.shapes import check_values
from tests.small import noise, seeded

CLIPS = noise(4, 5)
STORED = CLIPS.permute(0, 2, 3, 4, 1)
MASK = CLIPS[:, 0, 0]
AUGMENT = Augment()
MERGE = ForegroundBackgroundMerge()
OF_CLIPS = {
    "foreground_mask": foreground_mask,
    "mask_maps": mask_maps,
    "merge": MERGE,
    "sources": lambda clips: MERGE(CLIPS, clips),
    "behind": lambda clips: MERGE(CLIPS, behind=clips),
    "erase_background": erase_background,
    "inpainted": lambda clips: inpainted(clips, MASK > 0.5),
    "other": lambda clips: Controlled(Merge(variant="other"), seeded()).mask(clips, None),
    "elsewhere": lambda clips: Controlled(Merge(background="elsewhere"), seeded()).behind(clips, None),
    "colour": lambda clips: colour(clips, AUGMENT),
    "colour_normalised": lambda clips: colour_normalised(clips, AUGMENT),
    "normalise": lambda clips: normalise(clips, AUGMENT),
}
OF_STORED = {
    "random_crops": lambda clips: random_crops(clips, 16, AUGMENT),
    "apply_crops": lambda clips: apply_crops(clips, draw_crops([(24, 24)] * 4, AUGMENT), 16),
    "centre_crop": lambda clips: centre_crop(clips, 16),
}
OF_MASKS = {
    "mask": lambda mask: MERGE(CLIPS, mask=mask),
    "figures": lambda mask: inpainted(CLIPS, mask),
}
VALUES = {
    "0 to 255": (lambda x: x * 255, r"must lie in \[0, 1\].*divide 8-bit video by 255"),
    "normalised": (lambda x: (x - 0.45) / 0.225, r"must lie in \[0, 1\].*normalise after merging"),
    "-1 to 1": (lambda x: 2 * x - 1, r"must lie in \[0, 1\]"),
    "NaN": (lambda x: torch.where(x == x.max(), torch.nan, x), "go from nan to nan"),
    "infinite": (lambda x: x / 0, "inf"),
    "numpy": (lambda x: x.numpy(), "got numpy.ndarray; torch.as_tensor makes a tensor"),
    "sparse": (lambda x: x.to_sparse(), "got torch.float32, torch.sparse_coo: make it real, float16 or wider, and dense"),
    "complex": (lambda x: x + 1j, "got torch.complex64"),
    "float8": (lambda x: x.to(torch.float8_e4m3fn), "got torch.float8_e4m3fn"),
    "nested": (lambda x: torch.nested.nested_tensor(list(x), layout=torch.jagged), "and dense"),
    "number": (lambda x: 0.5, "must be a .*tensor .*, got builtins.float"),
}
LAYOUTS = {
    "frames first": (lambda x: x.transpose(1, 2), r"must be a float tensor \(B, 3, T, H, W\).*got \(4, 5, 3, 24, 24\)$"),
    "channels last": (lambda x: x.permute(0, 2, 3, 4, 1), r"got \(4, 5, 24, 24, 3\)$"),
    "one clip": (lambda x: x[0], r"got \(3, 5, 24, 24\)$"),
    "two channels": (lambda x: x[:, :2], r"got \(4, 2, 5, 24, 24\)$"),
    "8-bit": (lambda x: (x * 255).byte(), r"got torch.uint8; divide 8-bit video by 255"),
}
STORED_LAYOUTS = {
    "channels second": (
        lambda x: x.permute(0, 4, 1, 2, 3),
        r"must be a tensor \(B, T, H, W, 3\), .*got \(4, 3, 5, 24, 24\)",
    ),
    "integers": (lambda x: (x * 255).long(), "got torch.int64"),
    "a list of channels first": (lambda x: list(x.permute(0, 4, 1, 2, 3)), r"got \(3, 5, 24, 24\)"),
}
MASK_LAYOUTS = {
    "8-bit": (lambda x: (x * 255).byte(), r"must lie in \[0, 1\]"),
    "another size": (
        lambda x: x[..., 1:],
        r"must be a tensor \(B, H, W\) = \(4, 24, 24\), bool or in \[0, 1\], got \(4, 24, 23\)",
    ),
}
KINDS = (
    (OF_CLIPS, CLIPS, VALUES | LAYOUTS),
    (OF_STORED, STORED, VALUES | STORED_LAYOUTS),
    (OF_MASKS, MASK, VALUES | MASK_LAYOUTS),
)


@pytest.mark.parametrize(
    ("function", "given", "says"),
    [
        pytest.param(function, spoil(right), says, id=f"{name}, {fault}")
        for functions, right, faults in KINDS
        for name, function in functions.items()
        for fault, (spoil, says) in faults.items()
    ],
)
def test_other_tensors_are_refused_in_one_line(function, given, says):
    with pytest.raises(ValueError, match=f"^.*{says}") as error:
        function(given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"beta": "0.5"}, "beta must be a number, got '0.5'"),
        ({"beta": None}, "beta must be a number, got None"),
        ({"prior": "a"}, "prior must be a number"),
        ({"sampled": 0.5}, "sampled = 0.5: shares"),
        ({"generator": 42}, "generator must be a torch.Generator, .* got 42"),
    ],
)
def test_what_is_no_number_and_no_generator_is_named(given, says):
    generator = given.pop("generator", None)
    with pytest.raises(ValueError, match=says):
        ForegroundBackgroundMerge(**given)(CLIPS, generator=generator)


def test_what_rounding_leaves_is_taken():
    for functions, right, _ in KINDS:
        for function in functions.values():
            function(right + 1e-6)


class Elsewhere(torch.Tensor):
    """A tensor that says it is on a GPU."""

    device = torch.device("cuda")


def test_on_a_gpu_the_first_values_of_a_kind_are_looked_at_and_no_others(monkeypatch):
    monkeypatch.setattr(fame.method.shapes, "LOOKED", set())
    right, wrong = (values.as_subclass(Elsewhere) for values in (CLIPS, CLIPS * 255))
    for _ in range(2):
        with pytest.raises(ValueError, match="divide 8-bit video by 255"):
            check_values(wrong, "clips")
    check_values(right, "clips")
    check_values(wrong, "clips")
    with pytest.raises(ValueError, match="sources must lie"):
        check_values(wrong, "sources")
