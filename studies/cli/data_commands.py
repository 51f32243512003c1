"""The verbs of `run_study.py data`: render, scan and prepare videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import typer
from rich.table import Table

from fame.config import StagedData
from fame.errors import FameError
from fame.seeds import Seeds
from studies.cli.session import asking, console, say, watching
from studies.harness.hardware import default_jobs
from studies.harness.progress import Lines
from studies.harness.store import Store
from studies.setting.asked import places, resolve
from studies.setting.options import Options
from studies.setting.replicates import part_of
from studies.study import Part

data_app = typer.Typer(no_args_is_help=True, help="The videos: render, scan, prepare.")


@data_app.command("render")
@asking("scale", "replicates", "part", "out", "jobs")
def data_render(options: Options) -> None:
    """Render the embedded benchmark, all its sets, and store it decoded."""
    from fame.data import open_videos

    store = Store(options.out).prepare()
    with watching() as watcher:
        for replicate, part, data in _parts(options, store):
            open_videos(data, Seeds(replicate), store.cache, None, _jobs(options), _naming(watcher, replicate, part))
    say(f"rendered into {store.cache}")


@data_app.command("scan")
@asking("dataset", "data_root", "fold", "out", "jobs", "exclude_broken", "most_broken", dataset="ucf101")
def data_scan(options: Options) -> None:
    """Decode every video of a dataset on disk once and show what is there and what is wrong with it."""
    from fame.data.layouts import read_layout
    from fame.data.scan import BrokenVideos, report_file

    cache, folders = _on_disk(options)
    try:
        with watching() as watcher:
            asked = resolve(options.model_copy(update={"scale": "paper"}), cache, _jobs(options), watcher.data)
    except BrokenVideos as error:
        _show_findings(error.report)
        raise
    for videos in asked.setting.every_set:
        _show_findings(report_file(folders[videos.kind] / videos.name, videos.kind, videos.fold, cache / "scan"))
        counts = ", ".join(f"{count} {split}" for split, count in asked.sizes(videos).items())
        of_fold = f", fold {videos.fold}" if asked.setting.folds else ""
        classes = read_layout(folders[videos.kind] / videos.name, videos.kind, videos.fold, cache / "scan").classes
        names = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
        say(f"{videos.name or videos.kind}{of_fold}: {counts}; {len(classes)} classes: {names}")
        say(f"manifest {videos.manifest}")
    if asked.absent:
        say(asked.absent)


@data_app.command("prepare")
@asking(
    *("scale", "dataset", "data_root", "fold", "codec", "size", "protocol", "out", "jobs", "exclude_broken", "most_broken"),
    dataset="ucf101",
    scale="paper",
)
def data_prepare(options: Options) -> None:
    """Decode every video of a dataset on disk and store it at the size of scale and protocol; a run does it too, if need be."""
    from fame.data import open_videos

    cache, folders = _on_disk(options)
    lines: dict[Path, str] = {}  # folds of a set share a folder
    with watching() as watcher:
        for data in resolve(options, cache, _jobs(options), watcher.data).setting.every_set:
            videos = open_videos(
                data, Seeds(0), cache, folders[data.kind] / data.name, _jobs(options), watcher.data, options.broken
            )
            if videos.store.folder not in lines:
                frames, used = int(videos.length.sum()), videos.store.bytes
                size = f"{used / 1e9:.3f} GB, {used / frames:.0f} bytes a frame"
                lines[videos.store.folder] = f"{videos.store.folder}: {len(videos)} videos, {frames} frames, {size}"
    for line in lines.values():
        say(line)


def _on_disk(options: Options) -> tuple[Path, dict[str, Path]]:
    """Return the cache, and the folder of each kind of set; FameError for the embedded benchmark, which is rendered."""
    if options.dataset == "staged":
        raise FameError("the embedded benchmark is rendered, not scanned or prepared: use `data render`, or another --dataset")
    return Store(options.out).prepare().cache, {kind: root for kind, root, _ in places(options).values()}


def _jobs(options: Options) -> int:
    return options.jobs or default_jobs("cpu")


def _show_findings(report: Path) -> None:
    """A table of faults and remarks by split, and where each is listed; nothing where the scan found none."""
    from fame.data.layouts import SPLITS
    from fame.data.scan import read_report

    found = read_report(report)
    if not found:
        return
    table = Table("what", "name", *SPLITS, box=None)
    count = Counter((finding.what, finding.name, finding.split) for finding in found)
    for what, name in dict.fromkeys((finding.what, finding.name) for finding in found):
        table.add_row(what, name, *(str(count[what, name, split] or "") for split in SPLITS))
    console.print(table)
    say(f"each is listed in {report}")


def _parts(options: Options, store: Store) -> Iterator[tuple[int, str, StagedData]]:
    """Yield replicate, name and data of every part of every replicate's world."""
    asked = resolve(options, store.cache, 1)
    for replicate in part_of(options.part, asked.replicates):
        for part in get_args(Part):
            data = asked.setting.data(part)
            if isinstance(data, StagedData):
                yield replicate, part, data


def _naming(watcher: Lines, replicate: int, part: str) -> Callable[[str, int, int], None]:
    return lambda what, done, total: watcher.data(f"{what} {part} · {replicate}", done, total)
