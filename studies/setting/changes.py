"""Fields of a validated model with other values: as a protocol, a method or a finding differs from the scale.

A field that is unknown, or a value that is impossible, is a FameError that names it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fame.config import Optim, StagedWorld
from fame.errors import FameError, explain
from studies.study import Pairs, Value

Model = TypeVar("Model", bound=BaseModel)
Changed = tuple[tuple[str, Any], ...]
PARTS = ("source", "A", "B", "C")


def changed(model: Model, changes: Changed, what: str) -> Model:
    """The model with other values in some fields, validated; FameError where a field is unknown or a value impossible."""
    if not changes:
        return model
    unknown = sorted(name for name, _ in changes if name not in type(model).model_fields)
    if unknown:
        raise FameError(f"{what} has no {', '.join(unknown)}; it has {', '.join(type(model).model_fields)}")
    try:
        return type(model).model_validate(model.model_dump() | dict(changes))
    except ValidationError as error:
        raise FameError(explain(error, what)) from None


def changed_world(world: StagedWorld, changes: Pairs) -> StagedWorld:
    """The world with other values; "rho" is target A's, and "PART.FIELD" a field of any part."""
    own: dict[str, Any] = {}
    for name, value in changes:
        part, _, field = ("A.rho" if name == "rho" else name).rpartition(".")
        if not part:
            own[name] = value
        elif part in PARTS:
            own[part] = changed(own.get(part, getattr(world, part)), ((field, value),), f"world.{part}")
        else:
            raise FameError(f"world has no part {part!r} ({name}); the parts are {', '.join(PARTS)}")
    return changed(world, tuple(own.items()), "world")


def changed_optim(optim: Optim, changes: Pairs) -> Optim:
    """The optimiser with other values, then with learning rate and epochs (at least one, milestones with them) times a factor."""
    told = dict(changes)
    lr, epochs = (_factor(name, told.pop(name, 1)) for name in ("lr_times", "epochs_times"))
    optim = changed(optim, tuple(told.items()), "optim")
    if lr == epochs == 1:
        return optim
    count, steps = max(1, round(optim.epochs * epochs)), tuple(round(milestone * epochs) for milestone in optim.milestones)
    return changed(optim, (("lr", optim.lr * lr), ("epochs", count), ("milestones", steps)), "optim")


def _factor(name: str, value: Value) -> float:
    if not isinstance(value, int | float) or value <= 0:
        raise FameError(f"optim.{name} = {value!r}: it is a factor above 0")
    return value
