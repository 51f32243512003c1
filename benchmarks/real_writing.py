"""What is kept of the masks' measurement on real video: numbers and one plot of numbers, never a picture of a video.

    clips.csv      a line for each clip and mask: the measurement itself
    sequences.csv  its mean over each sequence's clips: what inference counts (a sequence is one observation)
    summary.csv    means over sequences, still and moving cameras apart
    summary.md     claim C11's links, and FAME beside the other masks
    differences.png, .csv   FAME minus Seed a sequence, and their means with t intervals
    meta.json      commit, command, versions, date, what was chosen beforehand

Everything but clips.csv and meta.json follows from clips.csv (`summarise`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.real_clips import FRAMES, STRIDE
from benchmarks.real_figure import draw
from benchmarks.real_measures import BOX_MEASURES, SIZES, STILL_CAMERA
from benchmarks.real_sequences import DIGITS, as_kept, by_sequence, means
from fame.errors import FameError
from fame.files import write_atomically, write_json
from reports.real_video import SHOWN, RealVideo
from reports.statistics import ENOUGH, LinkResult, judge_claim, judge_link
from studies.harness.hardware import commit, versions
from studies.paper.claims import CLAIMS, Test
from studies.paper.links import Link, RealMask

BEGIN, END = (
    "<!-- begin: written by python -m benchmarks.real_masks -->",
    "<!-- end: written by python -m benchmarks.real_masks -->",
)
COMMAND = f"python -m benchmarks.real_masks REAL {SHOWN}"


def write(clips: pd.DataFrame, folder: Path) -> None:
    """Everything into `folder`; `clips` as benchmarks/real_masks.py measures them."""
    folder.mkdir(parents=True, exist_ok=True)
    _csv(clips, folder / "clips.csv")
    about = {
        "command": COMMAND,
        "commit": commit(),
        "measured": time.strftime("%Y-%m-%d"),
        "versions": versions(),
        "clip": {"frames": FRAMES, "stride": STRIDE, "stride_where_too_short": 1, "crop_and_stored_short_side": SIZES},
        "still_camera_below_percent_of_side_a_frame": round(STILL_CAMERA, DIGITS),
        "clips": {name: int(count) for name, count in clips.drop_duplicates(["video", "first"])["set"].value_counts().items()},
        "sequences": {str(name): int(some["sequence"].nunique()) for name, some in clips.groupby("set")},
    }
    write_json(folder / "meta.json", about)
    summarise(folder)


def summarise(folder: Path) -> None:
    """sequences.csv, summary and figure from the clips.csv in `folder`. FameError where there is none."""
    if not (folder / "clips.csv").exists():
        raise FameError(f"{folder} holds no clips.csv; measure first, without --again")
    found = by_sequence(pd.read_csv(folder / "clips.csv"))
    _csv(found, folder / "sequences.csv")
    _csv(means(found), folder / "summary.csv")
    real = as_kept(found)
    (folder / "summary.md").write_text(markdown(found, real), encoding="utf-8")
    draw(found, folder)


def c11() -> Test:
    """Claim C11's test on real video."""
    return next(test for claim in CLAIMS if claim.id == "C11" for test in claim.tests if test.source == "real video")


def judged(link: Link, real: RealVideo, margin: float) -> LinkResult:
    """A link's difference over sequences, and its verdict by the rule."""
    assert isinstance(link.greater.measure, RealMask) and isinstance(link.lesser.measure, RealMask)
    return judge_link(list(real.differences(link.greater.measure, link.lesser.measure).values()), margin)


def markdown(sequences: pd.DataFrame, real: RealVideo) -> str:
    """summary.md, complete: the claim's links with its verdict, and the masks' means."""
    lines = [
        "# Masks on real video",
        "",
        f"`{COMMAND}`; date, commit and versions: meta.json. A sequence counts once (mean over its clips); a UCF101 group is one.",
        "",
        *counts(sequences),
        "",
        *links(real),
        "",
        "## All masks at beta 0.5, means over sequences",
        "",
        *table(means(sequences), "mask", ("recall_still", "recall_lift", "iou", "auroc", "recall_lift_frame", "iou_frame")),
        "",
        "Against actor boxes (UCF101), which hold much that is no actor:",
        "",
        *table(means(sequences), "box", tuple(BOX_MEASURES.values())),
        "",
        "Betas 0.3 and 0.7: summary.csv.",
    ]
    return "\n".join(lines) + "\n"


def excerpt(sequences: pd.DataFrame) -> str:
    """What docs/benchmark.md quotes: what there is, and the claim's links."""
    return "\n".join([*counts(sequences), "", *links(as_kept(sequences))])


def quoted(page: str, text: str) -> str:
    """The page with `text` between its markers. FameError where they are missing."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise FameError(f"docs/benchmark.md has lost the markers {BEGIN!r} and {END!r}")
    return f"{page.split(BEGIN)[0]}{BEGIN}\n{text}\n{END}{page.split(END)[1]}"


def links(real: RealVideo) -> list[str]:
    """C11's verdict by the rule, and every link's difference."""
    test = c11()
    deciding = [judged(link, real, test.margin) for link in test.links]
    beside = [judged(link, real, test.margin) for link in test.beside]
    return [
        f"C11 on real video, by the rule (margin {test.margin:g}): **{judge_claim(deciding)}**. Beta 0.5, 95 % t intervals over",
        "sequences; the first two links decide, the others stand beside them.",
        "",
        "| link | difference | interval | n | verdict |",
        "| --- | --- | --- | --- | --- |",
        *(_line(link, result, "**") for link, result in zip(test.links, deciding, strict=True)),
        *(_line(link, result, "") for link, result in zip(test.beside, beside, strict=True)),
    ]


def counts(sequences: pd.DataFrame) -> list[str]:
    """What there is: sequences and clips of each set, cameras apart."""
    one = sequences.drop_duplicates("sequence")
    lines = ["| set | truth | still: sequences (clips) | moving: sequences (clips) |", "| --- | --- | --- | --- |"]
    for (name, truth), some in one.groupby(["set", "truth"], sort=False):
        cells = [some[some["camera"] == camera] for camera in ("still", "moving")]
        lines.append(f"| {name} | {truth} | " + " | ".join(f"{len(part)} ({part['clips'].sum()})" for part in cells) + " |")
    return lines


def table(found: pd.DataFrame, truth: str, measures: tuple[str, ...]) -> list[str]:
    """Markdown of the means at beta 0.5 against one kind of truth."""
    rows = found[(found["truth"] == truth) & (found["beta"] == 0.5)]
    lines = ["| px | cameras | mask | " + " | ".join(measures) + " |", "| --- " * (3 + len(measures)) + "|"]
    for _, row in rows.sort_values("size", ascending=False, kind="stable").iterrows():
        name = row["variant"] + (" (official)" if row["flavour"] == "official" else "")
        lines.append(f"| {row['size']} | {row['camera']} | {name} | " + " | ".join(_number(row[m]) for m in measures) + " |")
    return lines


def _line(link: Link, result: LinkResult, mark: str) -> str:
    shown = result.estimate
    low_high = "-" if shown.interval is None else "[{:+z.3f}, {:+z.3f}]".format(*shown.interval)
    mean = "-" if shown.mean is None else f"{shown.mean:+z.3f}"
    verdict = "too few for a verdict" if 0 < shown.n < ENOUGH else result.verdict
    return f"| {mark}{link.text}{mark} | {mean} | {low_high} | {shown.n} | {verdict} |"


def _number(value: Any) -> str:
    return f"{value:z.3f}" if pd.notna(value) else "-"


def _csv(table: pd.DataFrame, path: Path) -> None:
    write_atomically(path, lambda beside: table.round(DIGITS).to_csv(beside, index=False))
