"""The merge's Triton kernel against the plain operations: bit for bit where the mask is 0 or 1, to 1e-6 where it blends (a product
and a sum may be rounded once or twice)."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

import fame.method.merging
from fame import ForegroundBackgroundMerge, foreground_mask

MASKS = ("bool", "blocks", "none kept", "all kept", "0 or 1", "soft")


@pytest.fixture
def calls(on_kernels, monkeypatch) -> list[torch.device]:
    """Grows by one device each time the kernel is taken."""
    from fame.fast.gpu import merging

    taken, merge = [], merging.merge
    monkeypatch.setattr(merging, "merge", lambda clips, *rest: (taken.append(clips.device), merge(clips, *rest))[1])
    return taken


def mask_of(kind: str, batch: int, height: int, width: int) -> Tensor:
    noise = torch.rand(batch, height, width, generator=torch.Generator().manual_seed(5))
    blocks = torch.zeros(batch, height, width, dtype=torch.bool)
    blocks[:, 3:12, 4:13] = True
    none, kept = torch.zeros_like(blocks), torch.ones_like(blocks)
    return {"bool": noise < 0.5, "blocks": blocks, "none kept": none, "all kept": kept, "0 or 1": noise.round(), "soft": noise}[
        kind
    ]


def plainly(*arguments: Tensor | None) -> Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fame.method.merging, "choose", lambda *_: None)
        return fame.method.merging.merge(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("frames", "height", "width"), [(2, 16, 16), (5, 21, 19), (3, 18, 22)])
def test_merge_is_the_plain_one(on_kernels, calls, monkeypatch, kind, frames, height, width) -> None:
    if height == 18:  # many programs, many rounds
        monkeypatch.setattr("fame.fast.gpu.merging.BLOCK", 256)
        monkeypatch.setattr("fame.fast.gpu.merging.PLANES", 4)
    elif on_kernels.type == "cpu":  # few, which the interpreter likes
        monkeypatch.setattr("fame.fast.gpu.merging.PLANES", 16)
    clips, others = torch.rand(2, 2, 3, frames, height, width, generator=torch.Generator().manual_seed(0)).to(on_kernels)
    more = torch.cat([others, clips])
    mask, before = mask_of(kind, 2, height, width).to(on_kernels), clips.clone()
    still = torch.tensor([1, 0], device=on_kernels)
    for rows, moment in itertools.product((None, torch.tensor([3, 0], device=on_kernels)), (None, still)):
        behind = others if rows is None else more
        merged, plain = (call(clips, behind, mask, rows, moment) for call in (fame.method.merging.merge, plainly))
        if kind == "soft":
            assert torch.allclose(merged, plain, atol=1e-6, rtol=0)
        else:
            assert torch.equal(merged, plain)
        assert torch.equal(clips, before) and merged.data_ptr() != clips.data_ptr() and merged.is_contiguous()
    assert len(calls) == 4


def test_views_are_read_as_they_are(on_kernels, calls) -> None:
    wide = torch.rand(4, 3, 3, 20, 30, generator=torch.Generator().manual_seed(0)).to(on_kernels)
    clips, behind = wide.flip(0)[..., 2:21], wide[..., 5:24]
    masks = torch.rand(5, 20, 19, generator=torch.Generator().manual_seed(1)).to(on_kernels) < 0.5
    for mask in (masks[1:], masks[1:].mT.contiguous().mT, masks[:1].expand(4, -1, -1)):
        assert torch.equal(fame.method.merging.merge(clips, behind, mask), torch.where(mask[:, None, None], clips, behind))
    assert len(calls) == 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_and_gradients_take_the_plain_path(on_kernels, calls, dtype) -> None:
    clips, sources = torch.rand(2, 2, 3, 2, 16, 18, generator=torch.Generator().manual_seed(0)).to(on_kernels)
    mask = mask_of("bool", 2, 16, 18).to(on_kernels)
    merged = fame.method.merging.merge(clips.to(dtype), sources.to(dtype), mask)
    assert merged.dtype == dtype and torch.equal(merged, torch.where(mask[:, None, None], clips.to(dtype), sources.to(dtype)))
    clips.requires_grad_()
    fame.method.merging.merge(clips, sources, mask).sum().backward()
    assert torch.equal(clips.grad, mask[:, None, None].expand_as(clips).float()) and not calls
    with torch.no_grad():
        fame.method.merging.merge(clips, sources, mask)
    assert len(calls) == 1


@pytest.mark.parametrize("background", ["intra", "still"])
def test_the_module_takes_both_kernels(on_kernels, calls, background) -> None:
    clips, sources = torch.rand(2, 1, 3, 3, 20, 24, generator=torch.Generator().manual_seed(0)).to(on_kernels)
    merge = ForegroundBackgroundMerge(background=background)
    merged = merge(clips, sources, torch.Generator().manual_seed(0))
    kept = foreground_mask(clips).bool()[:, None, None].expand_as(clips)
    assert len(calls) == 1 and torch.equal(merged[kept], clips[kept])
    if background != "still":
        assert torch.equal(merged[~kept], sources[~kept])
