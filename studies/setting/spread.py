"""The spread of the headline over selection worlds, read from spread.toml, which says what it holds."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from fame.errors import FameError
from fame.seeds import SELECTION_REPLICATES

FILE = Path(__file__).with_name("spread.toml")
UNKNOWN = "unknown: no selection worlds were run at this scale"


@dataclass(frozen=True)
class Spread:
    """`sd`, in points, of the paired difference `measure` over the selection worlds `replicates`; `source`: where it was read."""

    sd: float
    replicates: tuple[int, ...]
    measure: str
    source: str


def spread_at(scale: str, file: Path = FILE) -> Spread | None:
    """The entry of one scale; None where it has none. FameError where the file cannot be read or an entry is not as described."""
    try:
        entry = tomllib.loads(file.read_text(encoding="utf-8")).get(scale)
    except OSError as error:
        raise FameError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise FameError(f"{file}: not valid TOML ({error})") from None
    if entry is None:
        return None
    wrong = _fault(entry)
    if wrong:
        raise FameError(f"{file}: [{scale}] {wrong}")
    return Spread(float(entry["sd"]), tuple(entry["replicates"]), entry["measure"], entry["source"])


def _fault(entry: object) -> str:
    """What is wrong with an entry, and what belongs there; "" where nothing is."""
    keys = {"sd", "replicates", "measure", "source"}
    if not isinstance(entry, dict) or set(entry) != keys:
        return f"is not a table of {', '.join(sorted(keys))}"
    sd, worlds = entry["sd"], entry["replicates"]
    if isinstance(sd, bool) or not isinstance(sd, int | float) or not (math.isfinite(sd) and sd > 0):
        return f"sd = {sd!r}: a number of points above 0 is needed"
    if not isinstance(worlds, list) or not all(type(world) is int and world >= SELECTION_REPLICATES for world in worlds):
        return f"replicates = {worlds!r}: a list of selection worlds, numbers from {SELECTION_REPLICATES} on, is needed"
    if len(set(worlds)) < max(2, len(worlds)):
        return f"replicates = {worlds!r}: two worlds at least, each once, are needed"
    if not all(isinstance(entry[key], str) and entry[key].strip() for key in ("measure", "source")):
        return "measure and source have to say what was measured and where it was read"
    return ""
