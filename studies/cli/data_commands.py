"""The verbs of `run_study.py data`: render, scan, prepare and check videos, and look at the embedded benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.table import Table

from fame.config import StagedData
from fame.errors import FameError
from fame.seeds import Seeds
from studies.cli.options import asking
from studies.cli.session import console, watching
from studies.harness.hardware import default_jobs
from studies.harness.progress import Watcher
from studies.harness.store import Store
from studies.setting.asked import places, resolve
from studies.setting.options import Options
from studies.setting.replicates import part_of
from studies.study import Part

if TYPE_CHECKING:
    from fame.data.clips import VideoSet

data_app = typer.Typer(no_args_is_help=True, help="The videos: render, scan, prepare, verify, contact sheets.")


@data_app.command("render")
@asking("scale", "replicates", "part", "out", "jobs")
def data_render(options: Options) -> None:
    """Render the embedded benchmark, all its sets, and store it decoded."""
    store = Store(options.out).prepare()
    from fame.data import open_videos

    with watching() as watcher:
        for replicate, part, data in _parts(options, store):
            tell = _naming(watcher, f"{part} · {replicate}")
            open_videos(data, Seeds(replicate), store.cache, None, options.jobs or default_jobs("cpu"), tell)
    console.print(f"rendered into {store.cache}", soft_wrap=True)


@data_app.command("scan")
@asking("dataset", "data_root", "fold", "out", "jobs", "exclude_broken", "most_broken", dataset="ucf101")
def data_scan(options: Options) -> None:
    """Decode every video of a dataset on disk once and show what is there and what is wrong with it."""
    if options.dataset == "staged":
        raise FameError(
            "the embedded benchmark is rendered, not scanned: use `data render`, or name a --dataset on disk (ucf101, folder, ...)"
        )
    from fame.data.layouts import read_layout
    from fame.data.scan import report_file
    from fame.data.scan_report import BrokenVideos

    cache = Store(options.out).prepare().cache
    try:
        with watching() as watcher:
            options = options.model_copy(update={"scale": "paper"})
            asked = resolve(options, cache, options.jobs or default_jobs("cpu"), watcher.data)
    except BrokenVideos as error:
        _show_findings(error.report)
        raise
    folders = dict(places(options).values())
    for videos in asked.setting.every_set:
        _show_findings(report_file(folders[videos.kind], videos.kind, videos.fold, cache / "scan"))
        counts = ", ".join(f"{count} {split}" for split, count in asked.sizes(videos).items())
        of_fold = f", fold {videos.fold}" if asked.setting.folds else ""
        classes = read_layout(folders[videos.kind], videos.kind, videos.fold, cache / "scan").classes
        names = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
        console.print(f"{videos.kind}{of_fold}: {counts}; {len(classes)} classes: {names}", highlight=False, soft_wrap=True)
        console.print(f"manifest {videos.manifest}", highlight=False)
    if asked.absent:
        console.print(asked.absent, highlight=False, soft_wrap=True)


@data_app.command("prepare")
@asking(
    *("scale", "dataset", "data_root", "fold", "codec", "size", "protocol", "out", "jobs", "exclude_broken", "most_broken"),
    dataset="ucf101",
    scale="paper",
)
def data_prepare(
    options: Options,
    check: Annotated[bool, typer.Option("--check", help="Read all stored frames against their checksums; mend them.")] = False,
) -> None:
    """Decode every video of a dataset on disk and store it at the size of scale and protocol; a run does it too, if need be."""
    if options.dataset == "staged":
        raise FameError("the embedded benchmark is stored as it is rendered: use `data render`, or name a --dataset on disk")
    from fame.data import open_videos

    cache, jobs = Store(options.out).prepare().cache, options.jobs or default_jobs("cpu")
    with watching() as watcher:
        asked, folders = resolve(options, cache, jobs, watcher.data), dict(places(options).values())
        lines: dict[Path, str] = {}  # folds of a set share a folder
        for data in asked.setting.every_set:
            videos = open_videos(data, Seeds(0), cache, folders[data.kind], jobs, watcher.data, options.broken)
            if videos.store.folder not in lines:
                found = _checked(videos, watcher) if check else ""
                lines[videos.store.folder] = _stored(videos) + found
    for line in lines.values():
        console.print(line, soft_wrap=True, highlight=False)


def _stored(videos: VideoSet) -> str:
    frames, used = int(videos.length.sum()), videos.store.bytes
    size = f"{used / 1e9:.3f} GB, {used / frames:.0f} bytes a frame"
    return f"{videos.store.folder}: {len(videos)} videos, {frames} frames, {size}"


def _checked(videos: VideoSet, watcher: Watcher) -> str:
    """Read all stored frames against their checksums and decode the damaged ones anew; what was found, for a line."""
    damaged = videos.store.check(progress=watcher.data)
    for path in damaged:
        watcher.note(f"{path}: its stored frames were damaged, decoded anew")
    return f"; {len(damaged)} damaged, mended" if damaged else "; sound"


def _show_findings(report: Path) -> None:
    """A table of faults and remarks by split, and where each is listed; nothing where the scan found none."""
    from fame.data.layouts import SPLITS
    from fame.data.scan_report import counted_by, read_report

    found = read_report(report)
    if not found:
        return
    table = Table("what", "name", *SPLITS, box=None)
    kinds: dict[str, str] = {finding.name: finding.what for finding in found}
    for name, counts in counted_by(found).items():
        table.add_row(kinds[name], name, *(str(counts[split] or "") for split in SPLITS))
    console.print(table)
    console.print(f"each is listed in {report}", soft_wrap=True, highlight=False)


@data_app.command("verify")
@asking("out")
def data_verify(options: Options) -> None:
    """Read every rendered file against its checksum."""
    from fame.data.staged.videos import verify

    parts = sorted(path.parent for path in (options.out / "cache" / "staged").glob("*/checksums.txt"))
    if not parts:
        raise FameError(f"{options.out}: no rendered benchmark there; `data render` makes one")
    for part in parts:
        verify(part)
        console.print(f"{part}: sound", soft_wrap=True)


@data_app.command("sheet")
@asking("scale", "replicates", "part", "out", "jobs")
def data_sheet(options: Options) -> None:
    """Contact sheets of the embedded benchmark, to look at: training videos, and test performances in every condition."""
    store, jobs = Store(options.out).prepare(), options.jobs or default_jobs("cpu")
    from fame.data.staged.sheet import conditions_sheet, training_sheet
    from fame.data.staged.videos import render

    folder = options.out / "sheets"
    with store.named_errors():
        folder.mkdir(parents=True, exist_ok=True)
    with watching() as watcher:
        for replicate, part, data in _parts(options, store):
            manifest = render(data, Seeds(replicate), store.cache, jobs, _naming(watcher, f"{part} · {replicate}"))
            for name, draw in (("train", training_sheet), ("conditions", conditions_sheet)):
                path = folder / f"{options.scale}-{part}-{replicate}-{name}.png"
                draw(manifest, path)
                watcher.note(str(path))


def _parts(options: Options, store: Store) -> Iterator[tuple[int, str, StagedData]]:
    """Yield replicate, name and data of every part of every replicate's world."""
    asked = resolve(options, store.cache, 1)
    for replicate in part_of(options.part, asked.replicates):
        for part in get_args(Part):
            data = asked.setting.data(part)
            if isinstance(data, StagedData):
                yield replicate, part, data


def _naming(watcher: Watcher, name: str) -> Callable[[str, int, int], None]:
    return lambda what, done, total: watcher.data(f"{what} {name}", done, total)
