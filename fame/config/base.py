"""Define what all configurations have in common: frozen, no unknown fields, and an identity."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Config(BaseModel):
    """Base of all configurations: validated, frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def without_effect(self) -> frozenset[str]:
        """Return the names of fields that cannot change the result, and so enter no id."""
        return frozenset()


def later(default: Any) -> Any:
    """Declare a field that was added after runs were kept: at `default`, the behaviour before it, it is left out of ids."""
    return Field(default, json_schema_extra={LATER: True})


LATER = "later"  # mark of such a field


def identified(model: Config) -> dict[str, Any]:
    """Return the model as JSON values, without fields of no effect, and without those marked `later` at their default.

    studies/setting/cell.py hashes it.
    """
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
