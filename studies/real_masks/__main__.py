"""Measure masks on real video: `python -m studies.real_masks REAL OUT`, about a minute on one core; REAL: see clips.py.

    OUT/clips.csv      a line for each clip and mask: the measurement itself
    OUT/sequences.csv  its mean over each sequence's clips: what inference counts (a sequence is one observation)
    OUT/summary.csv    means over sequences, still and moving cameras apart
    OUT/summary.md     how many sequences there are, and the means at beta 0.5
    OUT/meta.json      commit, versions, date, what was chosen beforehand

For the report to decide claim C11 on a new measurement, copy OUT/sequences.csv into studies/real_masks/.
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
from studies.real_masks.measures import BOX_MEASURES, SIZES, STILL_CAMERA, by_sequence, means, measure_all

DIGITS = 5
MASK_MEASURES = ("recall_still", "recall_lift", "iou", "auroc", "recall_lift_frame", "iou_frame")


def write(clips: pd.DataFrame, folder: Path) -> None:
    """Write all files of OUT; `clips` as `measure_all` gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    sequences = by_sequence(clips)
    for name, table in (("clips", clips), ("sequences", sequences), ("summary", means(sequences))):
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
    (folder / "summary.md").write_text(markdown(sequences), encoding="utf-8")


def markdown(sequences: pd.DataFrame) -> str:
    """Return summary.md: sequences and clips of each set, cameras apart, and the masks' means at beta 0.5."""
    lines = ["# Masks on real video", "", "A sequence counts once (mean over its clips); a UCF101 group is one sequence.", ""]
    lines += ["| set | truth | still: sequences (clips) | moving: sequences (clips) |", "| --- | --- | --- | --- |"]
    for (name, truth), some in sequences.drop_duplicates("sequence").groupby(["set", "truth"], sort=False):
        cells = [some[some["camera"] == camera] for camera in ("still", "moving")]
        lines.append(f"| {name} | {truth} | " + " | ".join(f"{len(part)} ({part['clips'].sum()})" for part in cells) + " |")
    lines += ["", "Means over sequences at beta 0.5, against true masks:", "", *_table(sequences, "mask", MASK_MEASURES)]
    lines += ["", "Against actor boxes, which hold much that is no actor:", ""]
    return "\n".join([*lines, *_table(sequences, "box", tuple(BOX_MEASURES.values())), ""])


def _table(sequences: pd.DataFrame, truth: str, measures: tuple[str, ...]) -> list[str]:
    rows = means(sequences).query("truth == @truth and beta == 0.5").sort_values("size", ascending=False, kind="stable")
    lines = ["| px | cameras | mask | " + " | ".join(measures) + " |", "| --- " * (3 + len(measures)) + "|"]
    for _, row in rows.iterrows():
        name = row["variant"] + (" (official)" if row["flavour"] == "official" else "")
        cells = (f"{row[measure]:z.3f}" if pd.notna(row[measure]) else "-" for measure in measures)
        lines.append(f"| {row['size']} | {row['camera']} | {name} | " + " | ".join(cells) + " |")
    return lines


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m studies.real_masks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path, help="folder of the real videos")
    parser.add_argument("out", type=Path, help="folder of the results; numbers only are written")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    try:
        write(measure_all(options.real), options.out)
    except FameError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.code
    sys.stdout.write((options.out / "summary.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
