"""Report what a user can cause: one line that says what is wrong, where, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


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
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
