"""Declare the options of a study: each is one field, with its help, whether OUT/setting.json stores it, and what it sets."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from fame.config import BackboneName, Config, Precision, Share
from fame.data.faults import MOST_BROKEN  # imports no decoder: reading results shall start fast
from fame.errors import FameError, own_words
from fame.seeds import SELECTION_REPLICATES
from studies.setting.fields import changed
from studies.setting.paper_sets import PAPER
from studies.setting.scales import SCALES, Scale, on_real_video

Count = Annotated[int, Field(ge=1)]


def option(
    default: Any,
    help: str,
    sets: tuple[str, ...] = (),
    stored: bool = True,
    metavar: str = "",
    panel: Literal["What", "Data", "Compute", "Output"] = "What",
) -> Any:
    """Declare an option. `sets`: fields of the scale that it overrides. `stored`: whether it says what is computed."""
    extra: Any = {"sets": list(sets), "metavar": metavar, "panel": panel}
    return Field(default, description=help, exclude=not stored, json_schema_extra=extra)


data = partial(option, panel="Data")
compute = partial(option, panel="Compute")
local = partial(option, stored=False)  # says where or how fast something is computed, or how much of it now


class Options(Config):
    """Hold the options of the command line; those that are None are as the scale has it."""

    scale: Literal["smoke", "quick", "mini", "paper"] = option("quick", "How big: smoke, quick, mini or paper.", metavar="NAME")
    dataset: Literal["staged", "ucf101", "hmdb51", "kinetics400", "diving48", "folder", "targets", "paper"] = data(
        None,
        "staged, the embedded benchmark (default); ucf101, hmdb51, kinetics400, diving48; folder: class folders of your own; "
        "targets: several of these, cross-validated after one pretraining; paper: the paper's sets (default at scale paper).",
        metavar="SET",
    )
    fold: Literal["1", "2", "3", "all"] = data("1", "Official fold; all: their mean. kinetics400 and diving48 have one.")
    codec: Literal["raw", "jpeg"] | None = data(None, "How real videos are stored: raw (default) or jpeg, a twelfth of the disk.")
    protocol: Literal["corrected", "official"] = option(
        "corrected", "official: what the released code does with videos, faults included (docs/datasets.md).", metavar="NAME"
    )
    replicates: Annotated[int, Field(ge=1, lt=SELECTION_REPLICATES)] | None = option(
        None, "Replicates; default: the scale's own number. A verdict needs three."
    )
    only: tuple[str, ...] = option(
        (), "This study only, or one row of it (STUDY/ROW/COLUMN), or findings, or claims. Repeatable.", metavar="STUDY"
    )
    row: tuple[str, ...] = option(
        (), "A row of your own, as \"fame(beta=0.4, variant='seed')\", beside the baseline. Repeatable.", metavar="METHOD"
    )
    set: tuple[str, ...] = option(
        (),
        "A field of the method in every pretraining that has it, as merge.beta=0.4, moco.temperature=0.2, optim.lr=1e-3; a row "
        "that gives it keeps its own. Repeatable.",
        metavar="FIELD=VALUE",
    )
    backbone: BackboneName | None = option(
        None, f"Another network than the scale's: {', '.join(get_args(BackboneName))}.", ("backbone.name",), metavar="NAME"
    )
    frames: int | None = option(None, "Frames of a clip, instead of the scale's.", ("clip.frames",))
    size: int | None = option(None, "Pixels of a clip, instead of the scale's.", ("clip.size",))
    epochs: Count | None = option(None, "Epochs of pretraining, instead of the scale's.", ("pretrain.epochs", "source_epochs"))
    ranks: Count | None = compute(None, "Processes, one a GPU, that share each batch of a pretraining.", ("ranks",))
    accumulate: Count | None = compute(
        None, "Pieces that a pretraining's batch is computed in on each device: less memory.", ("accumulate",)
    )
    precision: Precision | None = compute(
        None, "auto, fp32, bf16, or on a GPU fp16, instead of the scale's.", ("precision",), metavar="NAME"
    )
    compile: bool = compute(False, "Pretraining's networks by torch.compile.", ("compiled",))

    data_root: Path | None = local(
        None, "Folder of a dataset on disk; for paper, of its sets: ucf101, hmdb51, ...", metavar="DIR", panel="Data"
    )
    pretrained: Path | None = local(None, "Evaluate these weights instead of pretraining.", metavar="FILE")
    plugin: tuple[Path, ...] = local((), "Python file with masks, pretext tasks or studies of yours. Repeatable.", metavar="FILE")
    part: str | None = local(None, "These of the study's replicates only: 3, 2-4 or 1,5.", panel="Compute")
    out: Path = local(Path("out"), "Folder of runs, cache and report.", metavar="DIR", panel="Output")
    device: str = local("auto", "auto, cpu, cuda or cuda:N.", metavar="NAME", panel="Compute")
    jobs: Count | None = local(None, "Runs side by side; default: one a core.", panel="Compute")
    nnodes: Count = local(1, "Machines that share --ranks; the same is typed on each.", panel="Compute")
    rdzv_endpoint: str = local("", "Where they meet: a free port of one of them.", metavar="HOST:PORT", panel="Compute")
    executor: Literal["local", "ray"] = local(
        "local",
        "local: processes of this machine; ray: a Ray cluster.",
        metavar="NAME",
        panel="Compute",
    )
    address: str | None = local(
        None,
        "HOST:PORT of the Ray cluster; default: that of RAY_ADDRESS, else one started here.",
        metavar="ADDRESS",
        panel="Compute",
    )
    gpus_per_run: Annotated[float, Field(gt=0)] | None = local(
        None,
        "GPUs of the Ray cluster for each rank of a run, as 0.25; default: 1.",
        panel="Compute",
    )
    exclude_broken: bool = local(False, "Leave broken videos out, up to a hundredth of the set.", panel="Data")
    most_broken: Share | None = local(None, "As --exclude-broken, up to this share.", metavar="SHARE", panel="Data")
    no_mlflow: bool = local(False, "Keep no copy of the runs in MLflow (OUT/mlflow.db or MLFLOW_TRACKING_URI).", panel="Output")

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
            found = cls.model_validate(typed)
        except ValidationError as error:
            first = error.errors()[0]
            raise FameError(f"{flag(str(first['loc'][0]))} {first['input']}: {own_words(first)}") from None
        one_at_a_time = found.jobs in (None, 1) and found.executor == "local"
        if (nodes := found.nnodes) > 1 and not (found.ranks and found.ranks % nodes == 0 and found.rdzv_endpoint and one_at_a_time):
            wanted = "--ranks, a multiple of it, --rdzv-endpoint HOST:PORT, --jobs 1, and no Ray"
            raise FameError(f"--nnodes {nodes} wants {wanted}")
        return found

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
                try:
                    new = changed(getattr(scale, group), ((field, value),), group) if group else value
                except FameError as error:
                    raise FameError(f"{flag(name)} {value}: {str(error).partition(': ')[2]}") from None
                scale = replace(scale, **{group or field: new})
        return scale

    def words(self) -> str:
        """Return the stored options as they are typed, without those at their default; scale and dataset always."""
        words: list[str] = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.exclude or (value == field.default and name != "scale"):
                continue
            words += map(shlex.quote, self.typed(name))
            if name == "dataset" and value != "staged":
                words.append("--data-root DIR")
        return " ".join(words)

    def typed(self, *names: str) -> list[str]:
        """Return these options as words of a command line, without those that are not given; paths are absolute."""
        words: list[str] = []
        for name in names:
            value = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is True:
                    words.append(flag(name))
                elif one not in (None, False):
                    words += [flag(name), str(one.resolve() if isinstance(one, Path) else one)]
        return words


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sets(name: str) -> list[str]:
    return Options.model_fields[name].json_schema_extra["sets"]  # type: ignore[index, return-value]
