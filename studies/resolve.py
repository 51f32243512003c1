"""From a declared study to resolved stages: a method and a measure, at a scale, on a dataset, are one Stage.

Two rows that say the same thing resolve to the same stage, whatever table they stand in; that is how shared cells are run once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fame.config import (
    Activation,
    Data,
    Evaluation,
    Finetune,
    Kernels,
    Masks,
    Pretrain,
    Probe,
    Retrieval,
    StagedData,
    VideoData,
)
from fame.errors import FameError
from studies.cell import Stage
from studies.scales import Scale, on_real_video
from studies.study import Measure, Method, Part, Row, Study


@dataclass(frozen=True)
class Setting:
    """Scale and data. `videos` is the scanned real dataset, in target A's place; None is the embedded benchmark.

    `pretrained` is the SHA-256 of a given weights file: every study is then reduced to that one encoder.
    """

    scale: Scale
    videos: VideoData | None = None
    pretrained: str | None = None

    def __post_init__(self) -> None:
        if self.videos is None and self.scale.world is None:
            raise FameError(f"scale {self.scale.name} needs real videos: add --dataset ucf101 --data-root DIR")

    @property
    def sizes(self) -> Scale:
        """The scale as this data wants it."""
        return on_real_video(self.scale) if self.videos else self.scale

    @property
    def dataset(self) -> str:
        return self.videos.kind if self.videos else "staged"

    def data(self, part: Part) -> Data | None:
        """The videos of a part; None where this dataset has no such part (a real set stands in target A's place alone)."""
        if self.videos:
            return self.videos if part == "A" else None
        assert self.scale.world is not None
        return StagedData(part=part, world=self.scale.world, short_side=self.scale.world.size)

    def pretraining(self, method: Method) -> Stage | None:
        """The first stage of a method; None where its data is missing."""
        scale = self.sizes
        if self.pretrained:
            return Stage(Pretrain(kind="file", weights=self.pretrained, clip=scale.clip, backbone=scale.backbone))
        if method.kind == "random":
            return Stage(Pretrain(kind="random", clip=scale.clip, backbone=scale.backbone))
        data = self.data(method.on)
        if data is None:
            return None
        epochs = scale.source_epochs if method.on == "source" else scale.pretrain.epochs
        config = Pretrain(
            kind=method.kind,
            data=data,
            clip=scale.clip,
            augment=scale.augment,
            merge=method.merge,
            erasing=method.erasing,
            backbone=scale.backbone,
            moco=scale.moco,
            optim=scale.pretrain.model_copy(update={"epochs": epochs}),
            precision=scale.precision,
        )
        return Stage(config)

    def evaluation(self, protocol: str, data: Data) -> Evaluation:
        scale = self.sizes
        plain = scale.augment.model_copy(update={"blur": 0.0})
        common = {"data": data, "clip": scale.clip}
        networks = {**common, "precision": scale.precision}
        match protocol:
            case "finetune":
                return Finetune(augment=plain, optim=scale.finetune, dropout=scale.dropout, clips=scale.clips, **networks)
            case "probe":
                return Probe(solver=scale.probe, augment=plain, optim=scale.probe_optim, clips=scale.clips, **networks)
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
        data = self.data(measure.target)
        if data is None:
            return None
        config = self.evaluation(measure.protocol, data)
        if measure.protocol == "masks":
            return Stage(config)
        upstream = self.pretraining(row.method) if row.method else None
        return Stage(config, upstream) if upstream else None

    def rows(self, study: Study) -> tuple[Row, ...]:
        """The study's rows; with given weights one row, as there is one encoder."""
        if self.pretrained and any(row.method for row in study.rows):
            return (Row("given weights", Method(kind="random")),)
        return study.rows

    def cells(self, study: Study) -> Iterator[tuple[Row, Measure, Stage | None]]:
        """Every number of the study's table, row by row."""
        for row in self.rows(study):
            for measure in study.measures:
                yield row, measure, self.stage(row, measure)


def all_stages(setting: Setting, studies: tuple[Study, ...]) -> dict[str, tuple[Stage, tuple[str, ...]]]:
    """Every stage that the studies need, upstream first, once, with the names of the studies that it serves."""
    found: dict[str, tuple[Stage, tuple[str, ...]]] = {}
    for study in studies:
        for _, _, stage in setting.cells(study):
            for link in stage.chain() if stage else ():
                serves = found.get(link.id, (link, ()))[1]
                found[link.id] = (link, serves if study.name in serves else (*serves, study.name))
    return found
