"""From the options of the command line to what is asked for: names looked up, files hashed, real data scanned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from fame.config import VideoData
from fame.errors import FameError
from fame.plugins import load
from studies.paper.registry import studies
from studies.setting.asked import Asked
from studies.setting.changes import changed
from studies.setting.folds import Folds, folds_of
from studies.setting.left_out import LeftOut, left_out_by
from studies.setting.paper_sets import PAPER, find_sets, roots_by_kind
from studies.setting.protocols import CORRECTED, protocol
from studies.setting.replicates import numbered, part_of
from studies.setting.resolve import Setting
from studies.setting.sizing import OVERRIDES, sized_for, validated
from studies.setting.training import Training
from studies.setting.typed import rows_study, typed_fields

DATASETS = ("staged", *get_args(VideoData.model_fields["kind"].annotation), PAPER)
Progress = Callable[[str, int, int], None]


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
    protocol: str = CORRECTED.name  # studies/setting/protocols.py
    training: Training = field(default_factory=Training)
    fields: tuple[str, ...] = ()  # --set: GROUP.FIELD=VALUE
    rows: tuple[str, ...] = ()  # --row: NAME(ARGUMENT=VALUE, ...)
    plugins: tuple[Path, ...] = ()  # files of own masks, pretrainings and studies (fame/plugins.py)


def resolve(choices: Choices, cache: Path, jobs: int, progress: Progress | None = None, most_broken: float = 0.0) -> Asked:
    """Look everything up; FameError names what is wrong. Real data are scanned here: their digest belongs to the identity."""
    for plugin in choices.plugins:
        load(plugin)
    if choices.replicates is not None and choices.replicates < 1:
        raise FameError(f"--replicates {choices.replicates}: at least one replicate is needed (three for a verdict)")
    dataset = dataset_of(choices)
    if dataset not in DATASETS:
        raise FameError(f"unknown dataset {dataset!r}; the datasets are {', '.join(DATASETS)}")
    chosen = studies(list(choices.studies)) if choices.studies or not choices.rows else ()
    chosen += (rows_study(choices.rows),) if choices.rows else ()
    typed = typed_fields(choices.fields)
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
        return Asked(Setting(sized, None, digest, protocol=rules, typed=typed), chosen, numbers, {}, name, overrides, part)

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
        videos = validated(lambda: VideoData(kind=kind, manifest=digest_of_set, fold=fold, short_side=stored, codec=codec))
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
    setting = Setting(sized, videos, digest, others, folds, rules, typed)
    told = counts, name, overrides, part, beside, roots_by_kind(sets), folded, tuple(left_out)
    return Asked(setting, chosen, numbers, *told)


def dataset_of(choices: Choices) -> str:
    """The dataset asked for; where none was, the paper's own sets at paper scale with a folder, else the embedded benchmark."""
    if choices.dataset is not None:
        return choices.dataset
    return PAPER if choices.scale == "paper" and choices.data_root is not None else "staged"


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
