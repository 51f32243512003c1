"""The spread of the headline over selection worlds, read from spread.toml, which says what it holds."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from fame.config import Config
from fame.errors import FameError, explain
from fame.seeds import SELECTION_REPLICATES

FILE = Path(__file__).with_name("spread.toml")
UNKNOWN = "unknown: no selection worlds were run at this scale"


class Spread(Config):
    """`sd`, in points, of the paired difference `measure` over the selection worlds `replicates`; `source`: where it was read."""

    sd: float = Field(gt=0, allow_inf_nan=False, strict=True)
    replicates: tuple[Annotated[int, Field(ge=SELECTION_REPLICATES)], ...] = Field(min_length=2)
    measure: str = Field(min_length=1)
    source: str = Field(min_length=1)

    @field_validator("replicates")
    @classmethod
    def _each_once(cls, replicates: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(replicates)) < len(replicates):
            raise ValueError("a world stands there twice")
        return replicates


def spread_at(scale: str, file: Path = FILE) -> Spread | None:
    """Return the entry of one scale; None where it has none. FameError where the file cannot be read or the entry is wrong."""
    try:
        entry = tomllib.loads(file.read_text(encoding="utf-8")).get(scale)
        return None if entry is None else Spread.model_validate(entry)
    except OSError as error:
        raise FameError(f"{file}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise FameError(f"{file}: [{scale}] {explain(error)}") from None
    except ValueError as error:
        raise FameError(f"{file}: not valid TOML ({error})") from None
