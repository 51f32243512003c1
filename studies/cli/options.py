"""Make the options of a command from the fields of `Options`: names, types and help stand there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from studies.setting.options import Options, flag

NAMES = "Names as `list` shows them; findings: all findings; claims: all that claims need; the paper's where none is given."
Command = Callable[..., None]


def asking(*names: str, without: tuple[str, ...] = (), **defaults: Any) -> Callable[[Command], Command]:
    """Turn `command(options, ...)` into one that typer reads: with the named options, or all but `without`, and its own arguments.

    `defaults` are the command's, where they are others than the fields'. With `only`, the studies may also be typed without it.
    """
    fields = [name for name in names or Options.model_fields if name not in without]

    def make(command: Command) -> Command:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        shared = [_parameter(name, defaults.get(name)) for name in fields]
        if "only" in fields:
            argument = Annotated[list[str] | None, typer.Argument(metavar="STUDY...", help=NAMES)]
            shared.insert(0, inspect.Parameter("studies", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=argument))

        def asked(**typed: Any) -> None:
            mine = {parameter.name: typed.pop(parameter.name) for parameter in own}
            if "only" in fields:
                typed["only"] = list(dict.fromkeys([*(typed.pop("studies") or ()), *(typed["only"] or ())]))
            command(Options.read(typed), **mine)

        parameters = [*shared, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own)]
        asked.__name__, asked.__doc__ = command.__name__, command.__doc__
        asked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        asked.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return asked

    return make


def _parameter(name: str, default: Any) -> inspect.Parameter:
    """Return the parameter of one option. Values are typed as text, which `Options` reads."""
    field = Options.model_fields[name]
    several = get_origin(field.annotation) is tuple
    default = field.default if default is None else default
    if field.annotation is bool:
        kind: Any = bool
    else:
        kind = (list[str] if several else str) | None  # type: ignore[operator]
        default = None if several or default is None else str(default)
    extra: Any = field.json_schema_extra
    declared = typer.Option(flag(name), help=field.description, metavar=extra["metavar"] or _metavar(field.annotation))
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])


def _metavar(annotation: Any) -> str | None:
    """Return the choices or the type of a field, for its help; None for a flag."""
    if get_origin(annotation) is Literal:
        return f"[{'|'.join(get_args(annotation))}]"
    first = next((one for one in get_args(annotation) if one is not NoneType), annotation)
    if first is not annotation:
        return _metavar(first)
    return None if annotation is bool else {"int": "INTEGER", "float": "FLOAT", "str": "TEXT"}.get(annotation.__name__, "PATH")
