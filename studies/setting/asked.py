"""Make options good: names looked up, files hashed, real data scanned. The result is stored as OUT/setting.json."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from fame.config import Backbone, Config, Data, VideoData
from fame.data.manifest import split_counts
from fame.errors import FameError, explain
from fame.files import sha256_of
from fame.plugins import Plugin, load, loaded
from fame.seeds import SELECTION_REPLICATES
from studies.findings.real_video import STUDY as REAL_VIDEO
from studies.paper.headline import HEADLINE, apart, headline
from studies.paper.registry import SELECTION, studies
from studies.setting.fields import changed, rows_study, typed_fields
from studies.setting.options import Options
from studies.setting.paper_sets import PAPER, absent, find_sets, sets_of, wanted
from studies.setting.resolve import TARGETS, Setting
from studies.setting.scales import PROTOCOLS, Scale, staged_sizes
from studies.study import Part, Study

Progress = Callable[[str, int, int], None]
UNSEEN = "as published"  # instead of the digest of a scan: of a set that is planned for and lies nowhere yet


class Scanned(Config):
    """A set of videos on disk as a scan found it, and how many videos each split and each class has."""

    data: VideoData
    counts: dict[str, int]
    classes: dict[str, int] = Field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return `ucf101, fold 2: 60 train, 48 test; 2 classes: Archery 50, Biking 58`; the first twenty classes by name."""
        names = ", ".join(f"{name} {count}" for name, count in list(self.classes.items())[:20])
        more = ", ..." if len(self.classes) > 20 else ""
        name = (self.data.name or self.data.kind) + (f", fold {self.data.fold}" if self.data.fold > 1 else "")
        classes = f"{len(self.classes)} classes: {names}{more}" if self.data.manifest != UNSEEN else "as published, not looked at"
        return f"{name}: {split_counts(self.counts)}; {classes}"


class LeftOut(Config):
    """A broken video that is left out: its set, its path there, its split, and the fault's name (fame/data/faults.py)."""

    kind: str
    fold: int
    video: str
    split: str
    fault: str


class Weights(Config):
    name: str
    sha256: str


class Asked(Config):
    """A study as it was asked for. `folds`: the real sets by part in the first fold, then those that differ in each further one."""

    options: Options
    replicates: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    folds: tuple[dict[Part, Scanned], ...] = ()
    left_out: tuple[LeftOut, ...] = ()  # broken videos, of all sets and folds
    weights: Weights | None = None
    plugins: tuple[Plugin, ...] = ()

    @cached_property
    def studies(self) -> tuple[Study, ...]:
        return chosen(self.options, self.weights is not None)

    @cached_property
    def setting(self) -> Setting:
        """Return scale, data and protocol; FameError where they do not fit."""
        first, *further = [{part: one.data for part, one in fold.items()} for fold in self.folds] or [{}]
        return Setting(
            scale=self.options.sized(self.pretrained_on),
            sets=first,
            dataset=self.options.dataset,
            pretrained=self.weights.sha256 if self.weights else None,
            folds=tuple(further),
            protocol=PROTOCOLS[self.options.protocol],
            typed=typed_fields(self.options.set),
        )

    def has(self, names: Iterable[str], replicate: int) -> bool:
        """Return whether a run that serves the studies of these names has the replicate: some have the first few alone."""
        return any(replicate in self.replicates[: one.replicates or None] for one in self.studies if one.name in names)

    @property
    def pretrained_on(self) -> int:
        """Return the real videos that are pretrained on: those of the target itself, or of the pool."""
        sets = self.folds[0] if self.folds else {}
        return sets["A" if "A" in sets else "source"].counts.get("train", 0) if sets else 0

    def sizes(self, data: Data) -> Mapping[str, int]:
        scanned = (one.counts for fold in self.folds for one in fold.values() if one.data == data)
        return next(scanned, {}) if isinstance(data, VideoData) else staged_sizes(data)

    @property
    def absent(self) -> str:
        """Return a line on the sets that are not there; "" where none lacks, or where one set alone was asked for and is there."""
        if any(data.manifest == UNSEEN for data in self.setting.sets.values()):
            return wanted(self.options.dataset)
        return absent(self.setting.sets) if self.options.dataset == PAPER else ""

    def command(self) -> str:
        """Return the command that makes these runs and their report, without the reader's own folders."""
        alike = not any(study.replicates for study in self.studies)
        words = self.options.model_copy(update={"replicates": len(self.replicates)} if alike else {}).words()
        return f"reproduce-paper {words}" + (f" --pretrained {shlex.quote(self.weights.name)}" if self.weights else "")

    def to_json(self) -> dict[str, Any]:
        """Return what OUT/setting.json holds."""
        return self.model_dump(mode="json")


def read_asked(value: Any, where: str, mend: str) -> Asked:
    """Return what `Asked.to_json` gave; FameError, with `where` it was read and the `mend`, where it is something else."""
    try:
        asked = Asked.model_validate(value)
    except ValidationError as error:
        raise FameError(f"{where}: damaged, or of another version of the program ({explain(error)}); {mend}") from None
    for plugin in asked.plugins:
        load(*plugin)
    return asked


def chosen(options: Options, pretrained: bool) -> tuple[Study, ...]:
    """Return the studies that options name, the headline as the scale has it; FameError for an unknown name or a wrong row."""
    own: tuple[str, ...] = ()
    if options.dataset == TARGETS:
        own = (REAL_VIDEO.name,)
    elif options.dataset == "staged" and not pretrained:
        own = (HEADLINE.name, *(study.name for study in studies()))
    scale = options.sized()
    named = studies(list(options.only or own), headline(scale.headline)) if options.only or not options.row else ()
    found = (*named, rows_study(options.row)) if options.row else named
    few = scale.replicates if apart(found) and scale.decided_by and not options.replicates else 0
    return tuple(study if study.replicates or apart([study]) else replace(study, replicates=few) for study in found)


def resolve(options: Options, cache: Path, jobs: int, progress: Progress | None = None, planning: bool = False) -> Asked:
    """Make options good; FameError names what is wrong. Real data are scanned here: their digest belongs to the ids.

    `planning`: without --data-root the published sets count as they were published, and nothing can be run.
    """
    for plugin in options.plugin:
        load(plugin)
    scale = options.sized()
    typed_fields(options.set)
    replicates = numbered(scale, chosen(options, options.pretrained is not None), options.replicates)
    weights = weights_at(options.pretrained, scale.backbone) if options.pretrained else None
    left_out: list[LeftOut] = []

    protocol = PROTOCOLS[options.protocol]
    stored = dict(protocol.changes("data")).get("short_side", max(scale.short_side, scale.clip.size))

    def as_stored(kind: Any, manifest: str, fold: int, name: str = "") -> VideoData:
        return VideoData(kind=kind, name=name, manifest=manifest, fold=fold, short_side=stored, codec=options.codec or "raw")

    def published(kind: str, fold: int) -> Scanned:
        from fame.data.layouts.official import OFFICIAL  # with it comes the decoder

        official = OFFICIAL[kind, fold]
        return Scanned(data=as_stored(kind, UNSEEN, fold), counts={"train": official.train, "test": official.test})

    def scanned(kind: Any, root: Path, fold: int, name: str) -> Scanned:
        from fame.data import scan_videos
        from fame.data.manifest import check_manifest, count_splits
        from fame.data.scan import read_report, report_file

        manifest = scan_videos(root, kind, fold, cache, jobs, progress, options.broken)
        for one in read_report(report_file(root, kind, fold, cache / "scan")):
            if one.what == "fault":
                left_out.append(LeftOut(kind=kind, fold=fold, video=one.video, split=one.split, fault=one.name))
        check_manifest(manifest, changed(scale.clip, protocol.changes("clip"), "clip"))
        data = as_stored(kind, manifest.digest(), fold, name)
        classes = Counter(manifest.classes[video.label] for video in manifest.videos)
        return Scanned(data=data, counts=count_splits(manifest.videos), classes=classes)

    folds_asked = partial(folds_of, fold=options.fold, lenient=options.dataset == PAPER)
    if planning and options.data_root is None and (sets := sets_of(options.dataset)):
        found = {part: [published(one.kind, fold) for fold in folds_asked(one.kind)] for part, one in sets.items()}
    else:
        found = {
            part: [scanned(kind, root / name, fold, name) for fold in folds_asked(kind)]
            for part, (kind, root, name) in places(options).items()
        }
    folds = [{part: of_part[0] for part, of_part in found.items()}] if found else []
    for fold in range(1, max(map(len, found.values()), default=0)):
        folds.append({part: of_part[fold] for part, of_part in found.items() if len(of_part) > 1})
    asked = Asked(
        options=options.stored(),
        replicates=replicates,
        folds=tuple(folds),
        left_out=tuple(left_out),
        weights=weights,
        plugins=loaded(),
    )
    assert asked.setting, "makes it, which checks that scale, data and protocol fit"
    return asked


def places(options: Options) -> dict[Part, tuple[str, Path, str]]:
    """Return kind, root and folder below it of each real set, by part; none where staged. FameError where it is not there."""
    dataset, root = options.dataset, options.data_root
    if dataset == "staged":
        on_disk: dict[str, Any] = {
            "data-root": root,
            "codec": options.codec,
            "fold": options.fold != "1" and options.fold,
        }
        on_disk |= {"exclude-broken": options.exclude_broken, "most-broken": options.most_broken}
        if wrong := next((name for name, given in on_disk.items() if given), None):
            given = "" if on_disk[wrong] is True else f" {on_disk[wrong]}"
            raise FameError(f"--{wrong}{given} goes with a dataset on disk: add --dataset ucf101, {PAPER}, ...")
        return {}
    if root is None:
        raise FameError(f"--dataset {dataset}: where are the videos? add --data-root DIR")
    if not root.is_dir():
        raise FameError(f"--data-root {root}: there is no such folder")
    if dataset == TARGETS and options.fold != "1":
        raise FameError(f"--fold {options.fold}: own targets have folds of their own (`folds` in a target's splits.toml)")
    if dataset == TARGETS:
        from fame.data.layouts.targets import target_folders  # with it comes the decoder

        return {"source": ("pool", root, "")} | {one.name: ("target", root, one.name) for one in target_folders(root)}
    if dataset != PAPER:
        return {"A": (dataset, root, "")}
    return {one.part: (one.kind, folder, "") for one, folder in find_sets(root).items()}


def folds_of(kind: str, fold: str, lenient: bool) -> tuple[int, ...]:
    """Return the folds of a set that `--fold` names. `lenient`: a set with one split takes any, as beside other sets."""
    single = kind in ("kinetics400", "diving48", "target", "pool")
    if fold == "all":
        return (1,) if single else (1, 2, 3)
    return (1,) if single and (lenient or kind in ("target", "pool")) else (int(fold),)


def weights_at(path: Path, backbone: Backbone) -> Weights:
    """Return a weights file as its name and digest; FameError where it cannot be read or does not fit the network."""
    try:
        found = Weights(name=path.name, sha256=sha256_of(path))
    except OSError as error:
        raise FameError(f"--pretrained {path}: cannot be read ({error.strerror}); name a weights file") from None
    from fame.backbones.given import load_encoder  # with it comes torch, whose import takes seconds

    load_encoder(path, backbone)
    return found


def numbered(sized: Scale, chosen: tuple[Study, ...], asked: int | None) -> tuple[int, ...]:
    """Return the replicates of all studies: as many as asked for, else as the scale fixed; of `selection` the selection worlds."""
    selecting = any(study.name == SELECTION for study in chosen)
    first, many = (SELECTION_REPLICATES, sized.selected) if selecting else (sized.first, sized.replicates)
    if apart(chosen):
        many = sized.decided_by or many
    return tuple(range(first, first + (asked or many)))


def part_of(text: str | None, replicates: Sequence[int]) -> tuple[int, ...]:
    """Return the replicates that `text` names ("3", "2-4", "1,5"), in order; None: all. FameError where one is unknown."""
    if text is None:
        return tuple(replicates)
    study = f"the study's replicates are {listed(replicates)}"
    chosen: set[int] = set()
    for word in map(str.strip, text.split(",")):
        match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", word, re.ASCII)
        if not match:
            raise FameError(f"--part {text}: {word!r} is no replicate; write 3, 2-4 or 1,5 ({study})")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise FameError(f"--part {text}: {word!r} runs backwards; write {high}-{low} ({study})")
        if outside := {low, high} - set(replicates):
            raise FameError(f"--part {text}: there is no replicate {max(outside)}; {study} (--replicates sets how many)")
        chosen |= {number for number in replicates if low <= number <= high}
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
