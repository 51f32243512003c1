"""(1) Mask and merge, every variant, against the plain reference: time, extra memory, and what memory bandwidth allows."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from benchmarks import reference_mask
from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.inputs import moving_clips
from benchmarks.memory import extra_on_cpu, extra_on_gpu
from benchmarks.setting import Setting, threads
from benchmarks.timing import Work, alternate, spread
from fame import ForegroundBackgroundMerge
from fame.config import Variant

TITLE = "Mask and merge against the plain reference"
ON_CPU, ON_GPU = "mask + merge, 16 x 16 x 112 x 112, two cores", "mask + merge, 64 x 16 x 224 x 224, GPU"
CPU_RATIO = Target(f"{ON_CPU}: reference / ours", 10, "x", at_most=False)
CPU_MEMORY = Target(f"{ON_CPU}: peak extra memory", 1.5, "x the batch", at_most=True)
GPU_RATIO = Target(f"{ON_GPU}: reference / ours", 20, "x", at_most=False)
GPU_VECTORISED = Target(f"{ON_GPU}: vectorised reference / ours", 5, "x", at_most=False)
GPU_LIMIT = Target(f"{ON_GPU}: ours / bytes over bandwidth", 2, "x", at_most=True)

TARGETS = (CPU_RATIO, CPU_MEMORY, GPU_RATIO, GPU_VECTORISED, GPU_LIMIT)


def measure(setting: Setting) -> Outcome:
    with threads(1 if setting.cuda else setting.threads):
        return _measure(setting)


def _measure(setting: Setting) -> Outcome:
    batch, frames, size = (2, 4, 32) if setting.tiny else (64, 16, 224) if setting.cuda else (16, 16, 112)
    if setting.quick:
        batch //= 4
    used = torch.get_num_threads()
    sheet = Sheet("merge", TITLE, {"batch": [batch, 3, frames, size, size], "beta": 0.5, "threads": used}, setting.why_not)
    if not setting.cuda and used < 2:
        sheet.why_not = "one core only"
    clips = moving_clips(batch, frames, size, setting.device)
    works: dict[str, Work] = {}
    for variant in get_args(Variant):
        works[f"{variant}, ours"], works[f"{variant}, reference"] = ours(clips, variant), reference(clips, variant)
    works["fame, vectorised reference"] = reference(clips, "fame", vectorised=True)
    found = alternate(works, setting.rounds, device=setting.device)
    size_in_bytes = clips.numel() * clips.element_size()
    # the mask reads every clip; the merge takes each pixel from one of two clips and writes it. The soft gauss mask needs no
    # look at the clip, but reads both clips for every pixel: as many bytes
    limits = setting.limits(used)
    least = limits.moving(read=size_in_bytes, written=size_in_bytes)
    for name in works:
        sheet.add(name, found.of(name).scaled(1e3), "ms", least=1e3 * least if "ours" in name else None)
    for variant in get_args(Variant):
        target = (GPU_RATIO if setting.cuda else CPU_RATIO) if variant == "fame" else None
        sheet.add(f"{variant}: reference / ours", found.ratio(f"{variant}, reference", f"{variant}, ours"), "x", target=target)
    vectorised = found.ratio("fame, vectorised reference", "fame, ours")
    sheet.add("fame: vectorised reference / ours", vectorised, "x", target=GPU_VECTORISED if setting.cuda else None)
    sheet.add("fame: ours / least", found.of("fame, ours").scaled(1 / least), "x", target=GPU_LIMIT if setting.cuda else None)
    for name in ("fame, ours",) if setting.tiny else ("fame, ours", "fame, reference"):
        own_target = CPU_MEMORY if not setting.cuda and "ours" in name else None
        shape = {"batch": batch, "frames": frames, "size": size, "which": name.partition(", ")[2]}
        extra = extra_on_gpu(works[name], setting.device) if setting.cuda else extra_on_cpu(f"{__name__}:prepared", used, **shape)
        sheet.add(f"{name}: peak extra memory", spread([extra / size_in_bytes]), "x the batch", least=1.0, target=own_target)
    for target in (CPU_RATIO, CPU_MEMORY) if setting.cuda else (GPU_RATIO, GPU_VECTORISED, GPU_LIMIT):
        sheet.skip(target, setting.elsewhere)
    sheet.notes.append("Extra memory is the peak above the clips, the merged clips included.")
    return sheet.outcome()


def ours(clips: Tensor, variant: Variant) -> Work:
    merge = ForegroundBackgroundMerge(variant=variant)
    generator = torch.Generator().manual_seed(0)
    return lambda: merge(clips, generator=generator)


def reference(clips: Tensor, variant: Variant, vectorised: bool = False) -> Work:
    generator = torch.Generator().manual_seed(0)
    return lambda: reference_mask.merge(clips, variant=variant, vectorised=vectorised, generator=generator)


def prepared(batch: int, frames: int, size: int, which: str) -> tuple[Work, Work]:
    """For benchmarks/memory.py: FAME's merge on two tiny clips, and on the batch."""
    make = {"ours": ours, "reference": reference}[which]
    return make(moving_clips(2, 2, 32), "fame"), make(moving_clips(batch, frames, size), "fame")
