"""Write tables as csv that a spreadsheet shows, and does not run."""

from pathlib import Path
from typing import Any

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a cell begins with that a spreadsheet takes for a formula


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write numbers to 6 significant places, and texts that begin like a formula behind an apostrophe."""
    frame.map(_plain).to_csv(path, index=False, float_format="%.6g")


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
