"""What was asked for, with all names looked up: kept in `OUT/setting.json`, and read back where results are only looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fame.config import Data, VideoData
from fame.errors import FameError
from fame.plugins import load, loaded
from studies.harness.forecast import staged_sizes
from studies.harness.store import SETTING, Store, explain
from studies.paper.registry import named, studies
from studies.setting.left_out import LeftOut
from studies.setting.paper_sets import absent
from studies.setting.protocols import CORRECTED, kept_protocol
from studies.setting.resolve import Setting
from studies.setting.sizing import sized_for
from studies.setting.typed import ROWS, rows_study, typed_fields, written
from studies.study import Study


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
        if self.setting.typed:
            beside["set"] = list(written(self.setting.typed))
        own = [row.label for study in self.studies for row in study.rows if study.name == ROWS]
        beside |= {"rows": own} if own else {}
        return {
            "scale": self.setting.scale.name,
            "dataset": self.setting.dataset,
            "manifest": videos.manifest if videos else None,
            "videos": videos.model_dump(mode="json") if videos else None,
            "counts": dict(self.counts),
            "replicates": list(self.replicates),
            "studies": [name for study in self.studies if study.name != ROWS for name in named(study)],
            "pretrained": {"sha256": self.setting.pretrained, "name": self.pretrained} if self.setting.pretrained else None,
            "overrides": dict(self.choices),
            **({"plugins": [plugin._asdict() for plugin in loaded()]} if loaded() else {}),
            **beside,
        }


def _sets_json(others: Mapping[str, VideoData], counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {part: {"videos": one.model_dump(mode="json"), "counts": dict(counts.get(part, {}))} for part, one in others.items()}


def recall(store: Store) -> Asked:
    """What was asked for last in this folder (setting.json). FameError where there is nothing or it is of another version."""
    value = store.setting()
    if value is None:
        raise FameError(f"{store.out}: nothing was run there yet (no setting.json); name the folder with --out, or run something")
    return from_json(value, f"{store.out / SETTING}", "delete it and start the study again")


def from_json(value: Mapping[str, Any], where: str, mend: str) -> Asked:
    """The inverse of `Asked.to_json`; FameError, with `where` it was read and the `mend`, where it is of another version."""
    for plugin in value.get("plugins", ()):
        load(**plugin)
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
        typed, own = typed_fields(value.get("set", ())), value.get("rows", ())
        setting = Setting(sized, videos, weights.get("sha256"), others, folds, kept_protocol(value.get("protocol")), typed)
        numbers, chosen = _replicates(value["replicates"]), studies(value["studies"]) if value["studies"] or not own else ()
        chosen += (rows_study(own),) if own else ()
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
