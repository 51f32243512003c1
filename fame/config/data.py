"""Configure data: videos of the embedded benchmark or on disk, and the clips that are cut from them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Config(BaseModel):
    """Base of all configurations: validated, frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def without_effect(self) -> frozenset[str]:
        """Return the names of fields that cannot change the result, and so enter no id."""
        return frozenset()


def later(default: Any) -> Any:
    """Declare a field that was added after runs were kept: at `default`, the behaviour before it, it is left out of ids."""
    return Field(default, json_schema_extra={LATER: True})


LATER = "later"  # mark of such a field


def identified(model: Config) -> dict[str, Any]:
    """Return the model as JSON values, without fields of no effect, and without those marked `later` at their default."""
    found = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if name in model.without_effect() or (_came_later(field) and value == field.default):
            del found[name]
        elif isinstance(value, Config):
            found[name] = identified(value)
    return found


def _came_later(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and LATER in field.json_schema_extra


Condition = Literal["deranged", "neutral", "scene_only", "figure_only"]


class StagedPart(Config):
    """Configure one part of the embedded benchmark: how many videos, and how often the scene goes with the action."""

    train: int = Field(ge=8)
    val: int = Field(ge=4)
    test: int = Field(ge=4)  # performances; each is rendered once per test condition
    rho: Share  # share of a split's videos whose scene is the one that goes with their action
    actions: tuple[str, ...] = Field(min_length=2)  # names in fame/data/staged/actions.py; all parts draw on one repertoire
    conditions: tuple[Condition, ...] = ()  # counterfactual renderings of every test performance
    balanced: bool = False  # with splits `balanced` (as large as train) and `val/balanced`: every scene equally often


class StagedWorld(Config):
    """Configure the generator of the embedded benchmark (docs/benchmark.md). Palettes and performances come from the replicate."""

    version: int = 1
    size: int = Field(48, ge=16)  # pixels, square
    frames: int = Field(24, ge=2)
    fps: int = 12
    figure: float = Field(0.6, gt=0, le=0.8)  # standing height as a share of the frame
    contrast: float = Field(1.0, gt=0, le=1)  # of a backdrop's colours, about their mean
    tint: Share = 0.7  # of a backdrop's colours near the hue of its scene family, as water is bluish
    objects: int = Field(9, ge=0)  # random things on every backdrop
    room: int = Field(1, ge=1)  # videos of a scene family that share one backdrop, as those of a UCF101 group do
    noise: float = Field(2.0, ge=0)  # sensor noise, standard deviation in 8-bit levels
    camera: float = Field(0.0, ge=0)  # camera drift, pixels a frame
    likeness: Share = 0.0  # 1: figure and background draw on the same colours
    placement: Literal["anywhere", "centre"] = "anywhere"
    clothes: Literal["alike", "varied", "by_action"] = "alike"
    alike: Share = 0.0  # how far figures share one posture and size; 1: only its motion tells a figure from another
    wander: float = Field(0.0, ge=0, le=0)  # a figure keeps its place; part of every id
    codec: Literal["mpeg4", "libx264", "ffv1"] = "mpeg4"
    source: StagedPart
    A: StagedPart
    B: StagedPart
    C: StagedPart


class StagedData(Config):
    """Choose one part of the embedded benchmark as data."""

    kind: Literal["staged"] = "staged"
    part: Literal["source", "A", "B", "C"]
    world: StagedWorld
    short_side: int = 48  # pixels, as stored

    def digest(self, seed: int) -> str:
        """Return 12 hex of the part's own configuration, the world's look and the replicate's seed; nothing of the other parts."""
        look = self.world.model_dump(mode="json", exclude={"source", "A", "B", "C"})
        part: StagedPart = getattr(self.world, self.part)
        content = {"look": look, "part": self.part, "content": part.model_dump(mode="json"), "seed": seed}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


class VideoData(Config):
    """Choose videos on disk; `manifest` is the digest of the scan, so another set of files is another cell."""

    kind: Literal["ucf101", "hmdb51", "kinetics400", "diving48", "folder", "target", "pool"]  # the layouts of fame/data/layouts
    name: str = later("")  # of a target: its folder below the data's
    manifest: str
    fold: int = Field(1, ge=1, le=3)
    decoder: str = "pyav"
    short_side: int | None = Field(128, ge=16)  # pixels, as stored; None: the files' own size
    codec: Literal["raw", "jpeg"] = later("raw")  # jpeg fits the large sets, and is not exact


Data = Annotated[StagedData | VideoData, Field(discriminator="kind")]


class Clip(Config):
    """Configure clips: `frames` frames, `stride` apart, `size` pixels square; and what becomes of videos that they do not fit."""

    frames: int = Field(16, ge=2)
    stride: int = Field(2, ge=1)
    size: int = Field(112, ge=16)
    short: Literal["looped", "dropped"] = later("looped")  # videos shorter than the window (fame/data/clips.py)
    resize: bool = later(True)  # the short side to `size` before a test's centre crop; False: the crop is cut as stored

    @property
    def window(self) -> int:
        """Frames of a video that it spans."""
        return self.frames * self.stride
