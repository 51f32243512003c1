"""How big a study is: the named scale as the data want it, then as the user wants it.

Overrides of a scale (clip, backbone, epochs) are scientific choices: they go through the same validated models and into every id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from fame.config import Backbone
from fame.errors import FameError
from studies.harness.store import explain
from studies.setting.scales import Scale, on_real_video, scale
from studies.setting.training import checked_training

OVERRIDES = ("backbone", "frames", "size", "epochs", "ranks")  # options that change the scale, as `Training`'s do
T = TypeVar("T")


def sized_for(name: str, real_video: bool, overrides: Mapping[str, Any]) -> Scale:
    """The named scale as the data want it, and then as the user wants it."""
    base = scale(name)
    return with_overrides(on_real_video(base) if real_video else base, overrides)


def with_overrides(base: Scale, overrides: Mapping[str, Any]) -> Scale:
    """The scale with another backbone, clip, number of epochs of pretraining, or way to train; FameError for impossible values."""
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
            **training,
        )

    return validated(change)


def validated(make: Callable[[], T]) -> T:
    """What `make` makes; where pydantic refuses a value, a FameError names the field and what it must be."""
    try:
        return make()
    except ValidationError as error:
        hint = "; a mask needs motion, so two frames at least" if "frames" in str(error.errors()[0]["loc"]) else ""
        raise FameError(f"{error.title.lower()}.{explain(error)}{hint}") from None
