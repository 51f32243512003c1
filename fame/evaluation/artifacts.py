"""Write a stage's tables and arrays into its folder, atomically; return the file's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fame.files import write_atomically


def write_table(folder: Path, name: str, table: pd.DataFrame) -> str:
    write_atomically(folder / name, lambda beside: table.to_csv(beside, index=False))
    return name


def write_arrays(folder: Path, name: str, arrays: Mapping[str, np.ndarray]) -> str:
    def write(beside: Path) -> None:
        with beside.open("wb") as file:  # a file, as numpy adds .npz to a name
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    write_atomically(folder / name, write)
    return name
