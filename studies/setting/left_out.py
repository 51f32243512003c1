"""Broken videos that a study leaves out, by name: kept in setting.json, so that a report tells of them without the videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fame.config import Config


class LeftOut(Config):
    """One of them: the set it is of, its path there, its split, and the fault's name (fame/data/faults.py)."""

    kind: str
    fold: int
    video: str
    split: str
    fault: str


def left_out_by(report: Path, kind: str, fold: int) -> list[LeftOut]:
    """What a scan that went through has left out, from the report that it wrote."""
    from fame.data.scan_report import read_report

    found = (finding for finding in read_report(report) if finding.what == "fault")
    return [LeftOut(kind=kind, fold=fold, video=finding.video, split=finding.split, fault=finding.name) for finding in found]


def counted(left_out: Iterable[LeftOut]) -> list[str]:
    """A line a set: `ucf101, fold 1: 3 broken videos left out: 2 train, 1 test (2 truncated, 1 empty)`."""
    sets: dict[tuple[str, int], list[LeftOut]] = {}
    for one in left_out:
        sets.setdefault((one.kind, one.fold), []).append(one)
    lines = []
    for (kind, fold), broken in sets.items():
        splits, faults = Counter(one.split for one in broken), Counter(one.fault for one in broken)
        many = "1 broken video" if len(broken) == 1 else f"{len(broken)} broken videos"
        lines.append(f"{kind}, fold {fold}: {many} left out: {_listed(splits)} ({_listed(faults)})")
    return lines


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
