"""Measure masks on real video: `python -m studies.real_masks REAL OUT`, about a minute on one core; REAL: see clips.py.

    OUT/clips.csv      a line for each clip and mask: the measurement itself
    OUT/sequences.csv  its mean over each sequence's clips: what inference counts (a sequence is one observation)
    OUT/summary.csv    means over sequences, still and moving cameras apart
    OUT/meta.json      commit, versions, date, what was chosen beforehand

It prints how many sequences and clips there are, and the means at beta 0.5. For the report to decide claim C11 on a new
measurement, copy OUT/sequences.csv into studies/real_masks/.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from fame.errors import FameError
from fame.files import write_atomically, write_json
from studies.harness.hardware import commit, versions
from studies.real_masks.clips import FRAMES, STRIDE
from studies.real_masks.measures import SIZES, STILL_CAMERA, by_sequence, means, measure_all

DIGITS = 5


def write(clips: pd.DataFrame, folder: Path) -> str:
    """Write all files of OUT and return what is printed; `clips` as `measure_all` gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    sequences = by_sequence(clips)
    summary = means(sequences)
    for name, table in (("clips", clips), ("sequences", sequences), ("summary", summary)):
        write_atomically(folder / f"{name}.csv", partial(table.round(DIGITS).to_csv, index=False))
    about = {
        "command": "python -m studies.real_masks REAL OUT",
        "commit": commit(),
        "measured": time.strftime("%Y-%m-%d"),
        "versions": versions(),
        "clip": {"frames": FRAMES, "stride": STRIDE, "stride_where_too_short": 1, "crop_and_stored_short_side": SIZES},
        "still_camera_below_percent_of_side_a_frame": round(STILL_CAMERA, DIGITS),
        "clips": {name: int(count) for name, count in clips.drop_duplicates(["video", "first"])["set"].value_counts().items()},
        "sequences": {str(name): int(some["sequence"].nunique()) for name, some in clips.groupby("set")},
    }
    write_json(folder / "meta.json", about)
    counts = sequences.drop_duplicates("sequence").groupby(["set", "truth", "camera"])["clips"].agg(sequences="count", clips="sum")
    shown = summary[summary["beta"] == 0.5].drop(columns="beta").sort_values("size", ascending=False, kind="stable")
    return f"{counts.to_string()}\n\n{shown.to_string(index=False, float_format='{:.3f}'.format, na_rep='-')}\n"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m studies.real_masks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path, help="folder of the real videos")
    parser.add_argument("out", type=Path, help="folder of the results; numbers only are written")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    try:
        sys.stdout.write(write(measure_all(options.real), options.out))
    except FameError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
