"""The verbs of `run_study.py data`: scan and prepare videos on disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import typer
from rich.table import Table

from fame.data.manifest import FOLD
from fame.errors import FameError
from fame.seeds import Seeds
from studies.cli.session import asking, console, say, watching
from studies.harness.hardware import default_jobs
from studies.harness.store import Store
from studies.setting.asked import places, resolve
from studies.setting.options import Options

data_app = typer.Typer(no_args_is_help=True, help="Videos on disk: scan, prepare.")


@data_app.command("scan")
@asking("dataset", "data_root", "fold", "out", "jobs", "exclude_broken", "most_broken", dataset="ucf101")
def data_scan(options: Options) -> None:
    """Decode every video of a dataset on disk once and show what is there and what is wrong with it."""
    from fame.data.scan import BrokenVideos, report_file

    cache, folders = _on_disk(options)
    try:
        with watching() as watcher:
            asked = resolve(
                options.model_copy(update={"scale": "paper"}),
                cache,
                options.jobs or default_jobs("cpu"),
                watcher.data,
            )
    except BrokenVideos as error:
        _show_findings(error.report)
        raise
    for one in (one for fold in asked.folds for one in fold.values()):
        videos = one.data
        _show_findings(report_file(folders[videos.kind] / videos.name, videos.kind, videos.fold, cache / "scan"))
        say(one.text)
        say(f"manifest {videos.manifest}")
    if asked.absent:
        say(asked.absent)


@data_app.command("prepare")
@asking(
    *(
        "scale",
        "dataset",
        "data_root",
        "fold",
        "codec",
        "size",
        "protocol",
        "out",
        "jobs",
        "exclude_broken",
        "most_broken",
    ),
    dataset="ucf101",
    scale="paper",
)
def data_prepare(options: Options) -> None:
    """Decode every video of a dataset on disk and store it at the size of scale and protocol; a run does it too, if need be."""
    from fame.data import open_videos

    cache, folders = _on_disk(options)
    jobs = options.jobs or default_jobs("cpu")
    lines: dict[Path, str] = {}  # folds of a set share a folder
    with watching() as watcher:
        for data in resolve(options, cache, jobs, watcher.data).setting.every_set:
            videos = open_videos(data, Seeds(0), cache, folders[data.kind] / data.name, jobs, watcher.data, options.broken)
            if videos.store.folder not in lines:
                lines[videos.store.folder] = f"{videos.store.folder}: {len(videos)} videos, {int(videos.length.sum())} frames"
    for line in lines.values():
        say(line)


def _on_disk(options: Options) -> tuple[Path, dict[str, Path]]:
    """Return the cache, and the folder of each kind of set; FameError for the embedded benchmark, which is rendered."""
    if options.dataset == "staged":
        raise FameError("the embedded benchmark is rendered, not scanned or prepared: name another --dataset")
    return Store(options.out).prepare().cache, {kind: root for kind, root, _ in places(options).values()}


def _show_findings(report: Path) -> None:
    """A table of faults and remarks by split, and where each is listed; nothing where the scan found none."""
    from fame.data.layouts import SPLITS
    from fame.data.scan import read_report

    found = read_report(report)
    if not found:
        return
    count = Counter((finding.what, finding.name, finding.split.partition("/")[0]) for finding in found)
    splits = [split for split in (*SPLITS, FOLD) if any(of == split for _, _, of in count)]
    table = Table("what", "name", *splits, box=None)
    for what, name in dict.fromkeys((finding.what, finding.name) for finding in found):
        table.add_row(what, name, *(str(count[what, name, split] or "") for split in splits))
    console.print(table)
    say(f"each is listed in {report}")
