"""Resolve a declared study to stages: a method and a measure, at a scale, on a dataset, are one Stage, which equal rows share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from fame.config import (
    MASKS,
    OBJECTIVES,
    Activation,
    Clip,
    Data,
    Evaluation,
    File,
    Finetune,
    Kernels,
    Masks,
    MoCoObjective,
    Objective,
    Pretrain,
    Probe,
    Random,
    Retrieval,
    StagedData,
    StagedWorld,
    Supervised,
    VideoData,
)
from fame.errors import FameError, explain
from studies.setting.cell import Stage
from studies.setting.fields import Model, Typed, changed, changed_optim, changed_world, in_group
from studies.setting.scales import CORRECTED, Group, Protocol, Scale
from studies.study import FLOORS, UNCHANGED, Changes, Measure, Method, Part, Row, Study, on_targets

TARGETS = "targets"  # as --dataset says it: sets of the user's own, tested by cross-validation after one pretraining


@dataclass(frozen=True)
class Setting:
    """Hold scale, data and protocol. `sets` are the real sets by part in the first fold; none: the embedded benchmark.

    A single set stands in target A's place. With `targets` the parts are `source`, for all pretraining, and the targets by name.
    `pretrained` is the SHA-256 of a given weights file: every study is then reduced to that one encoder.
    `folds` are the sets by part in each further fold. What `protocol` says of `data` is in all sets already.
    """

    scale: Scale
    sets: Mapping[Part, VideoData] = field(default_factory=dict, hash=False)
    dataset: str = "staged"
    pretrained: str | None = None
    folds: tuple[Mapping[Part, VideoData], ...] = field(default=(), hash=False)
    protocol: Protocol = CORRECTED
    typed: Typed = ()

    def __post_init__(self) -> None:
        if not self.sets and self.scale.world is None:
            raise FameError(f"scale {self.scale.name} needs real videos: add --dataset paper, ucf101, ... and --data-root DIR")
        if not self.sets and self.scale.world is not None:
            check_staged(self.scale.world, self.clip)

    @property
    def clip(self) -> Clip:
        return self._by_protocol("clip", self.scale.clip)

    def _by_protocol(self, group: Group, model: Model) -> Model:
        return changed(model, self.protocol.changes(group), group)

    @property
    def targets(self) -> tuple[str, ...]:
        """The user's targets by name; empty where the parts are the paper's."""
        return tuple(part for part in self.sets if part != "source") if self.dataset == TARGETS else ()

    @property
    def every_set(self) -> tuple[VideoData, ...]:
        return tuple(dict.fromkeys(data for sets in (self.sets, *self.folds) for data in sets.values()))

    def folded(self, stage: Stage) -> tuple[Stage, ...]:
        """The stage in every fold, its own first; itself alone where one fold was asked for or nothing of it has folds."""
        twins = ({self.sets[part]: data for part, data in fold.items()} for fold in self.folds)
        return tuple(dict.fromkeys([stage, *(counterpart(stage, twin) for twin in twins)]))

    def data(self, part: Part, changes: Changes = UNCHANGED) -> Data | None:
        """Return the videos of a part, of the world as a method changes it; None where this dataset has no such part or world."""
        if self.sets:
            return self.sets.get(part) if not changes.world else None
        assert self.scale.world is not None
        world = changed_world(self.scale.world, changes.world)
        return StagedData(part=part, world=world, short_side=world.size)

    def pretraining(self, method: Method) -> Stage | None:
        """The first stage of a method; None where its data is missing."""
        scale, changes = self.scale, method.changes
        if self.pretrained:
            return Stage(Pretrain(objective=File(weights=self.pretrained), backbone=scale.backbone))
        if method.kind == "random":
            return Stage(Pretrain(objective=Random(), backbone=scale.backbone))
        data = self.data("source" if self.targets else method.on, changes)
        if data is None or (self.sets and method.merge and method.merge.needs_truth):
            return None  # real videos have no true masks
        if self.targets and method.kind == "supervised":
            return None  # the pool has no labels
        epochs = scale.source_epochs if method.on == "source" else scale.pretrain.epochs
        optim = changed(scale.pretrain.model_copy(update={"epochs": epochs}), in_group(self.typed, "optim"), "optim")
        augment = changed(self._by_protocol("augment", scale.augment), in_group(self.typed, "augment"), "augment")
        try:
            config = Pretrain(
                objective=self._objective(method),
                data=data,
                clip=self.clip,
                augment=changed(augment, changes.augment, "augment"),
                backbone=scale.backbone,
                optim=changed_optim(optim, changes.optim),
                precision=scale.precision,
                accumulate=scale.accumulate,
            )
        except ValidationError as error:
            raise FameError(explain(error)) from None
        return Stage(config)

    def _objective(self, method: Method) -> Objective:
        """What a method trains an encoder for; FameError for an unknown kind, and for changes that would change nothing."""
        scale = self.scale
        if method.kind == "moco":
            merge = self._by_protocol("merge", method.merge) if method.merge and not method.flavoured else method.merge
            if merge and method.merge:
                merge = changed(merge, in_group(self.typed, "merge", method.merge.model_fields_set), "merge")
            contrast = changed(scale.moco, in_group(self.typed, "moco"), "moco")
            return MoCoObjective(
                moco=changed(contrast, method.changes.moco, "moco"),
                merge=merge,
                erasing=method.erasing and changed(method.erasing, in_group(self.typed, "erasing"), "erasing"),
                ranks=scale.ranks,
                compiled=scale.compiled,
            )
        if method.changes.moco or method.merge or method.erasing:
            raise FameError(
                f"pretraining by {method.kind} has no contrast: merge, erasing and changes of moco would change nothing"
            )
        if method.kind == "supervised":
            return Supervised()
        if method.objective is not None:
            return method.objective
        raise FameError(f"unknown kind of pretraining {method.kind!r}; known: {', '.join(OBJECTIVES)}")

    def evaluation(self, protocol: str, data: Data) -> Evaluation:
        scale = self.scale
        plain = scale.augment.model_copy(update={"blur": 0.0})
        common = {"data": data, "clip": self.clip}
        networks = {**common, "precision": scale.precision}
        match protocol:
            case "finetune":
                training = {"augment": plain, "optim": scale.finetune, "dropout": scale.dropout}
                return Finetune(clips=scale.clips, **training, **networks)
            case "probe":
                solver = "lbfgs" if self.targets else scale.probe
                return Probe(solver=solver, augment=plain, optim=scale.probe_optim, clips=scale.clips, **networks)
            case "retrieval":
                return Retrieval(clips=scale.clips, **networks)
            case "kernels":
                return Kernels()
            case "activation":
                return Activation(videos=scale.analysed, **networks)
            case "masks":
                return Masks(videos=scale.analysed, **common)
        raise ValueError(f"unknown protocol {protocol!r}")

    def stage(self, row: Row, measure: Measure) -> Stage | None:
        """The stage whose result holds this number; None where the dataset lacks a part of it."""
        data = self.data(measure.target, row.method.changes if row.method else UNCHANGED)
        if data is None:
            return None
        config = self.evaluation(measure.protocol, data)
        if row.method and row.method.kind in FLOORS:
            return Stage(config.model_copy(update={"reads": row.method.kind})) if isinstance(config, Probe) else None
        if isinstance(config, Masks):  # of the unchanged world, every mask, plugins' too
            return Stage(config if row.method else Masks(**{**dict(config), "variants": tuple(MASKS)}))
        upstream = self.pretraining(row.method) if row.method else None
        return Stage(config, upstream) if upstream else None

    def rows(self, study: Study) -> tuple[Row, ...]:
        if self.pretrained and any(row.method for row in study.rows):
            return (Row("given weights", Method(kind="random")),)
        return study.rows

    def measures(self, study: Study) -> tuple[Measure, ...]:
        """The study's measures; on the user's targets each measure of one of the paper's stands once for every target."""
        own = (one for measure in study.measures for one in on_targets(measure, self.targets))
        return tuple({(one.metric, one.protocol, one.target): one for one in own}.values())

    def cells(self, study: Study) -> Iterator[tuple[Row, Measure, Stage | None]]:
        for row in self.rows(study):
            for measure in self.measures(study):
                yield row, measure, self.stage(row, measure)


def check_staged(world: StagedWorld, clip: Clip) -> None:
    """FameError where the embedded benchmark's videos, which are all alike, are too small or too short for a protocol's clips."""
    if not clip.resize and clip.size > world.size:
        wrong = f"frames are of {world.size} pixels, smaller than the test crop of {clip.size}: ask for a smaller --size"
    elif clip.short == "dropped" and clip.window > world.frames:
        wrong = f"videos have {world.frames} frames, fewer than the {clip.window} of a clip: ask for fewer --frames"
    else:
        return
    raise FameError(f"the embedded benchmark's {wrong}, or for --protocol corrected")


def counterpart(stage: Stage, other: Mapping[VideoData, VideoData]) -> Stage:
    """Return the stage with other data in place of some, all along its chain; itself where none of it is among them."""
    upstream = counterpart(stage.upstream, other) if stage.upstream else None
    data = getattr(stage.config, "data", None)
    if isinstance(data, VideoData) and data in other:
        return Stage(stage.config.model_copy(update={"data": other[data]}), upstream)
    return stage if upstream == stage.upstream else Stage(stage.config, upstream)


def all_stages(setting: Setting, studies: tuple[Study, ...]) -> dict[str, tuple[Stage, tuple[str, ...]]]:
    """Every stage that the studies need, in all folds, upstream first, once, with the names of the studies that it serves."""
    found: dict[str, tuple[Stage, tuple[str, ...]]] = {}
    for study in studies:
        for _, _, stage in setting.cells(study):
            for link in (link for twin in setting.folded(stage) for link in twin.chain()) if stage else ():
                serves = found.get(link.id, (link, ()))[1]
                found[link.id] = (link, serves if study.name in serves else (*serves, study.name))
    return found
