"""Report what a user can cause: one line that says what is wrong, where, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

WORDS = {  # for pydantic's own, by the type of its error
    "int_parsing": "it must be a whole number",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a finite number",
    "float_type": "it must be a number",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "string_type": "it must be text",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "literal_error": "it must be {expected}",
    "too_short": "it must have at least {min_length} items",
    "string_too_short": "it must not be empty",
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "model_type": "it must hold named fields",
    "dict_type": "it must hold named fields",
}


class FameError(Exception):
    """An error of the user's: shown as one line, without a traceback; the command exits with `code`."""

    code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class NotFinite(FameError):
    """A loss or features that are NaN or infinite: training that goes on from there gives nothing else."""


def explain(error: ValidationError, of: str = "") -> str:
    """Return pydantic's first complaint in one line: the field (of `of`), what it was, what it must be."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in (of, *first["loc"]) if part != "")
    if not isinstance(first["input"], dict | list):
        where += f" = {first['input']!r}"
    said = own_words(first)
    return f"{where}: {said}" if where else said


def own_words(error: ErrorDetails) -> str:
    """Return what one of pydantic's complaints asks for."""
    words = WORDS.get(error["type"])
    return words.format(**error.get("ctx", {})) if words else error["msg"].removeprefix("Value error, ")
