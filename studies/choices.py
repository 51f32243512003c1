"""What somebody asked for: from the command line to a `Setting`, to `OUT/setting.json`, and back where results are only read.

Overrides of a scale (clip, backbone, epochs) are scientific choices: they go through the same validated models and into every id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from pydantic import ValidationError

from fame.config import Backbone, Data, VideoData
from fame.errors import FameError
from fame.seeds import SELECTION_REPLICATES
from studies.folds import Folds, folds_of
from studies.left_out import LeftOut, left_out_by
from studies.paper_sets import PAPER, absent, find_sets, roots_by_kind
from studies.plan import staged_sizes
from studies.protocols import CORRECTED, kept_protocol, protocol, schedule
from studies.registry import SELECTION, named, studies
from studies.resolve import Setting, changed
from studies.scales import Scale, on_real_video, scale
from studies.store import SETTING, Store, explain
from studies.study import Study
from studies.training import Training, checked_training

OVERRIDES = ("backbone", "frames", "size", "epochs", "ranks", "schedule")  # options that change the scale, as `Training`'s do
DATASETS = ("staged", *get_args(VideoData.model_fields["kind"].annotation), PAPER)
Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Choices:
    """The options that say what is computed; where and how fast is a `Runtime`'s to say."""

    scale: str = "quick"
    dataset: str | None = None  # see `dataset_of`
    data_root: Path | None = None
    fold: Folds = 1
    replicates: int | None = None  # the scale's own number
    studies: tuple[str, ...] = ()
    pretrained: Path | None = None
    backbone: str | None = None
    frames: int | None = None  # of a clip
    size: int | None = None  # of a clip, pixels
    epochs: int | None = None  # of pretraining
    ranks: int | None = None  # processes that share a pretraining's batches
    part: str | None = None  # of the replicates, those to run now: "3", "2-4", "1,5"
    codec: str | None = None  # of stored real videos; None: raw
    protocol: str = CORRECTED.name  # studies/protocols.py
    schedule: str | None = None  # of pretraining, likewise; None: the scale's
    training: Training = field(default_factory=Training)


@dataclass(frozen=True)
class Asked:
    """Choices made good: names looked up, files hashed, data scanned."""

    setting: Setting
    studies: tuple[Study, ...]
    replicates: tuple[int, ...]
    counts: Mapping[str, int] = field(default_factory=dict)  # videos per split of a real set, part A's where there are several
    pretrained: str | None = None  # name of the weights file
    choices: Mapping[str, Any] = field(default_factory=dict)  # overrides of the scale
    part: tuple[int, ...] = ()  # replicates to run now; empty: all
    others: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # videos per split of the parts beside A
    roots: Mapping[str, Path] = field(default_factory=dict, compare=False)  # of several sets, by kind; not kept
    folded: tuple[Mapping[str, Mapping[str, int]], ...] = ()  # videos per split of the parts in each further fold
    left_out: tuple[LeftOut, ...] = ()  # broken videos, of all sets and folds

    @property
    def now(self) -> tuple[int, ...]:
        """The replicates that this call runs."""
        return self.part or self.replicates

    def sizes(self, data: Data) -> Mapping[str, int]:
        """Videos per split, for the plan."""
        if not isinstance(data, VideoData):
            return staged_sizes(data)
        for sets, counts in zip((self.setting.others or {}, *self.setting.folds), (self.others, *self.folded), strict=True):
            part = next((part for part, there in sets.items() if there == data), None)
            if part:
                return counts.get(part, {})
        return self.counts

    @property
    def absent(self) -> str:
        """A line on the paper's sets that are not there; "" where none lacks, or where one set alone was asked for."""
        return absent(self.setting.sets) if self.setting.others is not None else ""

    def to_json(self) -> dict[str, Any]:
        videos, others = self.setting.videos, self.setting.others
        beside: dict[str, Any] = {"others": _sets_json(others, self.others)} if others is not None else {}  # not of a single set
        if self.folded:
            beside["folds"] = [_sets_json(*fold) for fold in zip(self.setting.folds, self.folded, strict=True)]
        if self.left_out:
            beside["left_out"] = [one._asdict() for one in self.left_out]
        if self.setting.protocol != CORRECTED:
            beside["protocol"] = self.setting.protocol.to_json()
        return {
            "scale": self.setting.scale.name,
            "dataset": self.setting.dataset,
            "manifest": videos.manifest if videos else None,
            "videos": videos.model_dump(mode="json") if videos else None,
            "counts": dict(self.counts),
            "replicates": list(self.replicates),
            "studies": [name for study in self.studies for name in named(study)],
            "pretrained": {"sha256": self.setting.pretrained, "name": self.pretrained} if self.setting.pretrained else None,
            "overrides": dict(self.choices),
            **beside,
        }


def resolve(choices: Choices, cache: Path, jobs: int, progress: Progress | None = None, most_broken: float = 0.0) -> Asked:
    """Look everything up; FameError names what is wrong. Real data are scanned here: their digest belongs to the identity."""
    if choices.replicates is not None and choices.replicates < 1:
        raise FameError(f"--replicates {choices.replicates}: at least one replicate is needed (three for a verdict)")
    dataset = dataset_of(choices)
    if dataset not in DATASETS:
        raise FameError(f"unknown dataset {dataset!r}; the datasets are {', '.join(DATASETS)}")
    chosen = studies(list(choices.studies))
    rules = protocol(choices.protocol)
    overrides = {name: value for name in OVERRIDES if (value := getattr(choices, name)) is not None} | choices.training.told()
    sized = sized_for(choices.scale, dataset != "staged", overrides)
    numbers = numbered(sized, chosen, choices.replicates)
    part = part_of(choices.part, numbers) if choices.part is not None else ()
    digest = sha256(choices.pretrained) if choices.pretrained else None
    name = choices.pretrained.name if choices.pretrained else None
    if dataset == "staged":
        if choices.data_root is not None:
            raise FameError(f"--data-root {choices.data_root} goes with a dataset on disk: add --dataset ucf101, {PAPER}, ...")
        return Asked(Setting(sized, None, digest, protocol=rules), chosen, numbers, {}, name, overrides, part)

    left_out: list[LeftOut] = []

    def scanned(kind: Any, root: Path, fold: int) -> tuple[VideoData, Mapping[str, int]]:
        from fame.data import scan_videos
        from fame.data.fitting import check_manifest
        from fame.data.manifest import count_splits
        from fame.data.scan import report_file

        manifest = scan_videos(root, kind, fold, cache, jobs, progress, most_broken)
        left_out.extend(left_out_by(report_file(root, kind, fold, cache / "scan"), kind, fold))
        stored = dict(rules.changes("data")).get("short_side", max(sized.short_side, sized.clip.size))
        check_manifest(manifest, changed(sized.clip, rules.changes("clip"), "clip"))
        digest_of_set, codec = manifest.digest(), cast(Any, choices.codec or "raw")
        videos = _validated(lambda: VideoData(kind=kind, manifest=digest_of_set, fold=fold, short_side=stored, codec=codec))
        return videos, count_splits(manifest.videos)

    root = _root(choices, dataset)
    sets = find_sets(root) if dataset == PAPER else {}
    kinds: dict[str, tuple[str, Path]] = {one.part: (one.kind, folder) for one, folder in sets.items()} or {"A": (dataset, root)}
    found: dict[str, list[tuple[VideoData, Mapping[str, int]]]] = {
        part: [scanned(kind, folder, fold) for fold in folds_of(kind, choices.fold, lenient=dataset == PAPER)]
        for part, (kind, folder) in kinds.items()
    }
    several = range(1, max(len(of_part) for of_part in found.values()))  # beyond the first fold
    folds = tuple({part: of_part[fold][0] for part, of_part in found.items() if len(of_part) > 1} for fold in several)
    folded = tuple({part: of_part[fold][1] for part, of_part in found.items() if len(of_part) > 1} for fold in several)
    videos, counts = found.pop("A")[0]
    others = {part: of_part[0][0] for part, of_part in found.items()} if sets else None
    beside = {part: of_part[0][1] for part, of_part in found.items()}
    setting = Setting(sized, videos, digest, others, folds, rules)
    told = counts, name, overrides, part, beside, roots_by_kind(sets), folded, tuple(left_out)
    return Asked(setting, chosen, numbers, *told)


def dataset_of(choices: Choices) -> str:
    """The dataset asked for; where none was, the paper's own sets at paper scale with a folder, else the embedded benchmark."""
    if choices.dataset is not None:
        return choices.dataset
    return PAPER if choices.scale == "paper" and choices.data_root is not None else "staged"


def _sets_json(others: Mapping[str, VideoData], counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {part: {"videos": one.model_dump(mode="json"), "counts": dict(counts.get(part, {}))} for part, one in others.items()}


def numbered(sized: Scale, chosen: tuple[Study, ...], asked: int | None) -> tuple[int, ...]:
    """The study's replicates: as many as asked for, else as the scale fixed. The study `selection` has the worlds of selection."""
    apart = any(study.name == SELECTION for study in chosen)
    first, many = (SELECTION_REPLICATES, sized.selected) if apart else (sized.first, sized.replicates)
    return tuple(range(first, first + (asked or many)))


def recall(store: Store) -> Asked:
    """What was asked for last in this folder (setting.json). FameError where there is nothing or it is of another version."""
    value = store.setting()
    if value is None:
        raise FameError(f"{store.out}: nothing was run there yet (no setting.json); name the folder with --out, or run something")
    return from_json(value, f"{store.out / SETTING}", "delete it and start the study again")


def from_json(value: Mapping[str, Any], where: str, mend: str) -> Asked:
    """The inverse of `Asked.to_json`; FameError, with `where` it was read and the `mend`, where it is of another version."""
    try:
        videos = VideoData.model_validate(value["videos"]) if value["videos"] else None
        weights = value["pretrained"] or {}
        kept = value.get("others")  # None: a single set, also in folders that know nothing of several
        others = {part: VideoData.model_validate(one["videos"]) for part, one in kept.items()} if kept is not None else None
        beside = {part: one["counts"] for part, one in (kept or {}).items()}
        sized = sized_for(value["scale"], videos is not None, value["overrides"])
        further = value.get("folds", [])
        folds = tuple({part: VideoData.model_validate(one["videos"]) for part, one in fold.items()} for fold in further)
        folded = tuple({part: one["counts"] for part, one in fold.items()} for fold in further)
        setting = Setting(sized, videos, weights.get("sha256"), others, folds, kept_protocol(value.get("protocol")))
        numbers, chosen = _replicates(value["replicates"]), studies(value["studies"])
        overrides, name = value["overrides"], weights.get("name")
        gone = tuple(LeftOut(**one) for one in value.get("left_out", []))
        return Asked(setting, chosen, numbers, value["counts"], name, overrides, others=beside, folded=folded, left_out=gone)
    except ValidationError as error:
        fault = explain(error)
    except (KeyError, TypeError, AttributeError) as error:
        fault = repr(error)
    raise FameError(f"{where}: written by another version of the program ({fault}); {mend}")


def _replicates(value: Any) -> tuple[int, ...]:
    """The numbers in setting.json; a single number is how many from 0 on, as earlier versions wrote it. TypeError for others."""
    numbers = tuple(range(value)) if type(value) is int else tuple(value)
    if not numbers or any(type(number) is not int or number < 0 for number in numbers):
        raise TypeError(f"replicates {value!r}")
    return numbers


def part_of(text: str, replicates: Sequence[int]) -> tuple[int, ...]:
    """The replicates that `text` names ("3", "2-4", "1,5"), in order and once each; FameError where one is none of `replicates`."""
    study = f"the study's replicates are {listed(replicates)}"
    chosen: set[int] = set()
    for word in text.split(","):
        low, dash, high = (end.strip() for end in word.partition("-"))
        if not low.isdecimal() or not (high.isdecimal() if dash else not high):
            raise FameError(f"--part {text}: {word.strip()!r} is no replicate; write 3, 2-4 or 1,5 ({study})")
        ends = int(low), int(high or low)
        if ends[0] > ends[1]:
            raise FameError(f"--part {text}: {word.strip()!r} runs backwards; write {ends[1]}-{ends[0]} ({study})")
        outside = next((end for end in ends if end not in replicates), None)
        if outside is not None:
            raise FameError(f"--part {text}: there is no replicate {outside}; {study} (--replicates sets how many)")
        chosen |= {number for number in replicates if ends[0] <= number <= ends[1]}
    return tuple(sorted(chosen))


def listed(numbers: Sequence[int]) -> str:
    """`1-6`, `1-3, 5`: for the eye."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def sized_for(name: str, real_video: bool, overrides: Mapping[str, Any]) -> Scale:
    """The named scale as the data want it, and then as the user wants it."""
    base = scale(name)
    return with_overrides(on_real_video(base) if real_video else base, overrides)


def with_overrides(base: Scale, overrides: Mapping[str, Any]) -> Scale:
    """The scale with another backbone, clip, number of epochs or schedule of pretraining, or way to train; FameError for impossible
    values."""
    training = checked_training(base, overrides)

    def change() -> Scale:
        clip = {name: overrides[name] for name in ("frames", "size") if name in overrides}
        backbone = {"name": overrides["backbone"]} if "backbone" in overrides else {}
        epochs = {"epochs": overrides["epochs"]} if "epochs" in overrides else {}
        return replace(
            base,
            clip=type(base.clip).model_validate(base.clip.model_dump() | clip),
            backbone=Backbone.model_validate(base.backbone.model_dump() | backbone),
            pretrain=type(base.pretrain).model_validate(base.pretrain.model_dump() | epochs),
            source_epochs=overrides.get("epochs", base.source_epochs),
            schedule=schedule(overrides.get("schedule", base.schedule)).name,
            **training,
        )

    return _validated(change)


def _validated(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValidationError as error:
        hint = "; a mask needs motion, so two frames at least" if "frames" in str(error.errors()[0]["loc"]) else ""
        raise FameError(f"{error.title.lower()}.{explain(error)}{hint}") from None


def sha256(path: Path) -> str:
    """Of the weights file, 64 hex."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FameError(f"--pretrained {path}: cannot be read ({error.strerror}); name a weights file") from None


def _root(choices: Choices, dataset: str) -> Path:
    if choices.data_root is None:
        raise FameError(f"--dataset {dataset}: where are the videos? add --data-root DIR")
    if not choices.data_root.is_dir():
        raise FameError(f"--data-root {choices.data_root}: there is no such folder")
    return choices.data_root
