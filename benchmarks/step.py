"""(3) One pretraining step, views and optimiser included, against the plain eager twin; and what of it is augmentation.

A step is timed in its two halves, `draw` (clips read, cropped, merged, coloured, normalised) and `train` (momentum contrast,
backward, optimiser), on views drawn once. Augmentation is timed by itself as well, on clips read once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.setting import Setting, threads
from benchmarks.timing import Work, alternate
from benchmarks.training import FULL, I3D, NARROW, TINY, Ours, Plain, Step, configured, operations, videos_for
from fame.config import Backbone, Precision, Pretrain
from fame.data.clips import VideoSet
from fame.training import precision as arithmetic

TITLE = "Pretraining step against eager fp32, contiguous"
LIMIT = 40.0  # seconds after which a comparison begins no further round
UNITS = Target("pretraining step, {}, two cores with bf16 units: eager fp32 / ours", 6, "x", at_most=False)
NO_UNITS = Target("pretraining step, {}, two cores without bf16 units: eager fp32 / ours", 1.5, "x", at_most=False)
ON_GPU = Target("pretraining step, {}, GPU: eager fp32 / ours", 6, "x", at_most=False)
ON_GPU_TF32 = Target("pretraining step, {}, GPU: eager TF32 / ours", 3, "x", at_most=False)
AUGMENTATION = Target(
    "crop, merge, colour, normalisation in a step of the narrow network, one core", 10, "% of the step", at_most=True
)


def _for(target: Target, network: str) -> Target:
    return Target(target.what.format(network), target.bound, target.unit, target.at_most)


NAMES = {"r2plus1d_narrow": "narrow network", "r2plus1d_18": "R(2+1)D-18", "i3d": "I3D"}
TARGETS = (
    *(_for(target, NAMES[of]) for target in (UNITS, NO_UNITS, ON_GPU, ON_GPU_TF32) for of in (NARROW.name, FULL.name)),
    AUGMENTATION,
)


@dataclass(frozen=True)
class Case:
    backbone: Backbone
    batch: int
    threads: int

    @property
    def name(self) -> str:
        return NAMES[self.backbone.name]


def cases(setting: Setting) -> list[Case]:
    two = setting.threads
    if setting.tiny:
        return [Case(TINY, 4, 1)]
    if setting.cuda:
        published = [Case(FULL, 8, 1)] if setting.quick else [Case(FULL, 32, 1), Case(I3D, 16, 1)]
        return [Case(NARROW, 32, 1), *published]
    narrow = [Case(NARROW, 32, count) for count in sorted({1, two})]
    return narrow if setting.quick else [*narrow, Case(FULL, 4, two), *([Case(FULL, 2, 1)] if two > 1 else [])]


def measure(setting: Setting) -> Outcome:
    sheet = Sheet("step", TITLE, {"cases": [f"{case.name}, {case.batch} clips, {case.threads} threads" for case in cases(setting)]})
    sheet.why_not = setting.why_not
    units = arithmetic.has_bf16_units(setting.device)
    sheet.settings["bf16 units"] = units
    if not setting.cuda and any(case.backbone == FULL for case in cases(setting)):
        sheet.notes.append(
            "R(2+1)D-18 on a CPU: few clips and one turn of the loss instead of two, for both sides; the ratio is what counts."
        )
        sheet.notes.append("Least times count the plain sums; in 32 bits on a CPU wide layers need fewer operations (Winograd).")
    if setting.cuda:
        sheet.notes.append("Ours in fp32 computes convolutions as torch does by default on a GPU, in TF32; eager fp32 does not.")
    for case in cases(setting):
        with threads(case.threads):
            _measure(setting, case, sheet)
    told = {figure.target for figure in sheet.figures} | {target for target, _ in sheet.unmeasured}
    for target in TARGETS:
        if target not in told:
            sheet.skip(target, _reason(setting, target, units))
    return sheet.outcome()


def _measure(setting: Setting, case: Case, sheet: Sheet) -> None:
    # two turns would double minutes on a CPU, and change nothing in the ratio
    symmetric = None if setting.cuda or case.backbone != FULL else False
    config = configured(setting, case.backbone, case.batch, case.threads, symmetric=symmetric)
    _, videos = videos_for(setting, case.backbone)
    steps = _steps(config, videos, setting.device, setting.folder)
    ours = steps["ours"]
    assert isinstance(ours, Ours)
    views, raw = ours.views, ours.views.read(ours.rows)
    works: dict[str, Work] = {"augment": lambda: views.make(raw)}
    for name, step in steps.items():
        drawn = step.draw()
        works[f"{name}, draw"] = step.draw
        works[f"{name}, train"] = lambda step=step, drawn=drawn: step.train(drawn)  # type: ignore[misc]
    found = alternate(works, setting.rounds, device=setting.device, limit=LIMIT)
    where = f"{case.name}, {case.threads} thread{'s' * (case.threads > 1)}"
    where = f"{case.name}, GPU" if setting.cuda else where
    kind = arithmetic.name(arithmetic.resolve(config.precision, setting.device))
    operation_count = operations(config)
    rates = setting.limits(case.threads).matmul
    for name in steps:
        took = found.combined(lambda took, name=name: took[f"{name}, draw"] + took[f"{name}, train"])  # type: ignore[misc]
        rate = rates[kind] if name == "ours" else rates["tf32"] if name == "eager TF32" else rates["fp32"]
        least = 1e3 * operation_count / rate
        told = f"{name} ({kind})" if name == "ours" else name
        sheet.add(f"{where}: {told}, step", took.scaled(1e3), "ms", least=least)
    for other in [name for name in steps if name != "ours"]:
        whole = found.combined(
            lambda took, other=other: (  # type: ignore[misc]
                (took[f"{other}, draw"] + took[f"{other}, train"]) / (took["ours, draw"] + took["ours, train"])
            )
        )
        sheet.add(f"{where}: {other} / ours", whole, "x", target=_target(setting, case, other))
        sheet.add(f"{where}: {other} / ours, without drawing views", found.ratio(f"{other}, train", "ours, train"), "x")
        # what no code exceeds here that computes convolutions as they are defined
        theirs = found.combined(lambda took, other=other: took[f"{other}, draw"] + took[f"{other}, train"])  # type: ignore[misc]
        sheet.add(f"{where}: {other} / the plain sums alone at our rate", theirs.scaled(rates[kind] / operation_count), "x")
    share = found.combined(lambda took: 100 * took["augment"] / (took["ours, draw"] + took["ours, train"]))
    judged = case.threads == 1 and case.backbone == NARROW and not setting.cuda
    sheet.add(f"{where}: augmentation in our step", share, "% of the step", target=AUGMENTATION if judged else None)


def _steps(config: Pretrain, videos: VideoSet, device: torch.device, folder: Path) -> dict[str, Step]:
    steps: dict[str, Step] = {"ours": Ours(config, videos, device, folder), "eager fp32": Plain(config, videos, device)}
    # the published network's steps last seconds on a CPU, so there only what the target asks for is compared
    if arithmetic.resolve("auto", device) is not None and (device.type == "cuda" or config.backbone != FULL):
        other: Precision = "bf16" if arithmetic.resolve(config.precision, device) is None else "fp32"
        steps[f"ours in {other}"] = Ours(config, videos, device, folder, precision=other)
    if device.type == "cuda":
        steps["eager TF32"] = Plain(config, videos, device, tf32=True)
    return steps


def _target(setting: Setting, case: Case, other: str) -> Target | None:
    if case.backbone == I3D:
        return None  # it is stated; the targets name the other two
    if setting.cuda:
        found = {"eager fp32": ON_GPU, "eager TF32": ON_GPU_TF32}.get(other)
    elif other == "eager fp32" and case.threads == 2:
        found = UNITS if arithmetic.has_bf16_units(setting.device) else NO_UNITS
    else:
        found = None
    return _for(found, case.name) if found else None


def _reason(setting: Setting, target: Target, units: bool) -> str:
    if setting.small:
        return setting.why_not
    if ("GPU" in target.what) != setting.cuda:
        return setting.elsewhere
    if "bf16 units" in target.what and ("without" in target.what) == units:
        return f"this processor has {'' if units else 'no '}bf16 units"
    return "one core only"
