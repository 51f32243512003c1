"""Declare the options of a study: each is one field, with its help, whether OUT/setting.json stores it, and what it sets."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from fame.config import BackboneName, Config, Precision, Share
from fame.data.faults import MOST_BROKEN  # imports no decoder: reading results shall start fast
from fame.errors import FameError
from fame.seeds import SELECTION_REPLICATES
from studies.setting.fields import changed
from studies.setting.paper_sets import PAPER
from studies.setting.scales import SCALES, Scale, on_real_video

Count = Annotated[int, Field(ge=1)]


def option(default: Any, help: str, sets: tuple[str, ...] = (), stored: bool = True, metavar: str = "") -> Any:
    """Declare an option. `sets`: fields of the scale that it overrides. `stored`: whether it says what is computed."""
    return Field(default, description=help, exclude=not stored, json_schema_extra={"sets": list(sets), "metavar": metavar})


def local(default: Any, help: str, metavar: str = "") -> Any:
    """Declare an option that says where or how fast something is computed, or how much of it now: it is not stored."""
    return option(default, help, stored=False, metavar=metavar)


class Options(Config):
    """Hold the options of the command line; those that are None are as the scale has it."""

    scale: Literal["smoke", "quick", "mini", "paper"] = option("quick", "How big: sizes and schedules.")
    dataset: Literal["staged", "ucf101", "hmdb51", "kinetics400", "diving48", "folder", "targets", "paper"] = option(
        None,
        "staged: the embedded benchmark, the default; folder: class folders of your own; targets: several such folders, tested by "
        "cross-validation after one pretraining; paper: the paper's sets in one folder, the default at scale paper.",
    )
    fold: Literal["1", "2", "3", "all"] = option("1", "Official fold; all: their mean. kinetics400 and diving48 have one split.")
    codec: Literal["raw", "jpeg"] | None = option(None, "How real videos are stored: raw (default) or jpeg, a twelfth of the disk.")
    protocol: Literal["corrected", "official"] = option(
        "corrected", "official: what the released code does with videos, faults included (docs/datasets.md)."
    )
    replicates: Annotated[int, Field(ge=1, lt=SELECTION_REPLICATES)] | None = option(
        None, "Replicates of the study; default: the scale's own number. Three are needed for a verdict."
    )
    only: tuple[str, ...] = option(
        (),
        "This study only, or one row of it (STUDY/ROW/COLUMN), or findings, or claims; may be repeated.",
        metavar="STUDY",
    )
    row: tuple[str, ...] = option(
        (),
        "A row of your own, as \"fame(beta=0.4, variant='seed')\", beside the baseline in a table `rows`. May be repeated.",
        metavar="METHOD",
    )
    set: tuple[str, ...] = option(
        (),
        "A field of the method, as merge.beta=0.4, moco.temperature=0.2, optim.lr=1e-3, augment.blur=0 (also erasing.*), in every "
        "pretraining that has it; a row that gives the field itself keeps its own. May be repeated.",
        metavar="FIELD=VALUE",
    )
    backbone: BackboneName | None = option(None, "Another network than the scale's.", ("backbone.name",))
    frames: int | None = option(None, "Frames of a clip, instead of the scale's.", ("clip.frames",))
    size: int | None = option(None, "Pixels of a clip, instead of the scale's.", ("clip.size",))
    epochs: Count | None = option(None, "Epochs of pretraining, instead of the scale's.", ("pretrain.epochs", "source_epochs"))
    ranks: Count | None = option(None, "Processes, one a GPU, that share each batch of a pretraining.", ("ranks",))
    accumulate: Count | None = option(
        None, "Pieces that a pretraining's batch is computed in on each device: less memory.", ("accumulate",)
    )
    precision: Precision | None = option(None, "Instead of the scale's; fp16 on a GPU only.", ("precision",))
    compile: bool = option(False, "Pretraining's networks by torch.compile.", ("compiled",))

    data_root: Path | None = local(None, "Folder of a dataset on disk; for paper, of its sets: ucf101, hmdb51, ...")
    pretrained: Path | None = local(None, "Evaluate these weights instead of pretraining.")
    plugin: tuple[Path, ...] = local(
        (), "Python file with masks, pretrainings or studies of your own; may be repeated.", metavar="FILE"
    )
    part: str | None = local(None, "Run these of the study's replicates only: 3, 2-4 or 1,5.", metavar="N")
    out: Path = local(Path("out"), "Folder of runs, cache and report.")
    device: str = local("auto", "auto, cpu, cuda or cuda:N.")
    jobs: Count | None = local(None, "Runs side by side; default: one a core.")
    nnodes: Count = local(1, "Machines that share each pretraining's ranks; the same command is typed on each.")
    rdzv_endpoint: str = local("", "Where they meet: a free port of one of them.", metavar="HOST:PORT")
    exclude_broken: bool = local(False, "Leave broken videos out, up to a hundredth of the set.")
    most_broken: Share | None = local(None, "As --exclude-broken, up to this share.", metavar="SHARE")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        """Take None as not given; the dataset depends on the scale."""
        if not isinstance(value, dict):
            return value
        given = {name: one for name, one in value.items() if one is not None}
        return {"dataset": PAPER if given.get("scale") == "paper" else "staged"} | given

    @classmethod
    def read(cls, typed: dict[str, Any]) -> Options:
        """Validate what was typed; FameError, in one line, names the first option with a bad value."""
        try:
            return cls.model_validate(typed)
        except ValidationError as error:
            first = error.errors()[0]
            raise FameError(f"{flag(str(first['loc'][0]))} {first['input']}: {first['msg']}") from None

    def stored(self) -> Options:
        return type(self).model_validate(self.model_dump())

    @property
    def broken(self) -> float:
        """Return the share of broken videos that may be left out; 0: none, the run stops at the first."""
        return self.most_broken if self.most_broken is not None else MOST_BROKEN if self.exclude_broken else 0.0

    @property
    def overrides(self) -> dict[str, Any]:
        return {name: value for name in type(self).model_fields if _sets(name) and (value := getattr(self, name))}

    def sized(self, clips: int = 0) -> Scale:
        """Return the scale with the overrides, for `clips` real videos (0: not counted yet); FameError for an impossible value."""
        scale = SCALES[self.scale] if self.dataset == "staged" else on_real_video(SCALES[self.scale], clips)
        for name, value in self.overrides.items():
            for target in _sets(name):
                group, _, field = target.rpartition(".")
                new = changed(getattr(scale, group), ((field, value),), group) if group else value
                scale = replace(scale, **{group or field: new})
        return scale

    def words(self) -> str:
        """Return the stored options as they are typed, without those at their default; scale and dataset always."""
        words: list[str] = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.exclude or (value == field.default and name != "scale"):
                continue
            for one in value if isinstance(value, tuple) else (value,):
                words += [flag(name)] if one is True else [flag(name), shlex.quote(str(one))]
            if name == "dataset" and value != "staged":
                words.append("--data-root DIR")
        return " ".join(words)


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sets(name: str) -> list[str]:
    return Options.model_fields[name].json_schema_extra["sets"]  # type: ignore[index, return-value]
