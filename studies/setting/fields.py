"""Set fields of the method, as rows, findings, protocols and users (`--set`, `--row`) give them; typed rows are never evaluated."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from fame.config import OBJECTIVES, Augment, BackgroundErasing, Config, Merge, MoCo, Objective, Optim, StagedWorld
from fame.errors import FameError, explain
from studies.paper.registry import row_name
from studies.paper.tables import AREA_RATIO
from studies.records import ROWS
from studies.study import (
    Method,
    Pairs,
    Row,
    Study,
    Value,
    background_erasing,
    fame,
    moco,
    pretext,
    random_init,
    supervised,
)

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
    count, steps = (
        max(1, round(optim.epochs * epochs)),
        tuple(round(milestone * epochs) for milestone in optim.milestones),
    )
    return changed(optim, (("lr", optim.lr * lr), ("epochs", count), ("milestones", steps)), "optim")


def _factor(name: str, value: Value) -> float:
    if not isinstance(value, int | float) or value <= 0:
        raise FameError(f"optim.{name} = {value!r}: it is a factor above 0")
    return value


GROUPS: dict[str, type[Config]] = {
    "merge": Merge,
    "erasing": BackgroundErasing,
    "moco": MoCo,
    "augment": Augment,
    "optim": Optim,
}
OVERRIDES = ("world", "optim", "moco", "augment")  # arguments of a method that hold fields by name
Typed = tuple[tuple[str, str, Any], ...]


def typed_fields(texts: Iterable[str], option: str = "--set") -> Typed:
    """Return (group, field, value) of each `GROUP.FIELD=VALUE`, the last of equal names; FameError for a wrong name or value."""
    found: dict[tuple[str, str], Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        group, _, field = name.partition(".")
        if not equals or not field:
            raise FameError(f"{option} {text}: write GROUP.FIELD=VALUE, as merge.beta=0.4")
        if group not in GROUPS:
            raise FameError(f"{option} {text}: unknown group {group!r}{_near(group, GROUPS)}")
        fields = GROUPS[group].model_fields
        if field not in fields or field == "plugin":
            raise FameError(f"{option} {text}: {group} has no field {field!r}{_near(field, fields)}")
        found[group, field] = _value(value)
    typed = tuple((group, field, value) for (group, field), value in sorted(found.items()))
    for group, model in GROUPS.items():
        try:
            changed(model(), in_group(typed, group), group)
        except FameError as error:
            raise FameError(f"{option} {error}") from None
    return typed


def in_group(typed: Typed, group: str, own: Iterable[str] = ()) -> tuple[tuple[str, Any], ...]:
    """Return (field, value) of one group, without fields in `own`, which a row gives itself."""
    return tuple((field, value) for name, field, value in typed if name == group and field not in set(own))


def overruled(typed: Typed, studies: Iterable[Study]) -> list[str]:
    """Return a line for each typed field of which some rows give another value themselves, which they keep."""
    lines = []
    for group, field, value in typed:
        own = [row_name(study, row) for study in studies for row in study.rows if _own(row, group).get(field, value) != value]
        if own:
            more = f" and {len(own) - 1} more" if len(own) > 1 else ""
            lines.append(f"--set {group}.{field}={value}: not for rows that give a value themselves ({own[0]}{more})")
    return lines


def _own(row: Row, group: str) -> dict[str, Any]:
    if row.method is None:
        return {}
    if group != "merge":
        return dict(getattr(row.method.changes, group, ()))
    return row.method.merge.model_dump(exclude_unset=True) if row.method.merge else {}


def rows_study(texts: Iterable[str]) -> Study:
    """Return the study `rows`: the typed rows after the baselines they lack, with table 1's measures. FameError as `method_of`."""
    rows = {method_of(text): text.strip() for text in texts}
    baselines = {method_of(base): base for base in map(_baseline, rows.values())}
    found = {method: text for method, text in baselines.items() if method not in rows} | rows
    return Study(
        ROWS,
        "Rows of one's own",
        "",
        (),
        tuple(Row(text, method) for method, text in found.items()),
        AREA_RATIO.measures,
    )


def _baseline(text: str) -> str:
    """Return the baseline of a typed row, with the row's pretraining set, world, optimiser, loss and augmentation."""
    call = ast.parse(text, mode="eval").body
    kept = [one for one in call.keywords if one.arg in ("on", *OVERRIDES)] if isinstance(call, ast.Call) else []
    return ast.unparse(ast.Call(ast.Name("moco"), [], kept))


def method_of(text: str) -> Method:
    """Return the method that `NAME(ARGUMENT=VALUE, ...)` declares; FameError where it is none or out of range."""
    where = f"--row {text}"
    try:
        call = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise FameError(f"{where}: write a method with named arguments, as fame(beta=0.4, variant='seed')")
    name, methods = call.func.id, _methods()
    if name not in methods:
        raise FameError(f"{where}: unknown method {name!r}{_near(name, methods)}")
    make, known = methods[name]
    given: dict[str, Any] = {}
    for argument in call.keywords:
        if argument.arg is None or argument.arg not in known:
            raise FameError(f"{where}: {name} has no argument {argument.arg or '**'!r}{_near(argument.arg or '', known)}")
        try:
            given[argument.arg] = ast.literal_eval(argument.value)
        except (ValueError, TypeError):
            raise FameError(f"{where}: {argument.arg} is no literal; write a number, a text in quotes or a tuple") from None
        if argument.arg in OVERRIDES and not isinstance(given[argument.arg], dict):
            raise FameError(f"{where}: {argument.arg} takes fields by name, as {argument.arg}={{'NAME': VALUE}}")
    if given.get("on", "A") not in ("A", "source"):
        raise FameError(f"{where}: on = {given['on']!r}: it is 'A' or 'source'")
    try:
        method = make(**given)
        changed(MoCo(), method.changes.moco, "moco")
        changed(Augment(), method.changes.augment, "augment")
        changed_optim(Optim(), method.changes.optim)
        hash(method)
    except ValidationError as error:
        raise FameError(f"{where}: {explain(error)}") from None
    except FameError as error:
        raise FameError(f"{where}: {error}") from None
    except TypeError as error:
        raise FameError(f"{where}: a value is of a wrong type ({error})") from None
    return method


def _methods() -> dict[str, tuple[Callable[..., Method], list[str]]]:
    """Return the function and the arguments of each method by its name; a plugin's objective takes its own fields."""
    found: dict[str, tuple[Callable[..., Method], list[str]]] = {}
    for function in (fame, moco, background_erasing, supervised, random_init):
        parameters = inspect.signature(function).parameters
        known = [name for name in parameters if name != "overrides"] + [*OVERRIDES] * ("overrides" in parameters)
        found[function.__name__] = function, known
    for kind, objective in OBJECTIVES.items():
        if objective.model_fields["plugin"].default:
            fields = [name for name in objective.model_fields if name not in ("kind", "plugin")]
            found[kind] = partial(_pretext, objective), [*fields, "on", *OVERRIDES]
    return found


def _pretext(objective: type[Objective], on: Literal["A", "source"] = "A", **given: Any) -> Method:
    overrides = {name: given.pop(name) for name in OVERRIDES if name in given}
    return pretext(objective.model_validate(given), on, **overrides)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"
