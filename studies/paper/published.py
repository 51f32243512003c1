"""Read the paper's numbers from published.toml, and say which of our rows and columns is which of the paper's.

Our parts are twins of the paper's sets: A of UCF101, B of HMDB51, C of Diving48, `source` of Kinetics-400.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.toml")

# Our column -> the paper's, per study. A column that is missing here has no twin in the paper's table.
COLUMNS: dict[str, dict[str, str]] = {
    "area_ratio": {
        "": "single",
        "single": "single",
        "both": "both",
    },  # the baseline is printed twice, with one value
    "diving48": {"": "", "A": "UCF101", "source": "K400"},
    "background_source": {"": ""},
    "foreground_mask": {"": "", "source": "K400"},
    "action_recognition": {"": "K400"},
    "retrieval": {"source": "K400"},
}
NETWORK = "R(2+1)D"  # ours, where the paper gives one row for several networks


@dataclass(frozen=True)
class Published:
    """Hold one printed number: `value` in percent (points where the row is a difference), `source` where it was read."""

    table: str
    study: str  # "": other people's report, which stands in no table
    row: str
    column: str
    metric: str
    value: float
    network: str
    source: str


@cache
def entries() -> tuple[Published, ...]:
    """Return every published number, in the paper's order. KeyError where an entry names a source that is not described."""
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return tuple(
        Published(**{"study": "", "network": "", **entry, "source": document["sources"][entry["source"]]})
        for entry in document["entries"]
    )


def noise() -> dict[str, dict[str, float]]:
    """Return per data set the half-width (`points`) of the 95 % interval that `videos` test videos alone give at `at` %."""
    return dict(tomllib.loads(FILE.read_text(encoding="utf-8"))["noise"])


def published(study: str, row: str, column: str, published_name: str) -> Published | None:
    """Return the paper's number for a row and column as our studies name them, by `Measure.published`; None where it has none."""
    theirs = COLUMNS.get(study, {}).get(column)
    if theirs is None or not published_name:
        return None
    found = [
        entry for entry in entries() if (entry.study, entry.row, entry.column, entry.metric) == (study, row, theirs, published_name)
    ]
    if len(found) > 1:
        found = [entry for entry in found if entry.network.startswith(NETWORK)]
    return found[0] if found else None
